/** The directory of a log whose creator was killed before its name was durable. */
import { assertEquals, assertRejects } from "@std/assert";
import { Log } from "../../../lib/log/mod.ts";
import { BufferPool } from "../../../lib/pool/mod.ts";
import { SimulatedDisk } from "../../../lib/testing/mod.ts";
import { PassingStorage } from "../_passing_storage.ts";

/** Ends the process where it would sync a directory for the `last`-th time. */
class Ending extends PassingStorage {
  #left: number;

  constructor(disk: SimulatedDisk, last: number) {
    super(disk);
    this.#left = last;
  }

  override syncDirectory(path: string): Promise<void> {
    if (--this.#left === 0) throw new Error("killed");
    return super.syncDirectory(path);
  }

  override async makeDirectory(path: string): Promise<boolean> {
    // The disk's own method is replaced, because the disk calls it itself.
    const disk = this.inner as SimulatedDisk;
    const stop = disk.onOperation(({ kind }) => {
      if (kind === "syncDirectory" && --this.#left === 0) {
        throw new Error("killed");
      }
    });
    try {
      return await disk.makeDirectory(path);
    } finally {
      stop();
    }
  }
}

/**
 * How often directories are synced: once for the name of each one, and twice for the names in it.
 */
const SYNCS = { "/log": 1 + 2, "/a/b/log": 3 + 2 };

for (const [path, syncs] of Object.entries(SYNCS)) {
  for (let last = 1; last <= syncs; last++) {
    Deno.test(`Log.open() after a kill at sync ${last} of a directory: what was acknowledged in ${path} survives`, async () => {
      using pool = new BufferPool();
      const disk = new SimulatedDisk();
      const options = { pool, prepareBytes: 0 };
      await assertRejects(
        () => Log.open(path, { ...options, storage: new Ending(disk, last) }),
        Error,
        "killed",
      );
      await using log = await Log.open(path, { ...options, storage: disk });
      await log.appendDurable("kept");
      const storage = disk.crashState("none");
      using after = Log.openSync(path, { ...options, storage });
      assertEquals(after.nextOffset, 1);
    });
  }
}

Deno.test("Log.open() of a new log opens each of its files once", async () => {
  using pool = new BufferPool();
  const disk = new SimulatedDisk();
  await using log = await Log.open("/log", { pool, storage: disk });
  await log.appendDurable("kept");
  const opened = disk.trace.filter(({ kind }) => kind === "open")
    .map(({ path }) => path);
  assertEquals(opened, [
    "/log/00000000000000000000.log.tmp",
    "/log/00000000000000000000.index.tmp",
    "/log/writer.tmp",
    "/log/meta.tmp",
  ]);
});
