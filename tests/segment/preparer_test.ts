import { drive } from "../../lib/base/mod.ts";
import { assert, assertEquals } from "@std/assert";
import { BufferPool } from "../../lib/pool/mod.ts";
import { Preparer } from "../../lib/segment/preparer.ts";
import { type StorageFile, TaskFile } from "../../lib/storage/mod.ts";
import { SimulatedDisk } from "../../lib/testing/mod.ts";

const MIB = 1024 * 1024;

/** A file whose storage writes zeros by itself, or refuses; `log` tells what was asked of it. */
function zeroing(inner: StorageFile, log: string[], can: boolean): TaskFile {
  const file = new Proxy(inner, {
    get(target, name) {
      if (name === "preallocate") {
        return async (
          position: number,
          length: number,
          options?: { zeroed?: boolean },
        ) => {
          log.push(`preallocate ${position}+${length} ${options?.zeroed}`);
          await target.preallocate(position, length);
          return can && options?.zeroed === true;
        };
      }
      if (name === "write") log.push("write");
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return new TaskFile(file);
}

for (const can of [true, false]) {
  Deno.test(`Preparer ${can ? "leaves zeros to" : "writes zeros itself without"} a storage that writes them`, async () => {
    using pool = new BufferPool();
    const disk = new SimulatedDisk();
    const inner = disk.openSync("/data", { write: true, createNew: true });
    const log: string[] = [];
    const preparer = new Preparer(zeroing(inner, log, can), pool, 0, {
      windowBytes: 3 * MIB,
      limit: 4 * MIB,
    });
    await preparer.run(() => 0, () => false);
    assertEquals(preparer.end, 3 * MIB);
    assertEquals(log.shift(), `preallocate 0+${3 * MIB} true`);
    assertEquals(log.splice(0), can ? [] : ["write", "write", "write"]);
    // The window moves on with the data, up to the limit.
    assert(preparer.wants(2 * MIB));
    await preparer.run(() => 2 * MIB, () => false);
    assertEquals(preparer.end, 4 * MIB);
    assertEquals(log.shift(), `preallocate ${3 * MIB}+${MIB} true`);
    assertEquals(log, can ? [] : ["write"]);
    assertEquals(pool.stats().inUseBytes, 0);
    inner.closeSync();
  });
}

Deno.test("Preparer stays ahead of small flushes by zeros, not by an allocation for each", async () => {
  const windowBytes = 8 * MIB;
  const flushBytes = 20 * 1024;
  using pool = new BufferPool();
  const disk = new SimulatedDisk();
  const inner = disk.openSync("/data", { write: true, createNew: true });
  const log: string[] = [];
  const preparer = new Preparer(zeroing(inner, log, false), pool, 0, {
    windowBytes,
    limit: 1024 * MIB,
  });
  await preparer.run(() => 0, () => false);
  let dataEnd = 0;
  // One step between two flushes, as a program leaves time for.
  for (let flush = 0; flush < 1000; flush++) {
    dataEnd += flushBytes;
    assert(preparer.end - dataEnd >= windowBytes / 4, `flush ${flush}`);
    drive(preparer.yieldTo(dataEnd));
    if (!preparer.wants(dataEnd)) continue;
    let steps = 0;
    await preparer.run(() => dataEnd, () => steps++ > 0);
  }
  const allocations = log.filter((line) => line !== "write").length;
  assert(allocations <= 4 + dataEnd / (windowBytes / 4), `${allocations}`);
  await drive(preparer.stop());
  inner.closeSync();
});
