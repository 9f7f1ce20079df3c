/** Write blocks with messages laid out, for tests. */
import {
  putFrameId,
  putFrameOrigin,
  RECORD_BATCH_START,
  RECORD_BYTES,
  RECORD_ID_GIVEN,
  RECORD_ORIGIN_GIVEN,
} from "../../lib/codec/mod.ts";

/** A message to lay out. */
export interface BlockMessage {
  payload: Uint8Array;
  headers?: Uint8Array;
  id?: Uint8Array;
  origin?: number;
}

/** A block, and the positions of its messages. */
export interface Block {
  bytes: Uint8Array<ArrayBuffer>;
  start: number;
  count: number;
}

/**
 * Lays out batches from `start`, with garbage in the space for headers, and `room` more bytes
 * before the records.
 */
export function laidOut(
  batches: readonly (readonly BlockMessage[])[],
  start = 0,
  room = 0,
): Block {
  const messages = batches.flat();
  const lengths = messages.map((message) =>
    48 + message.payload.length + (message.headers?.length ?? 0)
  );
  const end = start + 256 * batches.length +
    lengths.reduce((sum, length) => sum + length, 0);
  const count = messages.length;
  const length = Math.ceil((end + room) / 8) * 8 + RECORD_BYTES * count;
  const bytes = new Uint8Array(length).fill(0xee);
  const view = new DataView(bytes.buffer);
  let at = start;
  let i = 0;
  for (const batch of batches) {
    at += 256;
    batch.forEach((message, index) => {
      const { payload, headers = new Uint8Array(0), id, origin } = message;
      let flags = index === 0 ? RECORD_BATCH_START : 0;
      if (id !== undefined) {
        putFrameId(bytes, at, id);
        flags += RECORD_ID_GIVEN;
      }
      if (origin !== undefined) {
        putFrameOrigin(bytes, at, origin);
        flags += RECORD_ORIGIN_GIVEN;
      }
      bytes.set(payload, at + 48);
      bytes.set(headers, at + 48 + payload.length);
      const record = length - RECORD_BYTES * (i + 1);
      view.setUint32(record, payload.length, true);
      view.setUint32(record + 4, headers.length + flags, true);
      at += lengths[i++]!;
    });
  }
  return { bytes, start, count };
}
