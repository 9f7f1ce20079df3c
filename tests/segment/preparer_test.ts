import { assert, assertEquals } from "@std/assert";
import { BufferPool } from "../../lib/pool/mod.ts";
import { Preparer } from "../../lib/segment/preparer.ts";
import type { StorageFile } from "../../lib/storage/mod.ts";
import { SimulatedDisk } from "../../lib/testing/mod.ts";

const MIB = 1024 * 1024;

/** A file whose storage writes zeros by itself, or refuses; `log` tells what was asked of it. */
function zeroing(inner: StorageFile, log: string[], can: boolean): StorageFile {
  return new Proxy(inner, {
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
