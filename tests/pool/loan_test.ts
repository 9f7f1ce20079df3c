import { assert, assertEquals, assertThrows } from "@std/assert";
import { BufferPool } from "../../lib/pool/mod.ts";

Deno.test("BufferPool.lend() identifies the bytes by pool, slot, generation, start and length", () => {
  using pool = new BufferPool();
  using buffer = pool.acquireSync(5000);
  const whole = pool.lend(buffer);
  assertEquals([whole.poolId, whole.start, whole.length, whole.access], [
    pool.id,
    0,
    5000,
    "write",
  ]);
  whole.end();
  const part = pool.lend(buffer, 4096, 4096, "read"); // Up to the capacity.
  assertEquals([part.slot, part.generation], [whole.slot, whole.generation]);
  assertEquals([part.start, part.length, part.access], [4096, 4096, "read"]);
  part.end();
  const rest = pool.lend(buffer, 6000);
  assertEquals([rest.start, rest.length], [6000, 0]);
  rest.end();
});

Deno.test("Loan.bytes is a private view of the range, detached by end()", () => {
  using pool = new BufferPool();
  using buffer = pool.acquireSync(100, { zeroed: true });
  const loan = pool.lend(buffer, 10, 20);
  const view = loan.bytes;
  assert(loan.bytes === view);
  assertEquals([view.length, view.byteOffset, view.buffer.byteLength], [
    20,
    0,
    20,
  ]);
  view.fill(6);
  loan.end();
  assertEquals([view.length, view.buffer.detached], [0, true]);
  assertThrows(() => loan.bytes, TypeError, "Cannot use loan: it has ended");
  assertEquals([...buffer.bytes], [
    ...Array(10).fill(0),
    ...Array(20).fill(6),
    ...Array(70).fill(0),
  ]);
  const empty = pool.lend(buffer, 100);
  assertEquals(empty.bytes.length, 0);
  empty.end();
});

Deno.test("Loan.end() a second time does not end another loan of the same buffer", () => {
  using pool = new BufferPool();
  using buffer = pool.acquireSync(100);
  const first = pool.lend(buffer);
  first.end();
  const second = pool.lend(buffer);
  first.end();
  assertEquals(buffer.state, "lent");
  assertThrows(() => buffer.bytes, TypeError, "is lent");
  second.end();
  assertEquals(buffer.state, "leased");
});
