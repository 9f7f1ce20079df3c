/** Bytes of a message's header; the payload and the encoded user headers follow it. */
export const HEADER_BYTES = 64;

// Where the fields lie in a header.
const OFFSET = 24;
const TIMESTAMP = 32;
const ORIGIN_TIMESTAMP = 40;

/**
 * The offset in the header that starts at `start`.
 *
 * @throws {RangeError} If the bytes end before the header does (they do when their buffer was
 * dropped), or the offset is above `Number.MAX_SAFE_INTEGER`.
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
