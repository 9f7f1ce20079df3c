import { BATCH_HEADER_BYTES, FRAME_HEADER_BYTES } from "./header.ts";

/** Bytes of an entry of a sparse index. */
export const INDEX_ENTRY_BYTES = 24;

/** What a sparse index says of a batch. */
export interface IndexEntry {
  /** Offset of the first message of the batch. */
  readonly offset: number;
  /** Append time of the batch, in microseconds since the Unix epoch. */
  readonly timestamp: number;
  /** Where the batch starts in the segment's log, in bytes. */
  readonly position: number;
}

/**
 * Reads entry number `i` of a sparse index. A field above `Number.MAX_SAFE_INTEGER` is read
 * inexactly: see {@linkcode isSafeEntry}.
 *
 * @throws {RangeError} If there is no such entry.
 */
export function readIndexEntry(
  bytes: Uint8Array,
  i: number,
): IndexEntry {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const at = i * INDEX_ENTRY_BYTES;
  return {
    offset: uint64(view, at),
    timestamp: uint64(view, at + 8),
    position: uint64(view, at + 16),
  };
}

/**
 * Writes entry number `i` of a sparse index, whose fields are integers from 0 to
 * `Number.MAX_SAFE_INTEGER`.
 *
 * @throws {RangeError} If the bytes have no room for it. Nothing was written then.
 */
export function writeIndexEntry(
  bytes: Uint8Array,
  i: number,
  entry: IndexEntry,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const at = i * INDEX_ENTRY_BYTES;
  // The last field first: it fails where there is no room.
  putUint64(view, at + 16, entry.position);
  putUint64(view, at + 8, entry.timestamp);
  putUint64(view, at, entry.offset);
}

/** Tells whether all fields of an entry were read exactly. */
export function isSafeEntry(entry: IndexEntry): boolean {
  return Number.isSafeInteger(entry.offset) &&
    Number.isSafeInteger(entry.timestamp) &&
    Number.isSafeInteger(entry.position);
}

/**
 * Tells whether a safe entry can be true, given the one before it, which is plausible: offset and
 * position rise strictly, by no more messages than fit into the bytes between, and the timestamp
 * never falls (`docs/format.md`).
 */
export function isPlausibleEntry(
  { offset, timestamp, position }: IndexEntry,
  before: IndexEntry,
): boolean {
  return offset > before.offset && timestamp >= before.timestamp &&
    position - before.position >=
      BATCH_HEADER_BYTES + FRAME_HEADER_BYTES * (offset - before.offset);
}

function uint64(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
}

function putUint64(view: DataView, at: number, value: number): void {
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
  view.setUint32(at, value % 2 ** 32, true);
}
