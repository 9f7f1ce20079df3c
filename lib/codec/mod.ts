/**
 * The bytes of batches, frames, index entries, user headers and ids; laying out, sealing, scanning
 * and finding in bulk by native calls. No I/O.
 *
 * @module
 */
export { layoutOf } from "./batch_layout.ts";
export type { BatchLayout } from "./batch_layout.ts";
export { findBatch } from "./find.ts";
export type { Found } from "./find.ts";
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
export { layPayloads } from "./lay.ts";
export type { Laid, LayRun } from "./lay.ts";
export { readFrame } from "./message.ts";
export type { Message } from "./message.ts";
export { nonzeroEnd } from "./nonzero_end.ts";
export { restamp } from "./restamp.ts";
export type { RestampOptions } from "./restamp.ts";
export { BatchScan } from "./scan.ts";
export {
  putSealContext,
  RECORD_BATCH_START,
  RECORD_BYTES,
  RECORD_ID_GIVEN,
  RECORD_ORIGIN_GIVEN,
  seal,
  SEAL_CONTEXT_BYTES,
} from "./seal.ts";
export type { SealRun } from "./seal.ts";
export { describeStop } from "./stop_reason.ts";
export type { StopReason } from "./stop_reason.ts";
export {
  INDEX_ENTRY_BYTES,
  isPlausibleEntry,
  isSafeEntry,
  readIndexEntry,
  writeIndexEntry,
} from "./index_entry.ts";
export type { IndexEntry } from "./index_entry.ts";
export { decodeUserHeaders, encodeUserHeaders } from "./user_headers.ts";
export type { UserHeader, UserHeadersInit } from "./user_headers.ts";
export { formatUuid, parseUuid } from "./uuid.ts";
