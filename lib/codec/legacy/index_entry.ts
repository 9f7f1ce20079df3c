/** Bytes of an index entry; entry number i describes the segment's message number i. */
export const INDEX_ENTRY_BYTES = 16;

/** What the index says of a message. */
export interface IndexEntry {
  /** The message's number in its segment: its offset less the segment's first offset. */
  readonly relativeOffset: number;
  /** Where the message ends in the segment's log, in bytes. */
  readonly position: number;
  /** The message's time of appending, in microseconds since the Unix epoch. */
  readonly timestamp: number;
}

/**
 * Reads entry number `i` of an index.
 *
 * @throws {RangeError} If there is no such entry, or its timestamp is above
 * `Number.MAX_SAFE_INTEGER`.
 */
export function readIndexEntry(bytes: Uint8Array, i: number): IndexEntry {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    relativeOffset: indexRelativeOffset(view, i),
    position: indexPosition(view, i),
    timestamp: indexTimestamp(view, i),
  };
}

/**
 * The relative offset in entry number `i`.
 *
 * @throws {RangeError} If there is no such entry.
 */
function indexRelativeOffset(view: DataView, i: number): number {
  return view.getUint32(i * INDEX_ENTRY_BYTES, true);
}

/**
 * Where the message of entry number `i` ends in the log, in bytes.
 *
 * @throws {RangeError} If there is no such entry.
 */
function indexPosition(view: DataView, i: number): number {
  return view.getUint32(i * INDEX_ENTRY_BYTES + 4, true);
}

/**
 * The timestamp in entry number `i`, in microseconds since the Unix epoch.
 *
 * @throws {RangeError} If there is no such entry, or its timestamp is above
 * `Number.MAX_SAFE_INTEGER`.
 */
function indexTimestamp(view: DataView, i: number): number {
  const at = i * INDEX_ENTRY_BYTES + 8;
  const value = view.getUint32(at + 4, true) * 2 ** 32 +
    view.getUint32(at, true);
  if (value > Number.MAX_SAFE_INTEGER) {
    throw new RangeError(
      `Cannot read timestamp of index entry ${i} as a number: it is above ${Number.MAX_SAFE_INTEGER}`,
    );
  }
  return value;
}
