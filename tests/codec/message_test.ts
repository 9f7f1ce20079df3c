import { assertEquals, assertThrows } from "@std/assert";
import {
  batchBaseOffsetAt,
  batchCountAt,
  batchLengthAt,
  batchOriginTimestampAt,
  batchTimestampAt,
  frameIdAt,
  frameOffsetDeltaAt,
  framePayloadLengthAt,
  frameTimestampDeltaAt,
  frameUserHeadersLengthAt,
  putFrameId,
  readFrame,
} from "../../lib/codec/mod.ts";
import { counting, joined, TIME, writtenBatch } from "./_naive.ts";

const MAX = Number.MAX_SAFE_INTEGER;
/** Length of a sample in bytes. */
const LENGTH = 256 + 48 + 7 + 3;
/** The id of its message, `counting(16)`. */
const ID = "00010203-0405-0607-0809-0a0b0c0d0e0f";

function sample(origin: bigint, delta = 5): Uint8Array<ArrayBuffer> {
  return writtenBatch({
    partition: 2n ** 64n - 1n,
    baseOffset: BigInt(MAX),
    baseTimestamp: BigInt(TIME),
    origin,
    frames: [{
      id: counting(16),
      timestampDelta: delta,
      payload: counting(7),
      headers: counting(3),
    }],
  });
}

const BATCH_ACCESSORS = [
  batchBaseOffsetAt,
  batchTimestampAt,
  batchOriginTimestampAt,
  batchLengthAt,
  batchCountAt,
];
const FRAME_ACCESSORS = [
  frameOffsetDeltaAt,
  frameTimestampDeltaAt,
  framePayloadLengthAt,
  frameUserHeadersLengthAt,
];

Deno.test("accessors read each field of a batch at any alignment", () => {
  for (const start of [0, 1, 13]) {
    const bytes = joined([counting(start), sample(2n ** 32n + 7n)]);
    assertEquals(batchBaseOffsetAt(bytes, start), MAX);
    assertEquals(batchTimestampAt(bytes, start), TIME);
    assertEquals(batchOriginTimestampAt(bytes, start), 2 ** 32 + 7);
    assertEquals(batchLengthAt(bytes, start), LENGTH);
    assertEquals(batchCountAt(bytes, start), 1);
    const frame = start + 256;
    assertEquals(frameOffsetDeltaAt(bytes, frame), 0);
    assertEquals(frameTimestampDeltaAt(bytes, frame), 5);
    assertEquals(framePayloadLengthAt(bytes, frame), 7);
    assertEquals(frameUserHeadersLengthAt(bytes, frame), 3);
    assertEquals(frameIdAt(bytes, frame), ID);
  }
});

Deno.test("accessors refuse positions outside the bytes, and numbers above 2^53", () => {
  const bytes = sample(2n ** 53n);
  for (const read of BATCH_ACCESSORS) {
    assertThrows(() => read(bytes, -1), RangeError, "batch header at -1");
    assertThrows(() => read(bytes, bytes.length - 255), RangeError);
    assertThrows(() => read(bytes, NaN), RangeError);
  }
  for (const read of FRAME_ACCESSORS) {
    assertThrows(() => read(bytes, -1), RangeError, "frame header at -1");
    assertThrows(() => read(bytes, bytes.length - 47), RangeError);
    assertThrows(() => read(bytes, NaN), RangeError);
  }
  for (const start of [-9, bytes.length - 23, NaN]) {
    assertThrows(() => frameIdAt(bytes, start), RangeError);
  }
  assertThrows(() => batchOriginTimestampAt(bytes, 0), RangeError, "above");
  bytes.fill(0xff);
  assertEquals(framePayloadLengthAt(bytes, 256), 2 ** 32 - 1);
  assertEquals(frameUserHeadersLengthAt(bytes, 256), 2 ** 32 - 1);
  assertEquals(frameOffsetDeltaAt(bytes, 256), 2 ** 32 - 1);
  assertEquals(frameTimestampDeltaAt(bytes, 256), 2 ** 32 - 1);
  assertEquals(batchCountAt(bytes, 0), 2 ** 32 - 1);
});

Deno.test("putFrameId() writes the id that frameIdAt() reads", () => {
  const bytes = new Uint8Array(60);
  putFrameId(bytes, 7, counting(16));
  assertEquals(frameIdAt(bytes, 7), ID);
});

Deno.test("readFrame() reads fields on access, so that only the origin timestamp may be unreadable", () => {
  const bytes = sample(BigInt(MAX));
  const message = readFrame(bytes, 256, 0);
  assertEquals(message.offset, MAX);
  assertEquals(message.id, ID);
  assertEquals(message.timestamp, TIME);
  assertEquals(message.payload, counting(7));
  assertEquals(message.payload.buffer, bytes.buffer);
  assertEquals(message.text(), "\0\x01\x02\x03\x04\x05\x06");
  assertThrows(() => message.originTimestamp, RangeError, "origin timestamp");
  assertThrows(() => message.userHeaders, Deno.errors.InvalidData);
  assertEquals(Deno.inspect(message).startsWith("Message {"), true);
  const last = readFrame(sample(BigInt(MAX) - 5n), 256, 0);
  assertEquals(last.originTimestamp, MAX);
  const far = readFrame(sample(2n ** 64n - 1n), 256, 0);
  assertThrows(() => far.originTimestamp, RangeError, "origin timestamp");
});

Deno.test("Message.text() decodes UTF-8, and replaces other bytes", () => {
  const text = (payload: Uint8Array) =>
    readFrame(
      writtenBatch({
        partition: 0n,
        baseOffset: 0n,
        baseTimestamp: 0n,
        origin: 0n,
        frames: [{
          id: counting(16),
          timestampDelta: 0,
          payload,
          headers: counting(3),
        }],
      }),
      256,
      0,
    ).text();
  for (const expected of ["", "häß", "\ufeffa", "𝄞"]) {
    assertEquals(text(new TextEncoder().encode(expected)), expected);
  }
  assertEquals(text(Uint8Array.of(0x61, 0xff)), "a\ufffd");
});

Deno.test("readFrame() reads the lengths once", () => {
  const bytes = sample(0n);
  const message = readFrame(bytes, 256, 0);
  bytes.fill(0xff, 256 + 32, 256 + 40);
  assertEquals(message.payload, counting(7));
});

Deno.test("readFrame() refuses a frame that does not lie within the bytes, after its batch header", () => {
  const bytes = sample(0n);
  const cases: [frame: number, batch: number][] = [
    [256, 1],
    [256, -1],
    [257, 0],
    [LENGTH - 47, 0],
    [-1, 0],
    [NaN, 0],
    [256, NaN],
  ];
  for (const [frame, batch] of cases) {
    assertThrows(() => readFrame(bytes, frame, batch), RangeError);
  }
  for (const at of [256 + 32, 256 + 36]) {
    const longer = bytes.slice();
    longer[at]! += 1;
    assertThrows(() => readFrame(longer, 256, 0), RangeError, "within");
  }
});

Deno.test("Message of a batch whose bytes were dropped gives errors, not garbage", () => {
  const bytes = sample(0n);
  const message = readFrame(bytes, 256, 0);
  bytes.buffer.transfer(0);
  assertThrows(() => message.offset, RangeError, "was their buffer dropped");
  assertThrows(() => message.timestamp, RangeError);
  assertThrows(() => message.originTimestamp, RangeError);
  assertThrows(() => message.id, RangeError);
  assertThrows(() => message.payload, TypeError);
  assertThrows(() => message.text(), TypeError);
  assertThrows(() => message.userHeaders, TypeError);
  assertEquals(Deno.inspect(message), "Message (its bytes were dropped)");
});
