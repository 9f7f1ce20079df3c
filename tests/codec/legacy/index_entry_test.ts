import { assertEquals, assertThrows } from "@std/assert";
import {
  indexPosition,
  indexRelativeOffset,
  indexTimestamp,
  readIndexEntry,
  writeIndexEntry,
} from "../../../lib/codec/legacy/mod.ts";

const MAX = Number.MAX_SAFE_INTEGER;

Deno.test("index entries are read as they were written, at the ends of their ranges too", () => {
  const bytes = new Uint8Array(3 + 48).subarray(3);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries = [
    { relativeOffset: 0, position: 64, timestamp: 0 },
    { relativeOffset: 1, position: 2 ** 31, timestamp: 2 ** 32 },
    { relativeOffset: 2 ** 32 - 1, position: 2 ** 32 - 1, timestamp: MAX },
  ];
  entries.forEach((entry, i) => writeIndexEntry(bytes, i, entry));
  entries.forEach((entry, i) => {
    assertEquals(readIndexEntry(bytes, i), entry);
    assertEquals(indexRelativeOffset(view, i), entry.relativeOffset);
    assertEquals(indexPosition(view, i), entry.position);
    assertEquals(indexTimestamp(view, i), entry.timestamp);
    assertEquals(view.getBigUint64(16 * i + 8, true), BigInt(entry.timestamp));
  });
});

Deno.test("index entries outside the bytes, or out of range, are refused", () => {
  const bytes = new Uint8Array(31);
  const entry = { relativeOffset: 1, position: 1, timestamp: 1 };
  assertThrows(() => readIndexEntry(bytes, 1), RangeError);
  assertThrows(() => readIndexEntry(bytes, -1), RangeError);
  assertThrows(() => writeIndexEntry(bytes, 1, entry), RangeError);
  for (
    const [name, bad] of [
      ["relativeOffset", 2 ** 32],
      ["position", -1],
      ["timestamp", 2 ** 53],
      ["timestamp", 0.5],
    ] as const
  ) {
    assertThrows(
      () => writeIndexEntry(bytes, 0, { ...entry, [name]: bad }),
      RangeError,
      `'${name}'`,
    );
  }
  assertEquals(bytes, new Uint8Array(31));
  bytes.fill(0xff);
  assertThrows(() => readIndexEntry(bytes, 0), RangeError, "index entry 0");
});
