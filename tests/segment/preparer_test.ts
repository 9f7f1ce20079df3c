/** docs/format.md#write-prepare */
import { drive } from "../../lib/base/mod.ts";
import { assert, assertEquals } from "@std/assert";
import { BufferPool } from "../../lib/pool/mod.ts";
import { Preparer } from "../../lib/segment/write/_preparer.ts";
import { fileSteps } from "../../lib/storage/file_steps.ts";
import { type StorageFile, TaskFile } from "../../lib/storage/mod.ts";
import { SimulatedDisk } from "../../lib/testing/mod.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/**
 * Makes a file whose storage writes zeros by itself, or refuses to. `log` records the operations.
 */
function zeroing(inner: StorageFile, log: string[], can: boolean): TaskFile {
  const file = new Proxy(inner, {
    // The async and sync methods are used, as for a file of another library.
    has: (target, name) => name !== fileSteps && name in target,
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

/** Records this many small durable flushes. */
function flush(preparer: Preparer, count: number): void {
  for (let i = 0; i < count; i++) preparer.flushed(4 * KIB, true);
}

for (const can of [true, false]) {
  Deno.test(`Preparer ${can ? "leaves zeros to" : "writes zeros itself without"} a storage that writes them`, async () => {
    using pool = new BufferPool();
    const disk = new SimulatedDisk();
    const inner = disk.openSync("/data", { write: true, createNew: true });
    const log: string[] = [];
    const preparer = new Preparer(zeroing(inner, log, can), pool, 0, {
      maxBytes: 3 * MIB,
      limit: 90 * KIB,
      now: () => disk.now(),
    });
    assertEquals(preparer.wants(0), false);
    flush(preparer, 4);
    assert(preparer.wants(0));
    await preparer.run(0, () => false);
    assertEquals(preparer.end, 64 * KIB);
    assertEquals(log.splice(0), [
      `preallocate 0+${64 * KIB} true`,
      ...(can ? [] : ["write"]),
    ]);
    // Three quarters are used, except for the rest of a physical block. Then it prepares up to the
    // limit.
    assertEquals(preparer.wants(44 * KIB), false);
    assert(preparer.wants(48 * KIB - 1));
    await preparer.run(48 * KIB - 1, () => false);
    assertEquals(preparer.end, 92 * KIB);
    assertEquals(log, [
      `preallocate ${64 * KIB}+${28 * KIB} true`,
      ...(can ? [] : ["write"]),
    ]);
    assertEquals(preparer.wants(91 * KIB), false);
    assertEquals(pool.stats().inUseBytes, 0);
    inner.closeSync();
  });
}

Deno.test("Preparer stays ahead of small flushes with zeros, without an allocation for each", async () => {
  const flushBytes = 20 * KIB;
  using pool = new BufferPool();
  const disk = new SimulatedDisk();
  const inner = disk.openSync("/data", { write: true, createNew: true });
  const log: string[] = [];
  const preparer = new Preparer(zeroing(inner, log, false), pool, 0, {
    maxBytes: 8 * MIB,
    limit: 1024 * MIB,
    now: () => disk.now(),
  });
  flush(preparer, 4);
  await preparer.run(0, () => false);
  let dataEnd = 0;
  // One step between two flushes, as if the program left time for it.
  for (let i = 0; i < 1000; i++) {
    dataEnd += flushBytes;
    assert(i < 10 || preparer.end - dataEnd >= 0, `flush ${i}`);
    await drive(preparer.yieldTo(dataEnd));
    preparer.flushed(flushBytes, true);
    if (!preparer.wants(dataEnd)) continue;
    let steps = 0;
    await preparer.run(dataEnd, () => steps++ > 0);
  }
  const allocations = log.filter((line) => line !== "write").length;
  assert(allocations <= 50, `${allocations} for 1000 flushes`);
  await drive(preparer.stop());
  inner.closeSync();
});

Deno.test("Preparer.release() releases what is prepared, and prepares again later", async () => {
  using pool = new BufferPool();
  const disk = new SimulatedDisk();
  const inner = disk.openSync("/data", { write: true, createNew: true });
  const preparer = new Preparer(new TaskFile(inner), pool, 0, {
    maxBytes: 8 * MIB,
    limit: 1024 * MIB,
    now: () => disk.now(),
  });
  flush(preparer, 4);
  await preparer.run(0, () => false);
  assertEquals(inner.sizeSync(), 64 * KIB);
  await drive(preparer.release(5000));
  assertEquals([inner.sizeSync(), preparer.end], [8 * KIB, 8 * KIB]);
  assert(preparer.wants(5000));
  await preparer.run(5000, () => false);
  assert(inner.sizeSync() > 64 * KIB);
  await drive(preparer.stop());
  inner.closeSync();
});
