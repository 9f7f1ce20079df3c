import { assert, assertEquals, assertThrows } from "@std/assert";
import { BufferPool, SIZE_CLASSES } from "../../lib/pool/mod.ts";

Deno.test("SIZE_CLASSES are the 28 documented ones", () => {
  const KIB = 1024;
  const MIB = 1024 * KIB;
  // deno-fmt-ignore
  assertEquals(SIZE_CLASSES, [
    4 * KIB, 8 * KIB, 16 * KIB, 32 * KIB, 64 * KIB, 128 * KIB, 256 * KIB, 512 * KIB, 768 * KIB,
    MIB, 1.5 * MIB, 2 * MIB, 4 * MIB, 6 * MIB, 8 * MIB, 10 * MIB, 12 * MIB, 16 * MIB, 24 * MIB,
    32 * MIB, 48 * MIB, 64 * MIB, 96 * MIB, 128 * MIB, 192 * MIB, 256 * MIB, 384 * MIB, 512 * MIB,
  ]);
});

Deno.test("BufferPool.acquireSync() takes the smallest class that fits, at each edge", () => {
  using pool = new BufferPool();
  let smaller = 0;
  for (const size of SIZE_CLASSES) {
    for (const length of [smaller + 1, size - 1, size]) {
      using buffer = pool.acquireSync(length);
      assertEquals([buffer.length, buffer.capacity], [length, size]);
      assertEquals([buffer.aligned, buffer.external], [true, false]);
    }
    pool.trim();
    smaller = size;
  }
  using empty = pool.acquireSync(0);
  assertEquals([empty.length, empty.capacity, empty.bytes.length], [
    0,
    4096,
    0,
  ]);
});

Deno.test("BufferPool.acquireSync() refuses lengths out of range", () => {
  using pool = new BufferPool();
  for (
    const length of [-1, 0.5, NaN, Infinity, 512 * 1024 ** 2 + 1]
  ) {
    assertThrows(
      () => pool.acquireSync(length),
      RangeError,
      "Cannot acquire buffer as 'length' must be an integer from 0 to 536870912: received",
    );
  }
  assertThrows(
    () => pool.acquireSync("5" as never),
    TypeError,
    "Cannot acquire buffer as 'length' must be a number: received string",
  );
});

Deno.test("BufferPool.acquire() gives the same as acquireSync(), and rejects instead of throwing", async () => {
  using pool = new BufferPool();
  using buffer = await pool.acquire(5000);
  assertEquals([buffer.length, buffer.capacity, buffer.state], [
    5000,
    8192,
    "leased",
  ]);
  const refused = pool.acquire(-1);
  let caught: unknown;
  await refused.catch((error) => caught = error);
  assert(caught instanceof RangeError);
});

Deno.test("PooledBuffer.bytes covers the length, and is the same view until that changes", () => {
  using pool = new BufferPool();
  using buffer = pool.acquireSync(100);
  const view = buffer.bytes;
  assertEquals([view.length, view.byteOffset], [100, 0]);
  assert(buffer.bytes === view);
  buffer.truncate(50);
  assertEquals(buffer.bytes.length, 50);
  assertEquals(view.length, 100); // It is still the owner's memory.
});

Deno.test("BufferPool reuses a dropped block, with the bytes of its earlier owner unless 'zeroed' is set", () => {
  using pool = new BufferPool();
  const first = pool.acquireSync(8192);
  first.bytes.fill(7);
  first.drop();
  const second = pool.acquireSync(8192);
  assertEquals(second.bytes[8191], 7);
  second.drop();
  using third = pool.acquireSync(8192, { zeroed: true });
  assert(third.bytes.every((byte) => byte === 0));
  assertEquals(pool.stats().mappedBytes >= 8192, true);
  assertEquals(pool.stats().acquired, 3);
});

Deno.test("BufferPool.acquireSync() with 'zeroed' gives zeros: fresh or used, pooled, plain, beyond the limit, not pooled", () => {
  for (const enabled of [true, false]) {
    using pool = new BufferPool({
      enabled,
      limitBytes: 8192,
      atLimit: "external",
      onWarning() {},
    });
    for (const aligned of [true, false]) {
      for (let round = 0; round < 3; round++) {
        const buffers = [5, 100, 4096, 8192].map((length) =>
          pool.acquireSync(length, { zeroed: true, aligned })
        );
        for (const buffer of buffers) {
          assert(buffer.bytes.every((byte) => byte === 0));
          buffer.bytes.fill(0xff);
          buffer.drop();
        }
      }
    }
  }
});

Deno.test("BufferPool.acquireSync() without 'aligned' gives plain memory: outside the pool's, and not lent", () => {
  using pool = new BufferPool({ limitBytes: 4096 });
  using block = pool.acquireSync(4096); // The limit is reached.
  using plain = pool.acquireSync(4095, { aligned: false });
  assertEquals([plain.length, plain.aligned, plain.external], [
    4095,
    false,
    false,
  ]);
  assertThrows(
    () => pool.lend(plain),
    TypeError,
    "Cannot lend buffer as it is plain memory: acquire it without 'aligned: false'",
  );
  const view = plain.bytes;
  view.fill(3);
  assertEquals([pool.stats().plainInUse, pool.stats().inUseBytes], [1, 4096]);
  plain.drop();
  assertEquals([view.length, pool.stats().plainInUse], [0, 0]);
  assertEquals(pool.stats().plainAcquired, 1);
  block.drop();
  // From the size of a block on there is nothing to save.
  using large = pool.acquireSync(4096, { aligned: false });
  assertEquals(large.aligned, true);
});

Deno.test("BufferPool.acquireSync() gives new plain memory for each lease, also for views of numbers", () => {
  using pool = new BufferPool();
  for (let i = 1; i <= 3; i++) {
    const buffer = pool.acquireSync(100, { aligned: false });
    assertEquals(buffer.view.getUint32(96, true), 0);
    buffer.view.setUint32(96, i, true);
    assertEquals(buffer.view.getUint32(96, true), i);
    buffer.drop();
  }
});

Deno.test("BufferPool that is not enabled maps and unmaps each block", () => {
  using pool = new BufferPool({ enabled: false });
  for (let i = 0; i < 3; i++) {
    const buffer = pool.acquireSync(4096);
    assertEquals(buffer.view.getUint32(0, true), 0);
    const view = buffer.bytes;
    view.fill(9);
    buffer.drop();
    assertEquals(view.length, 0);
  }
  assertEquals([pool.stats().mappedBytes, pool.stats().freeBytes], [0, 0]);
});

Deno.test("BufferPool.trim() unmaps free blocks, and later leases have no old view", () => {
  using pool = new BufferPool();
  const kept = pool.acquireSync(4096);
  kept.bytes.fill(1);
  const first = pool.acquireSync(2 * 1024 ** 2);
  first.bytes.fill(5);
  first.drop();
  const given = pool.trim();
  assert(given >= 2 * 1024 ** 2);
  assertEquals(pool.stats().mappedBytes, 4096);
  using second = pool.acquireSync(2 * 1024 ** 2);
  assertEquals(second.bytes[0], 0);
  second.bytes.fill(6);
  assertEquals(kept.bytes[4095], 1);
  kept.drop();
});

Deno.test("BufferPool keeps at most bucketCapacity free blocks of a class", () => {
  using pool = new BufferPool({ bucketCapacity: 2 });
  const buffers = Array.from({ length: 5 }, () => pool.acquireSync(2 ** 21));
  buffers.forEach((buffer) => buffer.bytes[0] = 1);
  buffers.forEach((buffer) => buffer.drop());
  const { classes, dropped } = pool.stats();
  const figures = classes.find((each) => each.classBytes === 2 ** 21)!;
  assertEquals([figures.free, figures.dropped, dropped], [2, 3, 3]);
  // Slots whose memory is gone are recognised.
  const again = Array.from({ length: 5 }, () => pool.acquireSync(2 ** 21));
  again.forEach((buffer, i) => buffer.bytes.fill(i));
  again.forEach((buffer, i) => assertEquals(buffer.bytes[2 ** 21 - 1], i));
  again.forEach((buffer) => buffer.drop());
});
