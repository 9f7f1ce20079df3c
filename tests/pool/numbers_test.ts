import { assertEquals, assertThrows } from "@std/assert";
import { BufferPool, type PooledBuffer } from "../../lib/pool/mod.ts";

/** put, get, size, and values with their bytes. */
type Kind = [
  name: string,
  size: number,
  values: (number | bigint)[],
  wrong: (number | bigint)[],
];

// deno-fmt-ignore
const KINDS: Kind[] = [
  ["Uint8", 1, [0, 1, 255], [-1, 256, 0.5, NaN, 1n]],
  ["Uint16", 2, [0, 258, 65535], [-1, 65536, 0.5]],
  ["Uint32", 4, [0, 0x01020304, 2 ** 32 - 1], [-1, 2 ** 32, 0.5]],
  ["Uint64", 8, [0, 2 ** 32, 2 ** 32 + 5, 2 ** 53 - 1, 2 ** 53], [-1, 2 ** 53 + 2, 0.5, 1n]],
  ["BigUint64", 8, [0n, 2n ** 53n + 1n, 2n ** 64n - 1n], [-1n, 2n ** 64n, 5]],
  ["Int8", 1, [-128, -1, 127], [-129, 128]],
  ["Int16", 2, [-(2 ** 15), -2, 2 ** 15 - 1], [2 ** 15, -(2 ** 15) - 1]],
  ["Int32", 4, [-(2 ** 31), -3, 2 ** 31 - 1], [2 ** 31, -(2 ** 31) - 1]],
  ["BigInt64", 8, [-(2n ** 63n), -1n, 2n ** 63n - 1n], [2n ** 63n, -(2n ** 63n) - 1n]],
  ["Float32", 4, [0, -1.5, Infinity, 2 ** 100], []],
  ["Float64", 8, [0, -1.1, Infinity, Number.MAX_VALUE, 2 ** -1074], []],
];

/** The bytes that `DataView` writes, little-endian. */
function expected(
  name: string,
  size: number,
  value: number | bigint,
): number[] {
  const view = new DataView(new ArrayBuffer(size));
  if (name === "Uint64") view.setBigUint64(0, BigInt(value), true);
  // deno-lint-ignore no-explicit-any
  else (view as any)[`set${name}`](0, value, true);
  return [...new Uint8Array(view.buffer)];
}

function put(
  buffer: PooledBuffer,
  name: string,
  position: unknown,
  value: unknown,
): void {
  // deno-lint-ignore no-explicit-any
  (buffer as any)[`put${name}`](position, value);
}

function get(buffer: PooledBuffer, name: string, position: unknown): unknown {
  // deno-lint-ignore no-explicit-any
  return (buffer as any)[`get${name}`](position);
}

for (const [name, size, values, wrong] of KINDS) {
  Deno.test(`PooledBuffer.put${name}() and get${name}() are little-endian within the length`, () => {
    using pool = new BufferPool();
    using buffer = pool.acquireSync(33);
    for (const value of values) {
      for (const position of [0, 1, 33 - size]) {
        buffer.bytes.fill(0xaa);
        put(buffer, name, position, value);
        assertEquals(
          [...buffer.bytes.subarray(position, position + size)],
          expected(name, size, value),
        );
        assertEquals(
          buffer.bytes.filter((byte) => byte === 0xaa).length >= 33 - size,
          true,
        );
        assertEquals(get(buffer, name, position), value);
      }
    }
    // One after the end, although the block has more.
    for (const position of [-1, 34 - size, 33, 4096, 0.5, NaN, undefined]) {
      const before = buffer.bytes.slice();
      assertThrows(() => put(buffer, name, position, values[0]), RangeError);
      assertThrows(() => get(buffer, name, position), RangeError);
      assertEquals(buffer.bytes, before);
    }
    for (const value of wrong) {
      const error = assertThrows(() => put(buffer, name, 0, value), RangeError);
      assertEquals(
        (error as Error).message.endsWith(`: received ${value}`),
        true,
      );
    }
  });
}

Deno.test("PooledBuffer.put and get name the range that would do", () => {
  using pool = new BufferPool();
  using buffer = pool.acquireSync(10);
  const error = assertThrows(() => buffer.putUint32(7, 1), RangeError);
  assertEquals(
    (error as Error).message,
    "Cannot put 4 bytes as 'position' must be an integer from 0 to 6: received 7",
  );
  buffer.truncate(3);
  const short = assertThrows(() => buffer.getUint32(0), RangeError);
  assertEquals(
    (short as Error).message,
    "Cannot get 4 bytes as the buffer has 3: received 0",
  );
});

Deno.test("PooledBuffer.getUint64() refuses what a number cannot hold", () => {
  using pool = new BufferPool();
  using buffer = pool.acquireSync(8);
  for (const value of [2n ** 53n + 1n, 2n ** 53n + 2n, 2n ** 64n - 1n]) {
    buffer.putBigUint64(0, value);
    assertThrows(
      () => buffer.getUint64(0),
      RangeError,
      `above 2^53: read ${value}`,
    );
  }
});
