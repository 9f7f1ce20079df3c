/** Bytes of an index entry; entry number i describes the segment's message number i. */
export const INDEX_ENTRY_BYTES = 16;

/** What the index says of a message. */
export interface IndexEntry {
  /** The message's number in its segment: its offset less the segment's first offset. */
  readonly relativeOffset: number;
  /** Where the message ends in the segment's log, in bytes. */
  readonly position: number;
  /**
   * The message's time of appending, in microseconds since the Unix epoch; inexact above
   * `Number.MAX_SAFE_INTEGER`.
   */
  readonly timestamp: number;
}

/**
 * Reads entry number `i` of an index.
 *
 * @throws {RangeError} If there is no such entry.
 */
export function readIndexEntry(bytes: Uint8Array, i: number): IndexEntry {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const at = i * INDEX_ENTRY_BYTES;
  return {
    relativeOffset: view.getUint32(at, true),
    position: view.getUint32(at + 4, true),
    timestamp: Number(view.getBigUint64(at + 8, true)),
  };
}
