/**
 * Where a simulated disk intentionally differs from a real one, with the reason for each
 * difference.
 */
import { assertEquals } from "@std/assert";
import { SimulatedDisk } from "../../lib/testing/mod.ts";
import { DISKS, simulatedLike, type Subject } from "./_subject.ts";

/** A difference: the call, and the result on each disk. */
interface Difference {
  readonly what: string;
  readonly why: string;
  prove(disk: Subject, simulated: Subject): void | Promise<void>;
}

/** Returns the code of the error, or `"done"`. */
async function codeOf(on: Subject, from: string, to: string): Promise<unknown> {
  const { storage, root } = on;
  const answer = await on.ask(
    storage,
    "rename",
    `${root}/${from}`,
    `${root}/${to}`,
  );
  return "error" in answer ? answer.code : "done";
}

const DIFFERENCES: readonly Difference[] = [
  {
    what: "a directory keeps its name",
    why:
      "no room renames a directory, and a power cut would need another model for the names in it",
    async prove(disk, simulated) {
      for (const on of [disk, simulated]) {
        await on.call(on.storage, "makeDirectory", `${on.root}/d/e`);
      }
      assertEquals(await codeOf(disk, "d", "d/e/x"), "EINVAL");
      assertEquals(await codeOf(disk, "d/e", "x"), "done");
      for (const to of ["d/e/x", "x", "d/e"]) {
        assertEquals(await codeOf(simulated, "d/e", to), "EISDIR");
      }
    },
  },
  {
    what: "relative paths begin at the root",
    why: "a simulated disk has no process, and therefore no working directory",
    prove() {
      const disk = new SimulatedDisk();
      disk.makeDirectorySync("d");
      disk.openSync("d/a", { write: true, create: true }).closeSync();
      assertEquals(disk.files(), ["/d/a"]);
    },
  },
  {
    what: "the mode of a file is checked, and not stored",
    why: "no method of `Storage` returns it, and there are no other users",
    async prove(disk) {
      const { storage, root } = disk;
      const umask = Deno.umask();
      const modes: [number | undefined, number][] = [
        [undefined, 0o640],
        [0o600, 0o600],
        [0o666, 0o666],
      ];
      for (const [mode, expected] of modes) {
        const path = `${root}/${mode}`;
        const options = { write: true, createNew: true, mode };
        const file = await disk.call(storage, "open", path, options as never);
        await disk.call(file, "close");
        const { mode: found } = Deno.statSync(path);
        assertEquals(found! & 0o777, expected & ~umask);
      }
    },
  },
  {
    what: "settleSync completes the operations of its own file",
    why:
      "a process has one engine, and a simulated disk lets a test choose which operation completes",
    async prove(_, simulated) {
      const { storage, root, pool } = simulated;
      const [one, two] = ["a", "b"].map((name) =>
        storage.openSync(`${root}/${name}`, { write: true, create: true })
      );
      using first = pool.acquireSync(4096, { zeroed: true });
      using second = pool.acquireSync(4096, { zeroed: true });
      const writing = [one!.write(first, 0), two!.write(second, 0)];
      one!.settleSync();
      assertEquals([one!.sizeSync(), two!.sizeSync()], [4096, 0]);
      await Promise.all(writing);
      one!.closeSync();
      two!.closeSync();
    },
  },
];

for (const kind of DISKS) {
  Deno.test(`SimulatedDisk differs from ${kind.name}`, async (test) => {
    for (const { what, why, prove } of DIFFERENCES) {
      await test.step(`${what}: ${why}`, async () => {
        using disk = kind.make("async");
        using simulated = simulatedLike(disk, "async");
        await prove(disk, simulated);
      });
    }
  });
}
