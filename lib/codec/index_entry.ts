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
 * inexactly, and {@linkcode isPlausibleEntry} refuses the entry.
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

/**
 * Tells whether an entry can be true, given the one before it, which is plausible: offset and
 * position rise strictly, by no more messages than fit into the bytes between, and the timestamp
 * never falls (`docs/format.md`).
 *
 * @param before The entry before; `undefined` for the first one, before which there is no batch, or
 * at least one.
 */
export function isPlausibleEntry(
  entry: IndexEntry,
  before: IndexEntry | undefined,
): boolean {
  const { offset, timestamp, position } = entry;
  const areSafe = Number.isSafeInteger(offset) &&
    Number.isSafeInteger(timestamp) && Number.isSafeInteger(position);
  if (!areSafe) return false;
  if (before === undefined) return position === 0 || position >= minBytes(1);
  return offset > before.offset && timestamp >= before.timestamp &&
    position - before.position >= minBytes(offset - before.offset);
}

/** Returns the length of the shortest batch with this number of messages. */
function minBytes(messages: number): number {
  return BATCH_HEADER_BYTES + FRAME_HEADER_BYTES * messages;
}

function uint64(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
}

function putUint64(view: DataView, at: number, value: number): void {
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
  view.setUint32(at, value % 2 ** 32, true);
}
