import { assertEquals, assertThrows } from "@std/assert";
import { readMessage } from "../../../lib/codec/legacy/mod.ts";
import {
  messageOffsetAt,
  originTimestampAt,
  timestampAt,
} from "../../../lib/codec/legacy/header.ts";
import { counting, joined, TIME, written } from "./_naive.ts";

const MAX = Number.MAX_SAFE_INTEGER;

function sample(origin: bigint): Uint8Array<ArrayBuffer> {
  return written({
    id: counting(16),
    offset: BigInt(MAX),
    timestamp: BigInt(TIME),
    origin,
    payload: counting(7),
    headers: counting(3),
  });
}

Deno.test("messageOffsetAt(), timestampAt() and originTimestampAt() read a header at any alignment", () => {
  for (const start of [0, 1, 13]) {
    const bytes = joined([counting(start), sample(2n ** 32n + 7n)]);
    assertEquals(messageOffsetAt(bytes, start), MAX);
    assertEquals(timestampAt(bytes, start), TIME);
    assertEquals(originTimestampAt(bytes, start), 2 ** 32 + 7);
  }
});

Deno.test("messageOffsetAt(), timestampAt() and originTimestampAt() refuse positions outside the bytes, and numbers above 2^53", () => {
  const bytes = sample(2n ** 53n);
  for (const read of [messageOffsetAt, timestampAt, originTimestampAt]) {
    assertThrows(() => read(bytes, -1), RangeError, "header at -1");
    assertThrows(() => read(bytes, bytes.length - 63), RangeError);
    assertThrows(() => read(bytes, NaN), RangeError);
  }
  assertThrows(() => originTimestampAt(bytes, 0), RangeError, "above");
});

Deno.test("readMessage() reads fields on access, so that only the origin timestamp may be unreadable", () => {
  const bytes = sample(2n ** 64n - 1n);
  const message = readMessage(bytes, 0, 7, bytes.length);
  assertEquals(message.offset, MAX);
  assertEquals(message.id, "00010203-0405-0607-0809-0a0b0c0d0e0f");
  assertEquals(message.payload, counting(7));
  assertEquals(message.payload.buffer, bytes.buffer);
  assertThrows(() => message.originTimestamp, RangeError, "origin timestamp");
  assertThrows(() => message.userHeaders, Deno.errors.InvalidData);
  assertEquals(Deno.inspect(message).startsWith("Message {"), true);
});

Deno.test("readMessage() does not use the lengths in the bytes", () => {
  const bytes = sample(0n);
  const message = readMessage(bytes, 0, 7, 71);
  bytes.fill(0xff, 48, 56);
  assertEquals(message.payload, counting(7));
  assertEquals(message.userHeaders, []);
});

Deno.test("readMessage() refuses a message that does not lie within the bytes", () => {
  const bytes = sample(0n);
  const cases: [number, number, number][] = [
    [1, 7, 74],
    [-1, 7, 74],
    [0, 11, 74],
    [0, -1, 74],
    [0, 0, 63],
    [NaN, 7, 74],
  ];
  for (const [start, payload, total] of cases) {
    assertThrows(() => readMessage(bytes, start, payload, total), RangeError);
  }
});

Deno.test("Message whose bytes were dropped gives errors, not garbage", () => {
  const bytes = sample(0n);
  const message = readMessage(bytes, 0, 7, 74);
  bytes.buffer.transfer(0);
  assertThrows(() => message.offset, RangeError, "was their buffer dropped");
  assertThrows(() => message.timestamp, RangeError);
  assertThrows(() => message.id, RangeError);
  assertThrows(() => message.payload, TypeError);
  assertThrows(() => message.userHeaders, TypeError);
  assertEquals(Deno.inspect(message), "Message (its bytes were dropped)");
});
