import { assert, assertEquals, assertThrows } from "@std/assert";
import { BufferPool } from "../../lib/pool/mod.ts";

Deno.test("PooledBuffer.freeze() detaches the writer's view, and returns the block with the last holder", () => {
  using pool = new BufferPool();
  const buffer = pool.acquireSync(10);
  const mine = buffer.bytes;
  mine.forEach((_, i) => mine[i] = i);
  const frozen = buffer.freeze();
  assertEquals([mine.length, buffer.state, frozen.state], [
    0,
    "frozen",
    "frozen",
  ]);
  const holders = [
    frozen,
    frozen.retain(),
    frozen.slice(2),
    frozen.slice(2, 5),
  ];
  assertEquals(holders.map((holder) => [...holder.bytes]), [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    [2, 3, 4, 5, 6, 7, 8, 9],
    [2, 3, 4],
  ]);
  assertEquals([...holders[2]!.slice(1, 2).bytes], [3]);
  assertEquals(pool.stats().frozen, 1);
});

Deno.test("FrozenBuffer slices share one view, which is detached with the last holder, in every order", () => {
  // All orders in which 4 holders can be dropped.
  const orders = permutations([0, 1, 2, 3]);
  assertEquals(orders.length, 24);
  using pool = new BufferPool();
  for (const order of orders) {
    const frozen = pool.acquireSync(4096).freeze();
    const holders = [
      frozen,
      frozen.retain(),
      frozen.slice(1),
      frozen.slice(9, 9),
    ];
    const views = holders.map((holder) => holder.bytes);
    assert(views.every((view) => view.buffer === views[0]!.buffer));
    for (const [done, index] of order.entries()) {
      holders[index]!.drop();
      holders[index]!.drop();
      const last = done === 3;
      assertEquals(views[0]!.length, last ? 0 : 4096);
      assertEquals(pool.stats().inUseBytes, last ? 0 : 4096);
      assertThrows(() => holders[index]!.bytes, TypeError, "was dropped");
    }
    assertEquals(pool.stats().frozen, 0);
  }
  const { acquired, returned } = pool.stats();
  assertEquals([acquired, returned], [24, 24]);
});

Deno.test("FrozenBuffer that was dropped: every use is a TypeError", () => {
  using pool = new BufferPool();
  const frozen = pool.acquireSync(10).freeze();
  using other = frozen.retain();
  frozen.drop();
  for (
    const use of [
      () => frozen.bytes,
      () => frozen.length,
      () => frozen.slice(),
      () => frozen.slice(0, 1),
      () => frozen.retain(),
      () => frozen.hold(Promise.resolve()),
      () => pool.lend(frozen),
    ]
  ) assertThrows(use, TypeError, "buffer: the buffer was dropped");
  assertEquals([frozen.state, other.length], ["dropped", 10]);
});

Deno.test("FrozenBuffer.slice() refuses ranges outside", () => {
  using pool = new BufferPool();
  using frozen = pool.acquireSync(10).freeze();
  for (const [start, end] of [[-1, 5], [0, 11], [5, 4], [11, 11], [0.5, 2]]) {
    assertThrows(
      () => frozen.slice(start, end),
      RangeError,
      "Cannot slice buffer as",
    );
  }
  using slice = frozen.slice(4, 8);
  assertThrows(() => slice.slice(0, 5), RangeError, "from 0 to 4");
  assertEquals(pool.stats().frozen, 1);
});

Deno.test("FrozenBuffer is lent many times, for reading only, and its view stays", () => {
  using pool = new BufferPool();
  const frozen = pool.acquireSync(100, { zeroed: true }).freeze();
  const slice = frozen.slice(10, 30);
  const view = frozen.bytes;
  assertThrows(
    () => pool.lend(frozen, 0, 1, "write"),
    TypeError,
    "Cannot lend buffer to be written to: the buffer is frozen",
  );
  const loans = [
    pool.lend(frozen),
    pool.lend(slice, 5),
    pool.lend(slice, 0, 3, "read"),
  ];
  assertEquals(loans.map((loan) => [loan.start, loan.length, loan.access]), [
    [0, 100, "read"],
    [15, 15, "read"],
    [10, 3, "read"],
  ]);
  assertEquals([view.length, frozen.bytes.length], [100, 100]);
  const lent = loans.map((loan) => loan.bytes);
  frozen.drop();
  slice.drop();
  for (const [i, loan] of loans.entries()) {
    assertEquals(pool.stats().inUseBytes, 4096);
    loan.end();
    assertEquals(lent[i]!.length, 0);
  }
  assertEquals([pool.stats().inUseBytes, view.length], [0, 0]);
});

Deno.test("FrozenBuffer.hold() keeps the memory until the promise settles", async () => {
  using pool = new BufferPool();
  const frozen = pool.acquireSync(100).freeze();
  const { promise, resolve } = Promise.withResolvers<number>();
  const held = frozen.hold(promise);
  const view = frozen.bytes;
  frozen.drop();
  assertEquals([pool.stats().frozen, view.length], [1, 100]);
  resolve(3);
  assertEquals(await held, 3);
  assertEquals([pool.stats().frozen, view.length], [0, 0]);
});

Deno.test("FrozenBuffer of plain memory does not count as a frozen block", () => {
  using pool = new BufferPool();
  const buffer = pool.acquireSync(0, { aligned: false });
  buffer.append("plain");
  const frozen = buffer.freeze();
  using slice = frozen.slice(1);
  frozen.drop();
  assertEquals(new TextDecoder().decode(slice.bytes), "lain");
  assertEquals([pool.stats().frozen, pool.stats().plainInUse], [0, 1]);
  assertThrows(() => pool.lend(slice), TypeError, "plain memory");
  slice.drop();
  assertEquals(pool.stats().plainInUse, 0);
});

function permutations<T>(items: T[]): T[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item, i) =>
    permutations(items.toSpliced(i, 1)).map((rest) => [item, ...rest])
  );
}
