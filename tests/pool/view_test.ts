/** Numbers in the memory of a buffer: `view`, over the same bytes as `bytes`. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  BufferPool,
  type FrozenBuffer,
  type PooledBuffer,
} from "../../lib/pool/mod.ts";

/** Whether a view was detached. Its length throws then. */
function isDetached(view: DataView<ArrayBuffer>): boolean {
  if (!view.buffer.detached) return false;
  assertThrows(() => view.byteLength, TypeError);
  assertThrows(() => view.getUint8(0), TypeError);
  return true;
}

for (const aligned of [true, false]) {
  Deno.test(`PooledBuffer.view has exactly the bytes in use, aligned ${aligned}`, () => {
    using pool = new BufferPool();
    using buffer = pool.acquireSync(33, { aligned });
    const { view, bytes } = buffer;
    assertEquals([view.byteOffset, view.byteLength], [0, 33]);
    view.setUint32(29, 0x01020304, true);
    assertEquals([...bytes.subarray(29)], [4, 3, 2, 1]);
    bytes.set([1, 2, 3, 4], 5);
    assertEquals([view.getUint32(5), view.getUint32(5, true)], [
      0x01020304,
      0x04030201,
    ]);
    // The memory is larger.
    assert(buffer.capacity > 33);
    assertThrows(() => view.setUint32(30, 1), RangeError);
    assertThrows(() => view.getUint8(33), RangeError);
  });
}

Deno.test("PooledBuffer.view is the same one until the length changes or the memory moves", () => {
  using pool = new BufferPool();
  using buffer = pool.acquireSync(100);
  const { view } = buffer;
  assert(buffer.view === view);
  assert(buffer.bytes.buffer === view.buffer);
  assert(buffer.view === view);
  buffer.truncate(50);
  assertEquals([buffer.view.byteLength, buffer.bytes.length], [50, 50]);
  // A view that is longer than the bytes in use still covers the same memory.
  view.setUint8(0, 7);
  assertEquals(buffer.view.getUint8(0), 7);
  buffer.resize(5000);
  assert(isDetached(view));
  assertEquals([buffer.view.byteLength, buffer.view.getUint8(0)], [5000, 7]);
  buffer.truncate(0);
  assertEquals(buffer.view.byteLength, 0);
});

const ENDS: Record<string, (buffer: PooledBuffer) => void> = {
  "drop()": (buffer) => buffer.drop(),
  "freeze()": (buffer) => buffer.freeze().drop(),
  "splitTo()": (buffer) => buffer.splitTo(8).drop(),
  "a loan": (buffer) => buffer.pool.lend(buffer).end(),
};

for (const [name, end] of Object.entries(ENDS)) {
  for (const length of [16, 9000]) {
    Deno.test(`PooledBuffer.view is detached by ${name}, ${length} bytes, also if bytes was never used`, () => {
      using pool = new BufferPool();
      using buffer = pool.acquireSync(length);
      const { view } = buffer;
      view.setUint8(length - 1, 9);
      end(buffer);
      assert(isDetached(view));
      if (buffer.state !== "leased") {
        assertThrows(() => buffer.view, TypeError, "Cannot use buffer");
        return;
      }
      // The owner has the memory again, with a new view.
      assert(buffer.view !== view);
      assertEquals(buffer.view.getUint8(buffer.length - 1), 9);
    });
  }
}

Deno.test("FrozenBuffer.view has the bytes of the slice, and is detached with the last holder", () => {
  using pool = new BufferPool();
  const buffer = pool.acquireSync(0);
  buffer.append(new Uint8Array([9, 1, 0, 0, 0, 2, 0, 0, 0]));
  const frozen = buffer.freeze();
  const slice = frozen.slice(1, 5);
  const { view } = slice;
  assert(slice.view === view);
  assertEquals([view.byteOffset, view.byteLength], [1, 4]);
  assertEquals([view.getUint32(0, true), frozen.view.getUint32(5, true)], [
    1,
    2,
  ]);
  frozen.drop();
  assertThrows(() => frozen.view, TypeError, "the buffer was dropped");
  assertEquals(view.getUint8(0), 1);
  slice.drop();
  assert(isDetached(view));
});

Deno.test("PooledBuffer.view and FrozenBuffer.view report that the memory was transferred away", () => {
  using pool = new BufferPool();
  const owners: ((buffer: PooledBuffer) => PooledBuffer | FrozenBuffer)[] = [
    (buffer) => buffer,
    (buffer) => buffer.freeze(),
  ];
  for (const own of owners) {
    const owner = own(pool.acquireSync(4096));
    owner.view.buffer.transfer();
    assertThrows(() => owner.view, TypeError, "detached by someone else");
    assertEquals(owner.state, "lost");
  }
  assertEquals(pool.stats().quarantinedBytes, 2 * 4096);
});
