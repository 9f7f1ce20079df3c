import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  INDEX_ENTRY_BYTES,
  type IndexEntry,
  isPlausibleEntry,
  isSafeEntry,
  readIndexEntry,
  writeIndexEntry,
} from "../../lib/codec/mod.ts";

const MAX = Number.MAX_SAFE_INTEGER;

Deno.test("readIndexEntry() reads what writeIndexEntry() and a naive writer wrote", () => {
  const number = fc.oneof(fc.maxSafeNat(), fc.constantFrom(0, 2 ** 32, MAX));
  fc.assert(fc.property(
    fc.array(
      fc.record({ offset: number, timestamp: number, position: number }),
    ),
    (entries) => {
      const bytes = new Uint8Array(entries.length * INDEX_ENTRY_BYTES);
      const naive = new DataView(new ArrayBuffer(bytes.length));
      entries.forEach((entry, i) => {
        writeIndexEntry(bytes, i, entry);
        naive.setBigUint64(24 * i, BigInt(entry.offset), true);
        naive.setBigUint64(24 * i + 8, BigInt(entry.timestamp), true);
        naive.setBigUint64(24 * i + 16, BigInt(entry.position), true);
      });
      assertEquals(bytes, new Uint8Array(naive.buffer));
      entries.forEach((entry, i) => {
        assertEquals(readIndexEntry(bytes, i), entry);
      });
    },
  ));
});

Deno.test("readIndexEntry() and writeIndexEntry() refuse entries outside the bytes", () => {
  const bytes = new Uint8Array(47);
  const entry = { offset: 1, timestamp: 2, position: 3 };
  writeIndexEntry(bytes, 0, entry);
  const before = bytes.slice();
  for (const i of [1, 2, -1]) {
    assertThrows(() => readIndexEntry(bytes, i), RangeError);
    assertThrows(() => writeIndexEntry(bytes, i, entry), RangeError);
  }
  assertEquals(bytes, before);
});

Deno.test("isPlausibleEntry() accepts entries that batches can have, and no others", () => {
  const before = { offset: 10, timestamp: 50, position: 1000 };
  const plausible = (change: Partial<IndexEntry>) =>
    isPlausibleEntry(
      { offset: 11, timestamp: 50, position: 1304, ...change },
      before,
    );
  assertEquals(plausible({}), true);
  assertEquals(plausible({ timestamp: 51 }), true);
  assertEquals(plausible({ timestamp: 49 }), false);
  assertEquals(plausible({ offset: 10 }), false);
  assertEquals(plausible({ offset: 9 }), false);
  assertEquals(plausible({ position: 1303 }), false);
  assertEquals(plausible({ position: 1000 }), false);
  assertEquals(plausible({ offset: 12 }), false);
  assertEquals(plausible({ offset: 12, position: 1352 }), true);
  assertEquals(plausible({ offset: 10 + 1000, position: 49_255 }), false);
  assertEquals(plausible({ offset: 10 + 1000, position: 49_256 }), true);
});

Deno.test("isSafeEntry() takes no number above 2^53", () => {
  for (const at of [0, 8, 16]) {
    const bytes = new Uint8Array(24);
    assertEquals(isSafeEntry(readIndexEntry(bytes, 0)), true);
    new DataView(bytes.buffer).setBigUint64(at, 2n ** 53n, true);
    assertEquals(isSafeEntry(readIndexEntry(bytes, 0)), false);
    bytes.fill(0xff);
    assertEquals(isSafeEntry(readIndexEntry(bytes, 0)), false);
  }
});
