import { assertEquals, assertThrows } from "@std/assert";
import { BufferPool, PoolLimitError } from "../../lib/pool/mod.ts";

const decoder = new TextDecoder();

Deno.test("PooledBuffer.append() adds bytes and strings, and returns their position", () => {
  using pool = new BufferPool();
  using buffer = pool.acquireSync(0);
  assertEquals(buffer.append(new Uint8Array([1, 2, 3])), 0);
  assertEquals(buffer.append("äöü"), 3);
  assertEquals(buffer.append(""), 9);
  assertEquals(buffer.append("€ 😀"), 9);
  assertEquals(buffer.length, 17);
  assertEquals([...buffer.bytes.subarray(0, 3)], [1, 2, 3]);
  assertEquals(decoder.decode(buffer.bytes.subarray(3)), "äöü€ 😀");
});

Deno.test("PooledBuffer.append() encodes every string like TextEncoder", () => {
  using pool = new BufferPool();
  const units = [
    "a",
    "\x7f",
    "\x80",
    "\u07ff",
    "\u0800",
    "\ud800",
    "\udc00",
    "\uffff",
  ];
  const encoder = new TextEncoder();
  // All strings of up to 3 of these units, that is every way in which surrogates can meet.
  const texts = [""];
  for (let from = 0, round = 0; round < 3; round++) {
    const until = texts.length;
    for (; from < until; from++) {
      for (const unit of units) texts.push(texts[from] + unit);
    }
  }
  for (const text of texts) {
    for (const aligned of [true, false]) {
      using buffer = pool.acquireSync(0, { aligned });
      buffer.append(text);
      assertEquals(buffer.bytes, encoder.encode(text));
    }
  }
});

Deno.test("PooledBuffer.append() moves to a larger block where there is no room", () => {
  using pool = new BufferPool();
  using buffer = pool.acquireSync(4000);
  buffer.bytes.fill(1);
  const view = buffer.bytes;
  assertEquals(buffer.append(new Uint8Array(97).fill(2)), 4000);
  assertEquals([buffer.length, buffer.capacity, view.length], [4097, 8192, 0]);
  assertEquals([buffer.bytes[3999], buffer.bytes[4000]], [1, 2]);
  const { resized, inUseBytes } = pool.stats();
  assertEquals([resized, inUseBytes], [1, 8192]);
});

Deno.test("PooledBuffer.append() of its own bytes survives the move", () => {
  using pool = new BufferPool();
  for (const aligned of [true, false]) {
    using buffer = pool.acquireSync(3000, { aligned });
    buffer.bytes.forEach((_, i, bytes) => bytes[i] = i % 251);
    const copy = buffer.bytes.slice();
    buffer.append(buffer.bytes);
    assertEquals(buffer.bytes.slice(0, 3000), copy);
    assertEquals(buffer.bytes.slice(3000), copy);
  }
});

Deno.test("PooledBuffer.append() of plain memory grows it, and moves to a block when it needs one", () => {
  using pool = new BufferPool();
  using buffer = pool.acquireSync(0, { aligned: false });
  const reference: number[] = [];
  for (let i = 0; i < 5000; i++) {
    buffer.append(new Uint8Array([i % 256]));
    reference.push(i % 256);
  }
  assertEquals([...buffer.bytes], reference);
  assertEquals([buffer.aligned, buffer.capacity], [true, 8192]);
  const { plainInUse, plainAcquired, resized, inUseBytes } = pool.stats();
  assertEquals([plainInUse, inUseBytes], [0, 8192]);
  assertEquals(resized < 12, true, `moved ${resized} times`);
  assertEquals(plainAcquired, resized);
});

Deno.test("PooledBuffer.reserve() moves only where it must", () => {
  using pool = new BufferPool();
  using buffer = pool.acquireSync(96);
  buffer.bytes.fill(4);
  buffer.reserve(4000);
  assertEquals([buffer.capacity, pool.stats().resized], [4096, 0]);
  buffer.reserve(4001);
  assertEquals([buffer.length, buffer.capacity], [96, 8192]);
  assertEquals(pool.stats().resized, 1);
  assertEquals(buffer.bytes, new Uint8Array(96).fill(4));
  for (const wrong of [-1, 0.5, NaN, 2 ** 30]) {
    assertThrows(() => buffer.reserve(wrong), RangeError, "additionalBytes");
  }
});

Deno.test("PooledBuffer growth at the limit throws PoolLimitError and changes nothing", () => {
  using pool = new BufferPool({ limitBytes: 8192, onWarning() {} });
  using buffer = pool.acquireSync(4096);
  const view = buffer.bytes.fill(3);
  for (
    const grow of [
      () => buffer.append("x"),
      () => buffer.reserve(1),
      () => buffer.resize(4097),
    ]
  ) {
    const error = assertThrows(grow, PoolLimitError) as PoolLimitError;
    assertEquals(
      [error.limitBytes, error.requestedBytes, error.name],
      [8192, 4097, "PoolLimitError"],
    );
    assertEquals([buffer.length, view.length, buffer.capacity], [
      4096,
      4096,
      4096,
    ]);
  }
  assertEquals(pool.stats().resized, 0);
});

Deno.test("PooledBuffer growth at the limit goes beyond it where the pool allows it", () => {
  using pool = new BufferPool({
    limitBytes: 4096,
    atLimit: "external",
    onWarning() {},
  });
  using buffer = pool.acquireSync(4096);
  buffer.append("x");
  assertEquals([buffer.external, pool.stats().inUseBytes], [true, 0]);
});

Deno.test("PooledBuffer.truncate() and resize(): added bytes are zeros", () => {
  using pool = new BufferPool();
  const dirty = pool.acquireSync(8192);
  dirty.bytes.fill(0xff);
  dirty.drop();
  using buffer = pool.acquireSync(8192);
  buffer.truncate(10);
  assertThrows(() => buffer.truncate(11), RangeError, "from 0 to 10");
  buffer.resize(20);
  assertEquals([...buffer.bytes], [
    ...Array(10).fill(0xff),
    ...Array(10).fill(0),
  ]);
  buffer.resize(10_000);
  assertEquals(buffer.bytes.subarray(10).every((byte) => byte === 0), true);
  assertEquals(buffer.capacity, 16384);
  buffer.resize(0);
  assertEquals([buffer.length, buffer.capacity], [0, 16384]);
  assertThrows(() => buffer.resize(-1), RangeError, "'length'");
  assertThrows(() => buffer.resize(2 ** 29 + 1), RangeError, "'length'");
});
