import { driveSync } from "../../lib/base/mod.ts";
import { assert, assertEquals } from "@std/assert";
import { BufferPool } from "../../lib/pool/mod.ts";
import { IndexLookup } from "../../lib/segment/index_lookup.ts";
import { TaskFile } from "../../lib/storage/mod.ts";
import { SimulatedDisk } from "../../lib/testing/mod.ts";

const ENTRY_BYTES = 16;

/** An index of `count` entries on a disk that tells how often it was read. */
function index(pool: BufferPool, count: number) {
  const disk = new SimulatedDisk();
  const file = disk.openSync("/index", { write: true, createNew: true });
  const size = Math.max(4096, Math.ceil(count * ENTRY_BYTES / 4096) * 4096);
  using buffer = pool.acquireSync(size, { zeroed: true });
  const view = new DataView(buffer.bytes.buffer);
  for (let i = 0; i < count; i++) {
    view.setUint32(i * ENTRY_BYTES, i, true);
    view.setUint32(i * ENTRY_BYTES + 4, 100 * (i + 1), true);
  }
  file.writeSync(buffer, 0);
  file.truncateSync(count * ENTRY_BYTES);
  return { disk, file };
}

Deno.test("IndexLookup.partitionPoint() finds every boundary from every guess", () => {
  using pool = new BufferPool();
  for (const count of [0, 1, 2, 3, 255, 256, 257, 1025]) {
    const { file } = index(pool, count);
    using lookup = new IndexLookup(new TaskFile(file), pool);
    const places = [0, 1, 2, 127, 254, 255, 256, 257, 511, 1023, 1024, 1025];
    for (const boundary of places.filter((place) => place <= count)) {
      for (const guess of [...places, 5000, undefined]) {
        const found = driveSync(lookup.partitionPoint(
          count,
          (entry) => entry.relativeOffset < boundary,
          guess,
        ));
        assertEquals(found, boundary, `${count} entries, guess ${guess}`);
      }
    }
    file.closeSync();
  }
});

Deno.test("IndexLookup.partitionPoint() reads five blocks at most where the guess is near, and no more than halving where it is not", () => {
  using pool = new BufferPool();
  const count = 65536;
  const { disk, file } = index(pool, count);
  const reads = (boundary: number, guess?: number): number => {
    using lookup = new IndexLookup(new TaskFile(file), pool);
    const before = disk.trace.length;
    driveSync(
      lookup.partitionPoint(
        count,
        (entry) => entry.relativeOffset < boundary,
        guess,
      ),
    );
    return disk.trace.length - before;
  };
  for (const boundary of [300, 20_000, 40_000, 65_000]) {
    for (const error of [-200, -1, 0, 1, 200]) {
      assert(reads(boundary, boundary + error) <= 5);
    }
    for (const guess of [0, 32_768, 65_535]) {
      assert(reads(boundary, guess) <= 2 + 2 * Math.log2(count / 256));
    }
  }
  file.closeSync();
});
