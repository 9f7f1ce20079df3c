import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { BatchScan, layoutOf } from "../../lib/codec/mod.ts";
import {
  batchOf,
  counting,
  joined,
  parsedBatch,
  type PlainBatch,
  TIME,
  writtenBatch,
} from "./_naive.ts";

function scanned(bytes: Uint8Array<ArrayBuffer>, offset = 5, time = 0) {
  const scan = new BatchScan();
  scan.run(bytes, 0, offset, time);
  return [scan.count, scan.stop, scan.end, scan.neededBytes];
}

const frame = fc.record({
  id: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  timestampDelta: fc.nat({ max: 0xffff_ffff }),
  payload: fc.uint8Array({ maxLength: 300 }),
  headers: fc.uint8Array({ maxLength: 40 }),
});
const producer = fc.record({
  id: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
  epoch: fc.nat({ max: 2 ** 15 - 1 }),
  sequence: fc.nat({ max: 2 ** 31 - 1 }),
});
const batch = fc.record({
  partition: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  baseTimestamp: fc.constantFrom(BigInt(TIME), BigInt(TIME + 1)),
  origin: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  frames: fc.array(frame, { minLength: 1, maxLength: 5 }),
  producer,
}, { requiredKeys: ["partition", "baseTimestamp", "origin", "frames"] });

function written(
  parts: readonly Omit<PlainBatch, "baseOffset">[],
): Uint8Array<ArrayBuffer> {
  let next = 5n;
  return joined(parts.map((part) => {
    const whole = { ...part, baseOffset: next } as PlainBatch;
    next += BigInt(part.frames.length);
    return writtenBatch(whole);
  }));
}

Deno.test("layoutOf() finds the messages of valid batches where BatchScan finds them", () => {
  fc.assert(fc.property(fc.array(batch, { maxLength: 4 }), (parts) => {
    const bytes = written(parts);
    const scan = new BatchScan(1);
    const count = scan.run(bytes, 0, 5);
    const { batchCount } = scan;
    const valid = bytes.subarray(0, scan.end);
    assertEquals(layoutOf(valid, count), {
      starts: scan.starts.slice(0, count),
      lengths: scan.lengths.slice(0, count),
      batchStarts: scan.batchStarts.slice(0, batchCount),
      batchFirsts: scan.batchFirsts.slice(0, batchCount),
    });
    assertThrows(() => layoutOf(valid, count + 1), RangeError);
  }));
});

Deno.test("BatchScan finds the same as a naive parser, whatever byte is changed", () => {
  const change = fc.option(fc.record({
    at: fc.nat(),
    value: fc.nat({ max: 255 }),
  }));
  fc.assert(
    fc.property(
      fc.array(batch, { maxLength: 4 }),
      change,
      fc.nat({ max: 60 }),
      fc.integer({ min: 1, max: 9 }),
      (parts, change, cut, capacity) => {
        const bytes = written(parts);
        if (change && bytes.length > 0) {
          bytes[change.at % bytes.length] = change.value;
        }
        const cutBytes = bytes.subarray(0, Math.max(bytes.length - cut, 0));
        const scan = new BatchScan(capacity);
        scan.run(cutBytes, 0, 5);

        const starts: number[] = [];
        const lengths: number[] = [];
        const batchStarts: number[] = [];
        const batchFirsts: number[] = [];
        let end = 0;
        let timestamp = 0n;
        for (;;) {
          const parsed = parsedBatch(cutBytes.subarray(end));
          if (
            parsed === undefined ||
            parsed.baseOffset !== BigInt(5 + starts.length) ||
            parsed.baseTimestamp < timestamp ||
            parsed.baseTimestamp > Number.MAX_SAFE_INTEGER
          ) {
            break;
          }
          batchStarts.push(end);
          batchFirsts.push(starts.length);
          let at = end + 256;
          for (const { payload, headers } of parsed.frames) {
            starts.push(at);
            lengths.push(payload.length);
            at += 48 + payload.length + headers.length;
          }
          end += parsed.length;
          timestamp = parsed.baseTimestamp;
        }
        const { count, batchCount } = scan;
        assertEquals([...scan.starts.subarray(0, count)], starts);
        assertEquals([...scan.lengths.subarray(0, count)], lengths);
        assertEquals(
          [...scan.batchStarts.subarray(0, batchCount)],
          batchStarts,
        );
        assertEquals(
          [...scan.batchFirsts.subarray(0, batchCount)],
          batchFirsts,
        );
        assertEquals([scan.end, scan.nextOffset, scan.lastTimestamp], [
          end,
          5 + count,
          Number(timestamp),
        ]);
        assertEquals(scan.stop === "end", end === cutBytes.length);
        if (scan.stop === "partial") {
          assert(end + scan.neededBytes > cutBytes.length);
        } else {
          assertEquals(scan.neededBytes, 0);
        }
      },
    ),
    { numRuns: 300 },
  );
});

Deno.test("BatchScan finds each single byte flipped, in every bit", () => {
  const first = batchOf(5, [counting(5), counting(0)]);
  const whole = joined([first, batchOf(7, [counting(90)])]);
  assertEquals(scanned(whole), [3, "end", whole.length, 0]);
  for (let at = 0; at < whole.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const bytes = whole.slice();
      bytes[at]! ^= 1 << bit;
      const [count, stop] = scanned(bytes);
      assertEquals(count, at < first.length ? 0 : 2);
      assert(stop !== "end", `byte ${at}, bit ${bit}`);
    }
  }
});

Deno.test("BatchScan reports a truncation as partial, with the length that it needs", () => {
  const first = batchOf(5, [counting(5), counting(3)]);
  const whole = joined([first, batchOf(7, [counting(90)])]);
  for (let length = 0; length <= whole.length; length++) {
    const isSecond = length >= first.length;
    const start = isSecond ? first.length : 0;
    const rest = length - start;
    const size = isSecond ? whole.length - start : first.length;
    const outcome = rest === 0
      ? ["end", start, 0]
      // The partition, and the first byte of the offset.
      : rest <= 8
      ? ["zeros", start, 0]
      : rest < 256
      ? ["partial", start, 256]
      : rest < size
      ? ["partial", start, size]
      : ["end", length, 0];
    const count = length === whole.length ? 3 : isSecond ? 2 : 0;
    assertEquals(scanned(whole.slice(0, length)), [count, ...outcome]);
  }
});

Deno.test("BatchScan reports the length that a batch above 4 GiB needs", () => {
  const bytes = batchOf(5, [counting(10)]);
  const view = new DataView(bytes.buffer);
  view.setUint32(48, 0xffff_ffff, true);
  view.setBigUint64(32, 2n ** 40n, true);
  assertEquals(scanned(bytes), [0, "partial", 0, 2 ** 40]);
});

Deno.test("BatchScan checks for the reasons in their order", () => {
  const good = batchOf(5, [counting(10)]);
  const changed = (...changes: [at: number, bytes: number[]][]) => {
    const bytes = good.slice();
    for (const [at, change] of changes) bytes.set(change, at);
    const [count, stop, end, needed] = scanned(bytes, 5, TIME);
    assertEquals([count, end], [0, 0]);
    return stop === "partial" ? [stop, needed] : [stop];
  };
  const eight = (value: number) => {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
    return [...bytes];
  };
  const offset: [number, number[]] = [8, [6]];
  const early: [number, number[]] = [16, eight(TIME - 1)];
  const most = 256 + 48 + 64_100_000;
  assertEquals(changed([0, Array(256).fill(0)]), ["zeros"]);
  assertEquals(changed([32, eight(303)], [72, [1]]), ["length"]);
  assertEquals(changed([255, [1]], [48, [0]]), ["reserved"]);
  assertEquals(changed([52, [2]], [48, [0]]), ["reserved"]);
  assertEquals(changed([56, [1]], [48, [0]]), ["reserved"]);
  assertEquals(changed([48, [0]], offset), ["count"]);
  assertEquals(changed([32, eight(most + 1)], offset), ["length"]);
  assertEquals(changed([48, [2]], offset), ["count"]);
  assertEquals(changed(offset, early), ["offset"]);
  assertEquals(changed(early, [32, eight(most)]), ["timestamp"]);
  // The existing frame ends before such a batch does.
  assertEquals(changed([32, eight(most)]), ["count"]);
  assertEquals(
    changed([32, eight(most)], [288, [0xa0, 0x86, 1, 0]], [
      292,
      [0, 0x90, 0xd0, 3],
    ]),
    ["partial", most],
  );
  assertEquals(changed([288, [0xa1, 0x86, 1, 0]]), ["length"]);
  assertEquals(changed([292, [1, 0x90, 0xd0, 3]]), ["length"]);
  assertEquals(changed([280, [1]]), ["count"]);
  assertEquals(changed([296, [1]]), ["count"]);
  assertEquals(changed([310, [99]], [40, [0]]), ["frame checksum"]);
  assertEquals(changed([40, [good[40]! ^ 1]]), ["batch checksum"]);
});

Deno.test("BatchScan takes a tail of zeros, of any length, for unwritten", () => {
  const good = batchOf(5, [counting(10)]);
  for (let length = 1; length < 600; length++) {
    const bytes = joined([good, new Uint8Array(length)]);
    assertEquals(scanned(bytes), [1, "zeros", good.length, 0]);
  }
  const almost = joined([good, new Uint8Array(255)]);
  almost[almost.length - 1] = 1;
  assertEquals(scanned(almost), [1, "partial", good.length, 256]);
});

Deno.test("BatchScan refuses times that go back", () => {
  const bytes = joined([
    batchOf(5, [counting(1)], TIME),
    batchOf(6, [counting(1)], TIME),
    batchOf(7, [counting(1)], TIME - 1),
  ]);
  const scan = new BatchScan();
  assertEquals(scan.run(bytes, 0, 5), 2);
  assertEquals([scan.stop, scan.lastTimestamp], ["timestamp", TIME]);
  assertEquals(scan.run(bytes, scan.end, 7, TIME - 1), 1);
  assertEquals([scan.stop, scan.nextOffset], ["end", 8]);
  assertEquals(scan.run(bytes, 0, 5, TIME + 1), 0);
  assertEquals([scan.stop, scan.lastTimestamp], ["timestamp", TIME + 1]);
});

Deno.test("BatchScan grows its arrays as needed, with 'allocate'", () => {
  const batches = Array.from({ length: 40 }, (_, i) => i % 5 + 1);
  let next = 1000;
  const bytes = joined(batches.map((count) => {
    const payloads = Array.from({ length: count }, (_, i) => counting(i));
    next += count;
    return batchOf(next - count, payloads);
  }));
  const allocated: number[] = [];
  const scan = new BatchScan(1, (words) => {
    allocated.push(words);
    // It may return more than was requested.
    return new Uint32Array(words + 3);
  });
  assertEquals(scan.run(bytes, 0, 1000), 120);
  assertEquals([scan.stop, scan.end], ["end", bytes.length]);
  assertEquals([scan.batchCount, scan.nextOffset], [40, 1120]);
  assertEquals(allocated, [4, 12, 24, 48, 96, 192, 384, 768]);
  const whole = new BatchScan(1000);
  whole.run(bytes, 0, 1000);
  for (const name of ["starts", "lengths"] as const) {
    assertEquals(scan[name].subarray(0, 120), whole[name].subarray(0, 120));
  }
  for (const name of ["batchStarts", "batchFirsts"] as const) {
    assertEquals(scan[name].subarray(0, 40), whole[name].subarray(0, 40));
  }
});

Deno.test("BatchScan makes room for a large batch at once", () => {
  const bytes = batchOf(0, Array(500).fill(counting(0)));
  const allocated: number[] = [];
  const scan = new BatchScan(1, (words) => {
    allocated.push(words);
    return new Uint32Array(words);
  });
  assertEquals(scan.run(bytes, 0, 0), 500);
  assertEquals(allocated, [4, 2000]);
});

Deno.test("BatchScan finds nothing in 0 bytes", () => {
  const scan = new BatchScan();
  assertEquals(scan.run(new Uint8Array(0), 0, 3, 4), 0);
  assertEquals([scan.stop, scan.end], ["end", 0]);
  assertEquals([scan.nextOffset, scan.lastTimestamp], [3, 4]);
  scan.run(new Uint8Array(10), 10, 3);
  assertEquals([scan.stop, scan.end], ["end", 10]);
});

Deno.test("BatchScan takes no offset above 2^53 - 1", () => {
  const last = Number.MAX_SAFE_INTEGER;
  const scan = new BatchScan(1);
  assertEquals(scan.run(batchOf(last, [counting(1)]), 0, last), 1);
  assertEquals([scan.stop, scan.nextOffset], ["end", last + 1]);
  const two = batchOf(last, [counting(1), counting(1)]);
  assertEquals(scan.run(two, 0, last), 0);
  assertEquals(scan.stop, "offset");
  assertEquals(
    scan.run(batchOf(last + 1, [counting(1)]), 0, last + 1),
    0,
  );
  assertEquals(scan.stop, "offset");
});

Deno.test("BatchScan refuses arguments out of range by name", () => {
  const bytes = new Uint8Array(10);
  const scan = new BatchScan();
  const refused = (name: string, ...rest: [number, number, number?]) =>
    assertThrows(() => scan.run(bytes, ...rest), RangeError, `'${name}'`);
  refused("start", 11, 0);
  refused("start", -1, 0);
  refused("start", 0.5, 0);
  refused("expectedOffset", 0, -1);
  refused("expectedOffset", 0, 2 ** 53 + 2);
  refused("expectedOffset", 0, NaN);
  refused("minTimestamp", 0, 0, -1);
  refused("minTimestamp", 0, 0, 2 ** 53);
  bytes.buffer.transfer();
  refused("start", 1, 0);
  assertThrows(() => new BatchScan(0), RangeError, "'capacity'");
  assertThrows(() => new BatchScan(1.5), RangeError, "'capacity'");
});
