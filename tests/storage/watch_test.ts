/** Notifications of changes in a directory, and in a directory that takes its place. */
import { assertEquals } from "@std/assert";
import { DiskStorage } from "../../lib/storage/mod.ts";
import { FILES } from "../permissions.ts";
import { TemporaryDirectory } from "./_tiers.ts";

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Waits until the changes were reported, at most five seconds. */
async function untilTold(told: readonly boolean[]): Promise<void> {
  for (let i = 0; i < 500 && told.length === 0; i++) await sleep(10);
}

Deno.test(
  "DiskStorage.watch() reports changes of a directory that takes the path of a watched one",
  {
    ignore: !FILES,
  },
  async () => {
    using directory = new TemporaryDirectory();
    const path = `${directory.path}/watched`;
    Deno.mkdirSync(path);
    const storage = new DiskStorage();
    const told: boolean[] = [];
    const watch = () => storage.watch(path, (isNew) => told.push(isNew));
    let watching = watch()!;
    for (const isMoved of [false, true]) {
      if (isMoved) Deno.renameSync(path, `${path}.moved`);
      else Deno.removeSync(path);
      Deno.mkdirSync(path);
      // The runtime has not noticed the removal yet.
      assertEquals(watch(), undefined);
      await untilTold(told);
      assertEquals(told.splice(0), [true]);
      watching.close();
      let next = watch();
      for (let i = 0; i < 500 && next === undefined; i++) {
        await sleep(10);
        next = watch();
      }
      watching = next!;
      Deno.writeTextFileSync(`${path}/file`, "");
      await untilTold(told);
      assertEquals(told.splice(0)[0], true);
      await sleep(100);
      told.length = 0;
      Deno.removeSync(`${path}/file`);
      await untilTold(told);
      told.length = 0;
    }
    watching.close();
  },
);
