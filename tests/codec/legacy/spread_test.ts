import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { spread, type SpreadRun } from "../../../lib/codec/legacy/mod.ts";

Deno.test("spread() lays out what a naive writer lays out, as much as fits", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 12 }),
      fc.nat(12),
      fc.nat(3),
      fc.nat(100),
      fc.nat(3000),
      fc.nat(14),
      (payloads, skip, recordCount, start, room, records) => {
        const first = Math.min(skip, payloads.length);
        const source = Uint8Array.from(payloads.flatMap((each) => [...each]));
        const before = payloads.slice(0, first);
        const sourceStart = before.reduce((sum, each) => sum + each.length, 0);
        const bytes = new Uint8Array(start + room + 5).fill(0xee);
        const words = new Uint32Array(2 * (recordCount + records)).fill(9);
        const expected = { bytes: bytes.slice(), words: words.slice() };
        let at = start;
        let count = 0;
        let sourceEnd = sourceStart;
        for (const payload of payloads.slice(first)) {
          const end = at + 64 + payload.length;
          if (end > start + room || count === records) break;
          expected.bytes.set(payload, at + 64);
          expected.words.set([payload.length, 0], 2 * (recordCount + count));
          sourceEnd += payload.length;
          at = end;
          count++;
        }
        const done = spread({
          source,
          sourceStart,
          lengths: Uint32Array.from(payloads, ({ length }) => length),
          first,
          bytes,
          start,
          end: start + room,
          records: words,
          recordCount,
        });
        assertEquals(done, { count, sourceEnd, end: at });
        assertEquals([bytes, words], [expected.bytes, expected.words]);
      },
    ),
    { numRuns: 300, seed: 3 },
  );
});

Deno.test("spread() refuses positions and lengths outside of what it was given", () => {
  const bytes = new Uint8Array(500);
  const good: SpreadRun = {
    source: new Uint8Array(30),
    sourceStart: 0,
    lengths: Uint32Array.of(10, 20),
    first: 0,
    bytes,
    start: 0,
    end: 500,
    records: new Uint32Array(4),
    recordCount: 0,
  };
  assertEquals(spread(good), { count: 2, sourceEnd: 30, end: 158 });
  const wrong: Partial<SpreadRun>[] = [
    { sourceStart: 1 },
    { sourceStart: 31 },
    { lengths: Uint32Array.of(10, 21) },
    { lengths: Uint32Array.of(64_000_001) },
    { first: 3 },
    { start: 501 },
    { end: 501 },
    { start: 400, end: 399 },
    { recordCount: 3 },
    { source: bytes.subarray(0, 30) },
  ];
  for (const changes of wrong) {
    assertThrows(() => spread({ ...good, ...changes }), RangeError);
  }
});
