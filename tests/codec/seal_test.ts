import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  BatchScan,
  MAX_PAYLOAD_BYTES,
  putFrameId,
  putFrameOrigin,
  readFrame,
  RECORD_BATCH_START,
  RECORD_BYTES,
  seal,
  type SealRun,
} from "../../lib/codec/mod.ts";
import { type Block, type BlockMessage, laidOut } from "./_block.ts";
import { counting, joined, parsedBatch, TIME, writtenBatch } from "./_naive.ts";

const SEED = new Uint8Array(32).fill(7);

const runOf = (block: Block): SealRun => ({
  ...block,
  baseOffset: 40,
  baseTimestamp: TIME,
  seed: SEED,
});

const message: fc.Arbitrary<BlockMessage> = fc.record({
  payload: fc.uint8Array({ maxLength: 300 }),
  headers: fc.uint8Array({ maxLength: 40 }),
  id: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  origin: fc.integer({ min: TIME - 2 ** 31, max: TIME + 2 ** 31 - 1 }),
}, { requiredKeys: ["payload"] }) as fc.Arbitrary<BlockMessage>;
const batches = fc.array(fc.array(message, { minLength: 1, maxLength: 5 }), {
  maxLength: 4,
});

Deno.test("seal() writes the same as a naive writer, which a scan and a naive parser read back", () => {
  fc.assert(fc.property(
    batches,
    fc.nat({ max: 80 }),
    fc.nat({ max: 40 }),
    fc.nat(),
    (batches, start, room, partitionId) => {
      const block = laidOut(batches, start, room);
      const { bytes, count } = block;
      const before = bytes.slice();
      const end = seal({ ...runOf(block), partitionId });
      let at = start;
      let baseOffset = 40;
      const expected = batches.map((messages) => {
        const times = messages.map(({ origin }) => origin ?? TIME);
        const origin = Math.min(...times);
        at += 256;
        const frames = messages.map((message, i) => {
          const { payload, headers = new Uint8Array(0) } = message;
          const written = bytes.slice(at + 8, at + 24);
          const isGiven = message.id?.some((byte) => byte !== 0) ?? false;
          if (!isGiven) {
            assertEquals([written[6]! >> 4, written[8]! >> 6], [4, 2]);
          }
          at += 48 + payload.length + headers.length;
          const id = isGiven ? message.id! : written;
          return { id, timestampDelta: times[i]! - origin, payload, headers };
        });
        const batch = {
          partition: BigInt(partitionId),
          baseOffset: BigInt(baseOffset),
          baseTimestamp: BigInt(TIME),
          origin: BigInt(origin),
          frames,
        };
        baseOffset += messages.length;
        return batch;
      });
      const written = joined(expected.map(writtenBatch));
      assertEquals(end, start + written.length);
      assertEquals(bytes.subarray(start, end), written);
      assertEquals(bytes.subarray(0, start), before.subarray(0, start));
      assertEquals(bytes.subarray(end), before.subarray(end));

      const scan = new BatchScan();
      assertEquals(scan.run(bytes.subarray(0, end), start, 40), count);
      assertEquals([scan.stop, scan.nextOffset], [
        "end",
        40 + count,
      ]);
      expected.forEach((batch, i) => {
        const batchStart = scan.batchStarts[i]!;
        const parsed = parsedBatch(bytes.subarray(batchStart, end))!;
        assertEquals(parsed.frames, batch.frames);
        batch.frames.forEach((frame, index) => {
          const first = scan.batchFirsts[i]!;
          const found = readFrame(
            bytes,
            scan.starts[first + index]!,
            batchStart,
          );
          assertEquals(found.payload, frame.payload);
          assertEquals(found.offset, Number(batch.baseOffset) + index);
          const time = Number(batch.origin) + frame.timestampDelta;
          assertEquals([found.timestamp, found.originTimestamp], [TIME, time]);
        });
      });
    },
  ));
});

Deno.test("seal() draws distinct ids within a run and for each seed", () => {
  const ids = (seed: number) => {
    const block = laidOut([Array(10).fill({ payload: counting(1) })]);
    const end = seal({ ...runOf(block), seed: SEED.map(() => seed) });
    const scan = new BatchScan();
    scan.run(block.bytes.subarray(0, end), 0, 40);
    return [...scan.starts.subarray(0, 10)].map((start) =>
      readFrame(block.bytes, start, 0).id
    );
  };
  assertEquals(new Set([...ids(1), ...ids(2)]).size, 20);
  assertEquals(ids(1), ids(1));
});

Deno.test("seal() of no messages ends where it starts and writes nothing", () => {
  const bytes = new Uint8Array(16).fill(3);
  assertEquals(seal({ ...runOf({ bytes, start: 5, count: 0 }) }), 5);
  assertEquals(bytes, new Uint8Array(16).fill(3));
  const nothing = new Uint8Array(0);
  assertEquals(seal({ ...runOf({ bytes: nothing, start: 0, count: 0 }) }), 0);
});

Deno.test("seal() fills a block to its last byte", () => {
  const block = laidOut([[{ payload: counting(8) }], [{
    payload: counting(8),
  }]]);
  assertEquals(block.bytes.length, 2 * (304 + 8 + RECORD_BYTES));
  assertEquals(seal(runOf(block)), 2 * 312);
});

Deno.test("seal() accepts the last offset and time", () => {
  const block = laidOut([[{ payload: counting(3) }]]);
  const last = Number.MAX_SAFE_INTEGER;
  const end = seal({
    ...runOf(block),
    baseOffset: last,
    baseTimestamp: last,
    partitionId: last,
  });
  const parsed = parsedBatch(block.bytes.subarray(0, end))!;
  assertEquals([parsed.baseOffset, parsed.baseTimestamp, parsed.partition], [
    BigInt(last),
    BigInt(last),
    BigInt(last),
  ]);
});

Deno.test("seal() refuses values out of range, shows them and writes nothing", () => {
  const two = () =>
    laidOut([[{ payload: counting(8) }, { payload: counting(8) }]]);
  const refused = (shown: string, change: Partial<SealRun>, block = two()) => {
    const before = block.bytes.slice();
    const error = assertThrows(
      () => seal({ ...runOf(block), ...change }),
      RangeError,
    );
    assert(error.message.includes(shown), error.message);
    assertEquals(block.bytes, before);
  };
  for (const value of [-1, 0.5, NaN, 2 ** 53]) {
    refused(`from ${value}`, { start: value });
    refused(`${value} messages`, { count: value });
    refused(`offset ${value}`, { baseOffset: value });
    refused(`time ${value}`, { baseTimestamp: value });
    refused(`partition ${value}`, { partitionId: value });
  }
  refused(`from ${2 ** 32}`, { start: 2 ** 32 });
  refused("31 bytes of seed", { seed: new Uint8Array(31) });
  const last = Number.MAX_SAFE_INTEGER;
  refused(`offset ${last}`, { baseOffset: last });
  refused("1000 messages", { count: 1000 });
  refused("from 1", { start: 1 });
  const { bytes } = two();
  const short = bytes.subarray(0, bytes.length - 1);
  refused(`of ${short.length} bytes`, { bytes: short });
  const shifted = new Uint8Array(bytes.length + 8).subarray(4, -4);
  shifted.set(bytes);
  refused("at 4 in its buffer", { bytes: shifted });

  const changed = (payload: number, word: number, record = 0) => {
    const block = two();
    const view = new DataView(block.bytes.buffer);
    const at = block.bytes.length - RECORD_BYTES * (record + 1);
    view.setUint32(at, payload, true);
    view.setUint32(at + 4, word, true);
    return block;
  };
  refused("record", {}, changed(MAX_PAYLOAD_BYTES + 1, RECORD_BATCH_START));
  refused("record", {}, changed(8, RECORD_BATCH_START + 100_001));
  refused("record", {}, changed(8, RECORD_BATCH_START + 2 ** 28));
  refused("record", {}, changed(9, RECORD_BATCH_START));
  refused("record", {}, changed(8, 0));
  refused("record", {}, changed(8, RECORD_BATCH_START, 1));
});

Deno.test("seal() refuses a batch whose origin times are too far apart", () => {
  const block = (...origins: (number | undefined)[]) =>
    laidOut([origins.map((origin) => ({
      payload: counting(1),
      ...(origin === undefined ? {} : { origin }),
    }))]);
  const span = 2 ** 32 - 1;
  seal(runOf(block(5, 5 + span)));
  seal(runOf(block(TIME - span, undefined)));
  for (const origins of [[5, 6 + span], [6 + span, 5], [0, undefined]]) {
    assertThrows(
      () => seal(runOf(block(...origins))),
      RangeError,
      "their times are out of range",
    );
  }
});

Deno.test("putFrameId() and putFrameOrigin() refuse positions outside the bytes", () => {
  const bytes = new Uint8Array(48);
  assertThrows(() => putFrameId(bytes, 1, new Uint8Array(16)), RangeError);
  assertThrows(() => putFrameId(bytes, -1, new Uint8Array(16)), RangeError);
  assertThrows(() => putFrameOrigin(bytes, 1, 0), RangeError);
  assertEquals(bytes, new Uint8Array(48));
  putFrameOrigin(bytes, 0, Number.MAX_SAFE_INTEGER);
  const view = new DataView(bytes.buffer);
  assertEquals(view.getBigUint64(40, true), 2n ** 53n - 1n);
});
