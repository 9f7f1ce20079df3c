/**
 * The fields of batch headers and frame headers, one at a time (`docs/format.md`). Bulk work is
 * native.
 *
 * @module
 */
import { formatUuid } from "./uuid.ts";

/** Bytes of a batch header; the frames of the batch follow it. */
export const BATCH_HEADER_BYTES = 256;
/** Bytes of a frame header; the payload and the encoded user headers follow it. */
export const FRAME_HEADER_BYTES = 48;
/** Length of the longest payload, in bytes. */
export const MAX_PAYLOAD_BYTES = 64_000_000;
/** Length of the longest encoded user headers, in bytes. */
export const MAX_USER_HEADERS_BYTES = 100_000;
/** Length of the longest batch that is written, in bytes; a reader accepts longer ones. */
export const MAX_BATCH_BYTES = 64 * 1024 * 1024;

// Offsets in a frame header.
const ID = 8;
/** Reserved once the batch is sealed; until then it may hold the producer's time. */
const GIVEN_ORIGIN = 40;

/**
 * Reads the offset of the first message of the batch whose header starts at `start`.
 *
 * @throws {RangeError} If the bytes end before the header does (they do once their buffer was
 * dropped), or the value is above `Number.MAX_SAFE_INTEGER`.
 */
export function batchBaseOffsetAt(bytes: Uint8Array, start: number): number {
  return batchUint64(bytes, start, 8, "base offset");
}

/**
 * Reads the append time of a batch, in microseconds since the Unix epoch.
 *
 * @throws {RangeError} As {@linkcode batchBaseOffsetAt} does.
 */
export function batchTimestampAt(bytes: Uint8Array, start: number): number {
  return batchUint64(bytes, start, 16, "base timestamp");
}

/**
 * Reads the smallest producer time of a batch, in microseconds since the Unix epoch.
 *
 * @throws {RangeError} As {@linkcode batchBaseOffsetAt} does.
 */
export function batchOriginTimestampAt(
  bytes: Uint8Array,
  start: number,
): number {
  return batchUint64(bytes, start, 24, "origin timestamp");
}

/**
 * Reads the length of a batch with its header, in bytes. Only a scan tells whether it is true.
 *
 * @throws {RangeError} As {@linkcode batchBaseOffsetAt} does.
 */
export function batchLengthAt(bytes: Uint8Array, start: number): number {
  return batchUint64(bytes, start, 32, "batch length");
}

/**
 * Reads the number of messages in a batch. Only a scan tells whether it is true.
 *
 * @throws {RangeError} If the bytes end before the header does.
 */
export function batchCountAt(bytes: Uint8Array, start: number): number {
  checkHeader(bytes, start, "batch", BATCH_HEADER_BYTES);
  return uint32(bytes, start + 48);
}

/**
 * Reads the difference between the offset of the message whose frame starts at `start` and that of
 * its batch.
 *
 * @throws {RangeError} If the bytes end before the frame header does.
 */
export function frameOffsetDeltaAt(bytes: Uint8Array, start: number): number {
  return frameUint32(bytes, start, 24);
}

/**
 * Reads the difference between the producer's time of a message and the smallest one of its batch,
 * in microseconds.
 *
 * @throws {RangeError} If the bytes end before the frame header does.
 */
export function frameTimestampDeltaAt(
  bytes: Uint8Array,
  start: number,
): number {
  return frameUint32(bytes, start, 28);
}

/**
 * Reads the length of a frame's payload, in bytes. Only a scan tells whether it is true.
 *
 * @throws {RangeError} If the bytes end before the frame header does.
 */
export function framePayloadLengthAt(bytes: Uint8Array, start: number): number {
  return frameUint32(bytes, start, 36);
}

/**
 * Reads the length of a frame's encoded user headers, in bytes. Only a scan tells whether it is
 * true.
 *
 * @throws {RangeError} If the bytes end before the frame header does.
 */
export function frameUserHeadersLengthAt(
  bytes: Uint8Array,
  start: number,
): number {
  return frameUint32(bytes, start, 32);
}

/**
 * Reads the id in the frame that starts at `start`, as the text of a UUID.
 *
 * @throws {RangeError} If the bytes end before the id does.
 */
export function frameIdAt(bytes: Uint8Array, start: number): string {
  return formatUuid(bytes, start + ID);
}

/**
 * Puts an id into the room of a frame header before sealing; its record needs the flag
 * `RECORD_ID_GIVEN`.
 *
 * @param id 16 bytes; all zero counts as not given.
 * @throws {RangeError} If the bytes end before the frame header does.
 */
export function putFrameId(
  bytes: Uint8Array,
  start: number,
  id: Uint8Array,
): void {
  checkFrame(bytes, start);
  bytes.set(id, start + ID);
}

/**
 * Puts a producer's time into the room of a frame header before sealing; its record needs the flag
 * `RECORD_ORIGIN_GIVEN`.
 *
 * @param micros Microseconds since the Unix epoch, an integer from 0 to `Number.MAX_SAFE_INTEGER`.
 * @throws {RangeError} If the bytes end before the frame header does.
 */
export function putFrameOrigin(
  bytes: Uint8Array,
  start: number,
  micros: number,
): void {
  checkFrame(bytes, start);
  for (let rest = micros, i = 0; i < 8; i++) {
    bytes[start + GIVEN_ORIGIN + i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
}

function checkFrame(bytes: Uint8Array, start: number): void {
  checkHeader(bytes, start, "frame", FRAME_HEADER_BYTES);
}

function checkHeader(
  bytes: Uint8Array,
  start: number,
  name: string,
  length: number,
): void {
  if (start >= 0 && start + length <= bytes.length) return;
  const dropped = bytes.length === 0 ? " (was their buffer dropped?)" : "";
  throw new RangeError(
    `Cannot access ${name} header at ${start} as its ${length} bytes must lie within the bytes: there are ${bytes.length}${dropped}`,
  );
}

// Bytes are put together by hand: making a DataView costs more than reading every field this way.
function uint32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | bytes[at + 1]! << 8 | bytes[at + 2]! << 16 |
    bytes[at + 3]! << 24) >>> 0;
}

function frameUint32(bytes: Uint8Array, start: number, field: number): number {
  checkFrame(bytes, start);
  return uint32(bytes, start + field);
}

function batchUint64(
  bytes: Uint8Array,
  start: number,
  field: number,
  name: string,
): number {
  checkHeader(bytes, start, "batch", BATCH_HEADER_BYTES);
  const at = start + field;
  const value = uint32(bytes, at + 4) * 2 ** 32 + uint32(bytes, at);
  if (value <= Number.MAX_SAFE_INTEGER) return value;
  throw new RangeError(
    `Cannot read ${name} at ${at} as a number: it is above ${Number.MAX_SAFE_INTEGER}`,
  );
}
