/**
 * The fields of batch headers and frame headers, one at a time (`docs/format.md`). Bulk work is
 * native.
 *
 * @module
 */

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

// Offsets in a batch header.
const BASE_OFFSET = 8;
const BASE_TIMESTAMP = 16;
const ORIGIN_TIMESTAMP = 24;
const BATCH_LENGTH = 32;
const MESSAGE_COUNT = 48;

// Offsets in a frame header.
const ID = 8;
const OFFSET_DELTA = 24;
const TIMESTAMP_DELTA = 28;
const USER_HEADERS_LENGTH = 32;
const PAYLOAD_LENGTH = 36;
/** Reserved once the batch is sealed; until then it may hold the producer's time. */
const GIVEN_ORIGIN = 40;

/**
 * Reads the offset of the first message of the batch whose header starts at `start`.
 *
 * @throws {RangeError} If the bytes end before the header does (they do once their buffer was
 * dropped), or the value is above `Number.MAX_SAFE_INTEGER`.
 */
export function batchBaseOffsetAt(bytes: Uint8Array, start: number): number {
  return uint64(bytes, checkedBatch(bytes, start) + BASE_OFFSET, "base offset");
}

/**
 * Reads the append time of a batch, in microseconds since the Unix epoch.
 *
 * @throws {RangeError} As {@linkcode batchBaseOffsetAt} does.
 */
export function batchTimestampAt(bytes: Uint8Array, start: number): number {
  return uint64(
    bytes,
    checkedBatch(bytes, start) + BASE_TIMESTAMP,
    "base timestamp",
  );
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
  return uint64(
    bytes,
    checkedBatch(bytes, start) + ORIGIN_TIMESTAMP,
    "origin timestamp",
  );
}

/**
 * Reads the length of a batch with its header, in bytes. Only a scan tells whether it is true.
 *
 * @throws {RangeError} As {@linkcode batchBaseOffsetAt} does.
 */
export function batchLengthAt(bytes: Uint8Array, start: number): number {
  return uint64(
    bytes,
    checkedBatch(bytes, start) + BATCH_LENGTH,
    "batch length",
  );
}

/**
 * Reads the number of messages in a batch. Only a scan tells whether it is true.
 *
 * @throws {RangeError} If the bytes end before the header does.
 */
export function batchCountAt(bytes: Uint8Array, start: number): number {
  return uint32(bytes, checkedBatch(bytes, start) + MESSAGE_COUNT);
}

/**
 * Reads the difference between the offset of the message whose frame starts at `start` and that of
 * its batch.
 *
 * @throws {RangeError} If the bytes end before the frame header does.
 */
export function frameOffsetDeltaAt(bytes: Uint8Array, start: number): number {
  return uint32(bytes, checkedFrame(bytes, start) + OFFSET_DELTA);
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
  return uint32(bytes, checkedFrame(bytes, start) + TIMESTAMP_DELTA);
}

/**
 * Reads the length of a frame's payload, in bytes. Only a scan tells whether it is true.
 *
 * @throws {RangeError} If the bytes end before the frame header does.
 */
export function framePayloadLengthAt(bytes: Uint8Array, start: number): number {
  return uint32(bytes, checkedFrame(bytes, start) + PAYLOAD_LENGTH);
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
  return uint32(bytes, checkedFrame(bytes, start) + USER_HEADERS_LENGTH);
}

/**
 * Copies the 16 bytes of the id in the frame that starts at `start`.
 *
 * @throws {RangeError} If the bytes end before the frame header does.
 */
export function frameIdAt(
  bytes: Uint8Array,
  start: number,
): Uint8Array<ArrayBuffer> {
  const at = checkedFrame(bytes, start) + ID;
  return new Uint8Array(bytes.subarray(at, at + 16));
}

/**
 * Puts an id into the room of a frame header before sealing; its record needs the flag
 * `RECORD_ID_GIVEN`.
 *
 * @param id 16 bytes; all zero counts as not given.
 * @throws {RangeError} If the id has another length, or the bytes end before the frame header does.
 */
export function putFrameId(
  bytes: Uint8Array,
  start: number,
  id: Uint8Array,
): void {
  if (id.length !== 16) {
    throw new RangeError(
      `Cannot put id as it must have 16 bytes: received ${id.length}`,
    );
  }
  bytes.set(id, checkedFrame(bytes, start) + ID);
}

/**
 * Puts a producer's time into the room of a frame header before sealing; its record needs the flag
 * `RECORD_ORIGIN_GIVEN`.
 *
 * @param micros Microseconds since the Unix epoch.
 * @throws {RangeError} If it is no integer from 0 to `Number.MAX_SAFE_INTEGER`, or the bytes end
 * before the frame header does.
 */
export function putFrameOrigin(
  bytes: Uint8Array,
  start: number,
  micros: number,
): void {
  if (!Number.isSafeInteger(micros) || micros < 0) {
    throw new RangeError(
      `Cannot put origin timestamp as it must be an integer of microseconds from 0 to ${Number.MAX_SAFE_INTEGER}: received ${micros}`,
    );
  }
  let at = checkedFrame(bytes, start) + GIVEN_ORIGIN;
  for (let rest = micros, i = 0; i < 8; i++) {
    bytes[at++] = rest % 256;
    rest = Math.floor(rest / 256);
  }
}

function checkedBatch(bytes: Uint8Array, start: number): number {
  return checkedStart(bytes, start, "batch", BATCH_HEADER_BYTES);
}

function checkedFrame(bytes: Uint8Array, start: number): number {
  return checkedStart(bytes, start, "frame", FRAME_HEADER_BYTES);
}

function checkedStart(
  bytes: Uint8Array,
  start: number,
  name: string,
  length: number,
): number {
  if (start >= 0 && start + length <= bytes.length) return start;
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

function uint64(bytes: Uint8Array, at: number, field: string): number {
  const value = uint32(bytes, at + 4) * 2 ** 32 + uint32(bytes, at);
  if (value > Number.MAX_SAFE_INTEGER) {
    throw new RangeError(
      `Cannot read ${field} at ${at} as a number: it is above ${Number.MAX_SAFE_INTEGER}`,
    );
  }
  return value;
}
