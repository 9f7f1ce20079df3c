import { assert, assertEquals } from "@std/assert";
import { ALL } from "../permissions.ts";
import { TemporaryDirectory } from "./_files.ts";
import { PRELUDE, run } from "./_program.ts";

Deno.test({
  name:
    "engine() keeps the process alive while an operation is in flight, and no longer",
  ignore: !ALL,
  async fn() {
    using directory = new TemporaryDirectory();
    const { output, success } = await run(
      `
      const file = new Adopted(Deno.args[0] + "/file");
      for (let i = 0; i < 50; i++) {
        submit(operation(OPERATION.SYNC_FULL, file.handle)).then(() => {
          if (i === 49) setTimeout(() => console.log("done"));
        });
      }
      `,
      directory.path,
    );
    assertEquals(output, "done\n");
    assert(success);
  },
});

Deno.test({
  name: "engine() does not delay the end of a process after settleSync",
  ignore: !ALL,
  async fn() {
    using directory = new TemporaryDirectory();
    const { output, success } = await run(
      `
      const file = new Adopted(Deno.args[0] + "/file");
      let begin;
      addEventListener("unload", () => console.log(performance.now() - begin < 700));
      for (let i = 0; i < 50; i++) submit(operation(OPERATION.SYNC_FULL, file.handle));
      await new Promise((resolve) => setTimeout(resolve, 1));
      engine().settleSync();
      begin = performance.now();
      `,
      directory.path,
    );
    assertEquals(output, "true\n");
    assert(success);
  },
});

Deno.test({
  name:
    "engine() of a terminated worker leaves nothing open, and disturbs no other isolate",
  ignore: !ALL,
  async fn() {
    using directory = new TemporaryDirectory();
    const worker = `${directory.path}/worker.js`;
    Deno.writeTextFileSync(
      worker,
      PRELUDE + `
      const file = new Adopted(${JSON.stringify(`${directory.path}/worker`)});
      for (let i = 0; i < 2000; i++) submit(operation(OPERATION.SYNC_FULL, file.handle));
      postMessage("started");
      `,
    );
    const { output, success } = await run(
      `
      const file = new Adopted(Deno.args[0] + "/file");
      const mine = Array.from({ length: 200 }, () => submit(operation(OPERATION.SYNC_FULL, file.handle)));
      for (let round = 0; round < 3; round++) {
        const worker = new Worker("file://" + Deno.args[0] + "/worker.js", { type: "module" });
        await new Promise((resolve, reject) => {
          worker.onmessage = resolve;
          worker.onerror = reject;
        });
        worker.terminate();
      }
      const open = () => [...Deno.readDirSync("/proc/self/fd")].filter(({ name }) => {
        try {
          return Deno.readLinkSync("/proc/self/fd/" + name).endsWith("/worker");
        } catch {
          return false;
        }
      }).length;
      for (let i = 0; i < 500 && open() > 0; i++) await new Promise((resolve) => setTimeout(resolve, 20));
      console.log(open(), new Set(await Promise.all(mine)));
      `,
      directory.path,
    );
    assertEquals(output, "0 Set(1) { 0 }\n");
    assert(success);
  },
});
