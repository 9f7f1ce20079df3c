import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  BatchScan,
  layPayloads,
  type LayRun,
  readFrame,
  RECORD_BATCH_START,
  RECORD_BYTES,
  seal,
} from "../../lib/codec/mod.ts";
import { counting, joined } from "./_naive.ts";

Deno.test("layPayloads() lays out the same as a naive writer, as much as fits", () => {
  fc.assert(fc.property(
    fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 12 }),
    fc.nat({ max: 12 }),
    fc.nat({ max: 100 }),
    fc.nat({ max: 300 }),
    fc.nat({ max: 200 }),
    fc.nat({ max: 4 }),
    (payloads, first, start, words, spare, recordCount) => {
      const source = joined([counting(3), ...payloads]);
      const skipped = joined(payloads.slice(0, first)).length;
      const length = Math.ceil(start / 8) * 8 + 8 * (words + recordCount);
      const bytes = new Uint8Array(length).fill(0xee);
      const end = Math.max(start, length - spare);
      const expected = bytes.slice();
      const view = new DataView(expected.buffer);
      let at = start;
      let count = 0;
      let sourceEnd = 3 + skipped;
      for (const payload of payloads.slice(first)) {
        const record = length - RECORD_BYTES * (recordCount + count + 1);
        const frameEnd = at + 48 + payload.length;
        if (frameEnd > end || frameEnd > record) break;
        expected.set(payload, at + 48);
        view.setUint32(record, payload.length, true);
        view.setUint32(record + 4, 0, true);
        [at, count, sourceEnd] = [
          frameEnd,
          count + 1,
          sourceEnd + payload.length,
        ];
      }
      fc.pre(first <= payloads.length && start <= length - 8 * recordCount);
      const laid = layPayloads({
        source,
        sourceStart: 3 + skipped,
        lengths: Uint32Array.from(payloads, ({ length }) => length),
        first,
        bytes,
        start,
        end,
        recordCount,
      });
      assertEquals(laid, { count, sourceEnd, end: at });
      assertEquals(bytes, expected);
    },
  ));
});

Deno.test("layPayloads() and seal() make batches that a scan reads", () => {
  const payloads = Array.from({ length: 50 }, (_, i) => counting(7 * i));
  const lengths = Uint32Array.from(payloads, ({ length }) => length);
  const source = joined(payloads);
  const bytes = new Uint8Array(65536);
  const words = new Uint32Array(bytes.buffer);
  let [count, end, sourceStart] = [0, 0, 0];
  while (count < payloads.length) {
    const laid = layPayloads({
      source,
      sourceStart,
      lengths,
      first: count,
      bytes,
      start: end + 256,
      end: end + 4096,
      recordCount: count,
    });
    words[words.length - 2 * count - 1]! |= RECORD_BATCH_START;
    count += laid.count;
    end = laid.end;
    sourceStart = laid.sourceEnd;
  }
  const seed = new Uint8Array(32);
  const run = { bytes, start: 0, count, baseOffset: 0, baseTimestamp: 1, seed };
  assertEquals(seal(run), end);
  const scan = new BatchScan();
  assertEquals(scan.run(bytes.subarray(0, end), 0, 0), 50);
  payloads.forEach((payload, i) => {
    assertEquals(readFrame(bytes, scan.starts[i]!, 0).payload, payload);
  });
});

Deno.test("layPayloads() refuses values out of range, and writes nothing", () => {
  const good = (): LayRun => ({
    source: counting(30) as Uint8Array<ArrayBuffer>,
    sourceStart: 0,
    lengths: Uint32Array.of(10, 20),
    first: 0,
    bytes: new Uint8Array(400),
    start: 0,
    end: 400,
    recordCount: 0,
  });
  assertEquals(layPayloads(good()), { count: 2, sourceEnd: 30, end: 126 });
  const refused = (change: Partial<LayRun>) => {
    const run = { ...good(), ...change };
    const before = run.bytes.slice();
    assertThrows(() => layPayloads(run), RangeError, "Cannot lay out");
    assertEquals(run.bytes, before);
  };
  for (const value of [-1, 0.5, NaN, 2 ** 32]) {
    refused({ sourceStart: value });
    refused({ first: value });
    refused({ start: value });
    refused({ end: value });
    refused({ recordCount: value });
  }
  refused({ sourceStart: 1 });
  refused({ sourceStart: 31 });
  refused({ first: 3 });
  refused({ end: 401 });
  refused({ start: 10, end: 9 });
  refused({ recordCount: 51 });
  refused({ lengths: Uint32Array.of(64_000_001) });
  const shared = new Uint8Array(400);
  refused({ bytes: shared, source: shared.subarray(399) });
});
