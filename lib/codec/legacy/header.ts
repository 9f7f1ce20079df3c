/** Bytes of a message's header; the payload and the encoded user headers follow it. */
export const HEADER_BYTES = 64;
/** The longest payload, in bytes. */
export const MAX_PAYLOAD_BYTES = 64_000_000;
/** The longest encoded user headers, in bytes. */
export const MAX_USER_HEADERS_BYTES = 100_000;

// Where the fields lie in a header.
const ID = 8;
const OFFSET = 24;
const TIMESTAMP = 32;
const ORIGIN_TIMESTAMP = 40;
const USER_HEADERS_LENGTH = 48;
const PAYLOAD_LENGTH = 52;

/**
 * The offset in the header that starts at `start`.
 *
 * @throws {RangeError} If the bytes end before the header does (they do when their buffer was dropped), or the offset is
 * above `Number.MAX_SAFE_INTEGER`.
 */
export function messageOffsetAt(bytes: Uint8Array, start: number): number {
  return uint64(bytes, checkedStart(bytes, start) + OFFSET, "offset");
}

/**
 * The time of appending in the header that starts at `start`, in microseconds since the Unix epoch.
 *
 * @throws {RangeError} As {@linkcode messageOffsetAt} does.
 */
export function timestampAt(bytes: Uint8Array, start: number): number {
  return uint64(bytes, checkedStart(bytes, start) + TIMESTAMP, "timestamp");
}

/**
 * The producer's time in the header that starts at `start`, in microseconds since the Unix epoch.
 *
 * @throws {RangeError} As {@linkcode messageOffsetAt} does.
 */
export function originTimestampAt(bytes: Uint8Array, start: number): number {
  const at = checkedStart(bytes, start) + ORIGIN_TIMESTAMP;
  return uint64(bytes, at, "origin timestamp");
}

/**
 * The length of the encoded user headers that the header at `start` states, in bytes. Only a scan says whether it is true.
 *
 * @throws {RangeError} If the bytes end before the header does.
 */
export function userHeadersLengthAt(bytes: Uint8Array, start: number): number {
  return uint32(bytes, checkedStart(bytes, start) + USER_HEADERS_LENGTH);
}

/**
 * The length of the payload that the header at `start` states, in bytes. Only a scan says whether it is true.
 *
 * @throws {RangeError} If the bytes end before the header does.
 */
export function payloadLengthAt(bytes: Uint8Array, start: number): number {
  return uint32(bytes, checkedStart(bytes, start) + PAYLOAD_LENGTH);
}

/**
 * A copy of the id's 16 bytes in the header that starts at `start`.
 *
 * @throws {RangeError} If the bytes end before the header does.
 */
export function idAt(
  bytes: Uint8Array,
  start: number,
): Uint8Array<ArrayBuffer> {
  const at = checkedStart(bytes, start) + ID;
  return new Uint8Array(bytes.subarray(at, at + 16));
}

/**
 * Puts an id into a header's place before stamping; its record needs the flag `RECORD_ID_GIVEN`.
 *
 * @param id 16 bytes; all zero counts as not given.
 * @throws {RangeError} If the id has another length, or the bytes end before the header does.
 */
export function putId(bytes: Uint8Array, start: number, id: Uint8Array): void {
  if (id.length !== 16) {
    throw new RangeError(
      `Cannot put id as it must have 16 bytes: received ${id.length}`,
    );
  }
  bytes.set(id, checkedStart(bytes, start) + ID);
}

/**
 * Puts a producer's time into a header's place before stamping; its record needs the flag `RECORD_ORIGIN_GIVEN`.
 *
 * @param originTimestamp Microseconds since the Unix epoch.
 * @throws {RangeError} If it is no integer from 0 to `Number.MAX_SAFE_INTEGER`, or the bytes end before the header does.
 */
export function putOriginTimestamp(
  bytes: Uint8Array,
  start: number,
  originTimestamp: number,
): void {
  if (!Number.isSafeInteger(originTimestamp) || originTimestamp < 0) {
    throw new RangeError(
      `Cannot put origin timestamp as it must be an integer of microseconds from 0 to ${Number.MAX_SAFE_INTEGER}: received ${originTimestamp}`,
    );
  }
  let at = checkedStart(bytes, start) + ORIGIN_TIMESTAMP;
  for (let rest = originTimestamp, i = 0; i < 8; i++) {
    bytes[at++] = rest % 256;
    rest = Math.floor(rest / 256);
  }
}

function checkedStart(bytes: Uint8Array, start: number): number {
  if (start >= 0 && start + HEADER_BYTES <= bytes.length) return start;
  const dropped = bytes.length === 0 ? " (was their buffer dropped?)" : "";
  throw new RangeError(
    `Cannot access header at ${start} as its ${HEADER_BYTES} bytes must lie within the bytes: there are ${bytes.length}${dropped}`,
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
