import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  BufferPool,
  type PooledBuffer,
  PoolLimitError,
} from "../../lib/pool/mod.ts";

const KIB = 1024;
const quiet = { onWarning() {} };

Deno.test("BufferPool with atLimit 'fail': acquire() and acquireSync() fail with PoolLimitError and its figures", async () => {
  using pool = new BufferPool({
    limitBytes: 16 * KIB,
    atLimit: "fail",
    ...quiet,
  });
  using first = pool.acquireSync(8 * KIB);
  using second = pool.acquireSync(4 * KIB);
  const thrown = assertThrows(
    () => pool.acquireSync(4097),
    PoolLimitError,
  ) as PoolLimitError;
  assertEquals([thrown.name, thrown.limitBytes, thrown.requestedBytes], [
    "PoolLimitError",
    16 * KIB,
    4097,
  ]);
  assert(thrown.mappedBytes >= 12 * KIB && thrown.mappedBytes <= 16 * KIB);
  assertEquals([thrown.inUseBytes, thrown.waiting], [12 * KIB, 0]);
  assertEquals(
    thrown.message,
    "Cannot acquire buffer of 4097 bytes as the pool's limit is reached: 'limitBytes' is 16384, 12288 bytes are in use",
  );
  await assertRejects(() => pool.acquire(4097), PoolLimitError);
  using third = await pool.acquire(4096);
  assertEquals(first.length + second.length + third.length, 16 * KIB);
});

Deno.test("BufferPool with atLimit 'external': memory beyond the limit is reported as such, and freed with its lease", async () => {
  using pool = new BufferPool({
    limitBytes: 4 * KIB,
    atLimit: "external",
    ...quiet,
  });
  using inside = pool.acquireSync(1);
  const outside = [pool.acquireSync(4097), await pool.acquire(1)];
  assertEquals([inside.external, ...outside.map((each) => each.external)], [
    false,
    true,
    true,
  ]);
  const { mappedBytes, inUseBytes, externalBytes, externalAcquired } = pool
    .stats();
  assertEquals([mappedBytes, inUseBytes, externalBytes, externalAcquired], [
    4096,
    4096,
    12288,
    2,
  ]);
  const views = outside.map((each) => each.bytes.fill(1));
  for (const each of outside) each.drop();
  assertEquals(views.map((view) => view.length), [0, 0]);
  assertEquals([pool.stats().externalBytes, pool.stats().externalReturned], [
    0,
    2,
  ]);
});

Deno.test("BufferPool with atLimit 'wait': acquireSync() throws, and acquire() waits for a block to return", async () => {
  using pool = new BufferPool({ limitBytes: 4 * KIB, ...quiet });
  const first = pool.acquireSync(1);
  assertThrows(() => pool.acquireSync(1), PoolLimitError);
  const waiting = pool.acquire(100);
  assertEquals(pool.stats().waiting, 1);
  first.drop();
  assertEquals([pool.stats().waiting, pool.stats().waits], [0, 1]); // Immediately.
  const second = await waiting;
  assertEquals([second.length, second.state], [100, "leased"]);
  second.drop();
});

Deno.test("BufferPool with atLimit 'wait': requests are served in order, and none overtakes another", async () => {
  using pool = new BufferPool({ limitBytes: 16 * KIB, ...quiet });
  const held = [pool.acquireSync(8 * KIB), pool.acquireSync(8 * KIB)];
  const order: string[] = [];
  const request = async (
    name: string,
    length: number,
  ): Promise<PooledBuffer> => {
    const buffer = await pool.acquire(length);
    order.push(name);
    return buffer;
  };
  const large = request("large", 16 * KIB);
  const small = [
    request("a", 4 * KIB),
    request("b", 4 * KIB),
    request("c", 4 * KIB),
  ];
  held[0]!.drop(); // There is room for the small ones, but they are later in the queue.
  await delay(20);
  assertEquals([order, pool.stats().waiting], [[], 4]);
  const refused = assertThrows(() => pool.acquireSync(1), PoolLimitError);
  assertEquals(
    (refused as Error).message,
    "Cannot acquire buffer of 1 bytes as 4 requests wait before it",
  );
  assertEquals((refused as PoolLimitError).waiting, 4);
  const late = request("late", 1);
  held[1]!.drop();
  (await large).drop();
  for (const each of small) (await each).drop();
  (await late).drop();
  assertEquals(order, ["large", "a", "b", "c", "late"]);
  assertEquals([pool.stats().waiting, pool.stats().inUseBytes], [0, 0]);
});

Deno.test("PooledBuffer that grows takes memory before waiting requests, so that its owner can finish", async () => {
  using pool = new BufferPool({ limitBytes: 16 * KIB, ...quiet });
  using buffer = pool.acquireSync(4 * KIB);
  const waiting = pool.acquire(16 * KIB);
  buffer.append("x");
  assertEquals(buffer.capacity, 8 * KIB);
  buffer.drop();
  (await waiting).drop();
});

Deno.test("BufferPool.acquire() with a signal: the wait ends with its reason, and the queue continues", async () => {
  using pool = new BufferPool({ limitBytes: 4 * KIB, ...quiet });
  const first = pool.acquireSync(1);
  const reason = new Error("no more time");
  const aborter = new AbortController();
  const aborted = pool.acquire(1, { signal: aborter.signal });
  const next = pool.acquire(1, { signal: AbortSignal.any([]) });
  aborter.abort(reason);
  assertEquals(await assertRejects(() => aborted), reason);
  assertEquals(pool.stats().waiting, 1);
  first.drop();
  const second = await next;
  // Too late for the request that was served, and too early for the one that is aborted.
  aborter.abort();
  assertEquals(second.state, "leased");
  assertEquals(
    await assertRejects(() =>
      pool.acquire(1, { signal: AbortSignal.abort(reason) })
    ),
    reason,
  );
  assertEquals(pool.stats().waiting, 0);
  second.drop();
});

Deno.test("BufferPool.acquire(): aborting a large request at the head serves the small ones after it", async () => {
  using pool = new BufferPool({ limitBytes: 8 * KIB, ...quiet });
  using held = pool.acquireSync(4 * KIB);
  const aborter = new AbortController();
  const large = pool.acquire(8 * KIB, { signal: aborter.signal });
  const small = pool.acquire(4 * KIB);
  aborter.abort();
  assertEquals(pool.stats().waiting, 0); // Immediately.
  await assertRejects(() => large, DOMException);
  using served = await small;
  assertEquals(held.length, served.length);
});

for (const others of ["none", "one at the head", "every second"]) {
  Deno.test(`BufferPool.acquire() removes 100,000 requests at once that one signal aborts, others in the queue: ${others}`, async () => {
    using pool = new BufferPool({ limitBytes: 4 * KIB, ...quiet });
    const held = pool.acquireSync(1);
    const controller = new AbortController();
    const { signal } = controller;
    const kept: Promise<PooledBuffer>[] = [];
    const aborted: Promise<void>[] = [];
    const began = performance.now();
    for (let i = 0; i < 100_000; i++) {
      if (
        others === "every second" || others === "one at the head" && i === 0
      ) {
        kept.push(pool.acquire(1));
      }
      aborted.push(
        pool.acquire(1, { signal }).then(unexpected, (reason) => {
          if (reason !== signal.reason) throw reason;
        }),
      );
    }
    controller.abort();
    assertEquals(pool.stats().waiting, kept.length);
    await Promise.all(aborted);
    held.drop();
    let served = 0;
    for (const each of kept) {
      (await each).drop();
      served++;
    }
    const tookMs = performance.now() - began;
    assertEquals([served, pool.stats().waiting], [kept.length, 0]);
    // A step for each pair would take minutes.
    assert(tookMs < 20_000, `${tookMs} ms`);
  });
}

Deno.test("BufferPool.acquire() for more than the pool can ever give is a PoolLimitError at once", async () => {
  using pool = new BufferPool({ limitBytes: 12 * KIB, ...quiet });
  await assertRejects(() => pool.acquire(8 * KIB + 1), PoolLimitError);
  // A quarantined block never returns.
  const lost = pool.acquireSync(4 * KIB);
  lost.bytes.buffer.transfer();
  lost.drop();
  (await pool.acquire(8 * KIB)).drop();
  const more = pool.acquireSync(4 * KIB);
  more.bytes.buffer.transfer();
  const waiting = assertRejects(() => pool.acquire(8 * KIB), PoolLimitError);
  more.drop(); // From here on it can never be served.
  await waiting;
  assertEquals(pool.stats().waiting, 0);
});

Deno.test("BufferPool at its limit frees blocks of other classes before a request fails", () => {
  using pool = new BufferPool({
    limitBytes: 1024 * KIB,
    atLimit: "fail",
    ...quiet,
  });
  for (
    const size of [4 * KIB, 64 * KIB, 256 * KIB, 1024 * KIB, 8 * KIB, 512 * KIB]
  ) {
    const buffers: PooledBuffer[] = [];
    while (buffers.length * size < 1024 * KIB) {
      buffers.push(pool.acquireSync(size));
      buffers.at(-1)!.bytes[0] = 1;
      assert(pool.stats().mappedBytes <= 1024 * KIB);
    }
    assertEquals(pool.stats().inUseBytes, 1024 * KIB);
    for (const buffer of buffers) buffer.drop();
  }
  assertEquals(pool.stats().peakMappedBytes, 1024 * KIB);
});

Deno.test("BufferPool warns once that its limit was reached", async () => {
  for (const atLimit of ["wait", "fail", "external"] as const) {
    const warnings: string[] = [];
    using pool = new BufferPool({
      limitBytes: 4 * KIB,
      atLimit,
      onWarning: (message) => warnings.push(message),
    });
    const first = pool.acquireSync(1);
    assertEquals(warnings, []);
    for (let i = 0; i < 3; i++) {
      try {
        pool.acquireSync(1).drop();
      } catch (error) {
        assert(error instanceof PoolLimitError);
      }
    }
    if (atLimit === "wait") {
      const waiting = pool.acquire(1);
      first.drop();
      (await waiting).drop();
    }
    first.drop();
    const doing = {
      wait: "requests wait",
      fail: "requests fail",
      external: "memory is taken beyond it",
    };
    assertEquals(warnings, [
      `Pool ${pool.id} has reached its limit of 4096 bytes: ${
        doing[atLimit]
      } ('atLimit' is '${atLimit}')`,
    ]);
  }
});

function unexpected(): never {
  throw new Error("A request that was aborted was served");
}

function delay(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs));
}
