import {
  BATCH_HEADER_BYTES,
  batchCountAt,
  FRAME_HEADER_BYTES,
  framePayloadLengthAt,
  frameUserHeadersLengthAt,
} from "./header.ts";

/** Where messages lie in bytes that begin with a batch. */
export interface BatchLayout {
  /** Where the frame of each message begins. */
  readonly starts: Uint32Array<ArrayBuffer>;
  /** The length of each payload. */
  readonly lengths: Uint32Array<ArrayBuffer>;
  /** Where the header of each batch begins. */
  readonly batchStarts: Uint32Array<ArrayBuffer>;
  /** The number of each batch's first message. */
  readonly batchFirsts: Uint32Array<ArrayBuffer>;
}

/**
 * Finds the messages of batches that lie back to back and are known to be valid: nothing is
 * checked.
 *
 * @param count The number of messages.
 * @throws {RangeError} If the bytes end before `count` messages.
 */
export function layoutOf(
  bytes: Uint8Array<ArrayBuffer>,
  count: number,
): BatchLayout {
  const starts = new Uint32Array(count);
  const lengths = new Uint32Array(count);
  const batchStarts: number[] = [];
  const batchFirsts: number[] = [];
  for (let i = 0, at = 0; i < count;) {
    batchStarts.push(at);
    batchFirsts.push(i);
    const next = i + batchCountAt(bytes, at);
    at += BATCH_HEADER_BYTES;
    for (; i < next; i++) {
      starts[i] = at;
      const payloadLength = lengths[i] = framePayloadLengthAt(bytes, at);
      at += FRAME_HEADER_BYTES + payloadLength +
        frameUserHeadersLengthAt(bytes, at);
    }
  }
  return {
    starts,
    lengths,
    batchStarts: Uint32Array.from(batchStarts),
    batchFirsts: Uint32Array.from(batchFirsts),
  };
}
