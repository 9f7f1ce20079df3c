import { assertEquals, assertThrows } from "@std/assert";
import { readIndexEntry } from "../../../lib/codec/legacy/mod.ts";

const MAX = Number.MAX_SAFE_INTEGER;

Deno.test("readIndexEntry() reads entries at the limits of their ranges, at any alignment", () => {
  const bytes = new Uint8Array(3 + 48).subarray(3);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries = [
    { relativeOffset: 0, position: 64, timestamp: 0 },
    { relativeOffset: 1, position: 2 ** 31, timestamp: 2 ** 32 },
    { relativeOffset: 2 ** 32 - 1, position: 2 ** 32 - 1, timestamp: MAX },
  ];
  for (const [i, entry] of entries.entries()) {
    view.setUint32(16 * i, entry.relativeOffset, true);
    view.setUint32(16 * i + 4, entry.position, true);
    view.setBigUint64(16 * i + 8, BigInt(entry.timestamp), true);
    assertEquals(readIndexEntry(bytes, i), entry);
  }
});

Deno.test("readIndexEntry() refuses entries outside the bytes", () => {
  const bytes = new Uint8Array(31).fill(0xff);
  assertThrows(() => readIndexEntry(bytes, 1), RangeError);
  assertThrows(() => readIndexEntry(bytes, -1), RangeError);
});
