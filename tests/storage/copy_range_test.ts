import { assert, assertEquals } from "@std/assert";
import { BufferPool } from "@basalt/io";
import { SeededRandom, SimulatedDisk } from "@basalt/io/testing";
import { drive } from "../../lib/base/mod.ts";
import { copyRange, haveEqualBytes, TaskFile } from "../../lib/storage/mod.ts";

const KIB = 1024;

/** Makes two files on a disk of their own, and the bytes of the first. */
function files(seed: number, length: number) {
  const disk = new SimulatedDisk({ seed });
  const bytes = new Uint8Array(length);
  new SeededRandom(seed).fill(bytes);
  disk.poke("/from", 0, bytes);
  const from = new TaskFile(disk.openSync("/from"));
  const to = new TaskFile(
    disk.openSync("/to", { write: true, read: true, create: true }),
  );
  return { disk, bytes, from, to };
}

for (const limitBytes of [64 * KIB, 1024 * KIB, 64 * 1024 * KIB]) {
  Deno.test(`copyRange() and haveEqualBytes() need one block of a pool of ${limitBytes} bytes, and wait for it`, async () => {
    const length = 2_500_000;
    using pool = new BufferPool({ limitBytes, onWarning: () => {} });
    const runs = [[0, length], [1, 4097], [5000, length], [8192, 8192]].map(
      async ([start, end], seed) => {
        const { disk, bytes, from, to } = files(seed, length);
        await drive(copyRange(from, to, pool, start!, end!));
        const copied = bytes.subarray(start, end);
        assertEquals(disk.peek("/to"), copied);
        disk.poke("/same", 0, copied);
        const same = new TaskFile(disk.openSync("/same"));
        assert(await drive(haveEqualBytes(to, same, pool)));
        for (const at of [0, copied.length >> 1, copied.length - 1]) {
          if (copied.length === 0) continue;
          const wrong = copied.slice();
          wrong[at]! ^= 1;
          disk.poke("/wrong", 0, wrong);
          const other = new TaskFile(disk.openSync("/wrong"));
          assert(!(await drive(haveEqualBytes(to, other, pool))), `${at}`);
        }
        disk.poke("/longer", 0, new Uint8Array(copied.length + 1));
        const longer = new TaskFile(disk.openSync("/longer"));
        assert(!(await drive(haveEqualBytes(to, longer, pool))));
      },
    );
    await Promise.all(runs);
    assertEquals(pool.stats().inUseBytes, 0);
  });
}
