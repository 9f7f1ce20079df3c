/**
 * The bytes of batches, frames, index entries, user headers and ids; laying out, sealing, scanning
 * and finding in bulk by native calls. No I/O.
 *
 * @module
 */
export { type BatchLayout, layoutOf } from "./batch_layout.ts";
export { findBatch, nonzeroEnd } from "./find.ts";
export {
  BATCH_HEADER_BYTES,
  batchBaseOffsetAt,
  batchCountAt,
  batchLengthAt,
  batchOriginTimestampAt,
  batchTimestampAt,
  FRAME_HEADER_BYTES,
  frameIdAt,
  frameOffsetDeltaAt,
  framePayloadLengthAt,
  frameTimestampDeltaAt,
  frameUserHeadersLengthAt,
  MAX_BATCH_BYTES,
  MAX_PAYLOAD_BYTES,
  MAX_USER_HEADERS_BYTES,
  putFrameId,
  putFrameOrigin,
} from "./header.ts";
export type { HeaderField, HeaderKind } from "./header_field.ts";
export { layPayloads, type LayRun } from "./lay.ts";
export { type Message, readFrame } from "./message.ts";
export { restamp } from "./restamp.ts";
export { BatchScan } from "./scan.ts";
export {
  putSealContext,
  RECORD_BATCH_START,
  RECORD_BYTES,
  RECORD_ID_GIVEN,
  RECORD_ORIGIN_GIVEN,
  seal,
  SEAL_CONTEXT_BYTES,
  type SealRun,
} from "./seal.ts";
export { describeStop, type StopReason } from "./stop_reason.ts";
export {
  INDEX_ENTRY_BYTES,
  type IndexEntry,
  isPlausibleEntry,
  isSafeEntry,
  readIndexEntry,
  writeIndexEntry,
} from "./index_entry.ts";
export {
  decodeUserHeaders,
  encodeUserHeaders,
  type UserHeader,
  type UserHeadersInit,
} from "./user_headers.ts";
export { formatUuid, parseUuid } from "./uuid.ts";
