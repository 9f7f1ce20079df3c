/** Compares a pool with plain allocation. */
import { assert } from "@std/assert";
import { Log } from "../../lib/log/mod.ts";
import { BufferPool } from "../../lib/pool/mod.ts";
import { at, DiskPlace, KIB, MIB, testPool } from "../log/_support.ts";
import { SeedPool } from "../pool/_seed_model.ts";
import { fastest } from "./_fastest.ts";

const COUNT = 40_000;

Deno.test("Log.append() with the pool on is not slower than with it off", () =>
  at(new DiskPlace("never"), async (place) => {
    using pool = testPool();
    using plain = testPool({ enabled: false });
    const payload = new Uint8Array(200);
    const appending = (log: Log) => ({
      run() {
        for (let n = 0; n < COUNT; n++) log.append(payload);
      },
      async after() {
        await log.flush({ durability: "none" });
        await log.truncateBefore(log.nextOffset);
      },
    });
    const open = (name: string, pool: BufferPool) =>
      Log.open(`${place.dir}/${name}`, { pool, prepareBytes: 0 });
    {
      await using pooled = await open("on", pool);
      await using allocated = await open("off", plain);
      const [on, off] = await fastest(
        12,
        appending(pooled),
        appending(allocated),
      );
      assert(on <= 1.25 * off, `on ${on} ms, off ${off} ms`);
    }
    assert(pool.stats().peakMappedBytes < 64 * MIB);
  }));

Deno.test("PooledBuffer.append() with the pool on takes less than half the time, unlike in Iggy's pool", async () => {
  const payload = new Uint8Array(64 * KIB).fill(7);
  const ours = (pool: BufferPool) => () => {
    const buffer = pool.acquireSync(128 * KIB);
    buffer.truncate(0);
    buffer.append(payload);
    buffer.freeze().drop();
  };
  const seed = new SeedPool(64 * MIB);
  const seeds = () => {
    const buffer = seed.acquire(128 * KIB);
    buffer.view().set(payload);
    buffer.freezeAndDrop(1);
  };
  const plain = () => new Uint8Array(128 * KIB).set(payload);
  using on = new BufferPool({ limitBytes: 64 * MIB });
  using off = new BufferPool({ enabled: false, limitBytes: 64 * MIB });
  const often = (append: () => void) => ({
    run() {
      for (let i = 0; i < 100; i++) append();
    },
  });
  const [pooled, allocated, seedPooled, seedAllocated] = await fastest(
    25,
    often(ours(on)),
    often(ours(off)),
    often(seeds),
    often(plain),
  );
  // Iggy's pool loses every frozen block, and allocates as if there were no pool.
  const ratios = [pooled / allocated, seedPooled / seedAllocated] as const;
  assert(ratios[0] < 0.5 && ratios[1] >= 0.5, `on / off: ${ratios}`);
});
