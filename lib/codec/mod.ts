/**
 * The bytes of batches, frames, index entries, user headers and ids; laying out, sealing, scanning
 * and finding in bulk by native calls. No I/O.
 *
 * @module
 */
export { findBatch } from "./find.ts";
export type { FoundBatch } from "./find.ts";
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
// Until the legacy codec has left this module, its STOP has that name.
export { BatchScan, STOP as BATCH_STOP } from "./scan.ts";
export type { Stop as BatchStop } from "./scan.ts";
export {
  RECORD_BATCH_START,
  RECORD_BYTES,
  RECORD_ID_GIVEN,
  RECORD_ORIGIN_GIVEN,
  seal,
} from "./seal.ts";
export type { SealRun } from "./seal.ts";
export {
  isPlausibleEntry,
  readSparseEntry,
  SPARSE_INDEX_ENTRY_BYTES,
  writeSparseEntry,
} from "./sparse_index.ts";
export type { SparseIndexEntry } from "./sparse_index.ts";
export {
  decodeUserHeaders,
  encodeUserHeaders,
  validateUserHeaders,
} from "./user_headers.ts";
export type { UserHeader, UserHeadersInit } from "./user_headers.ts";
export { formatUuid, parseUuid } from "./uuid.ts";

export { findMessage } from "./legacy/find.ts";
export type { FoundMessage } from "./legacy/find.ts";
export {
  HEADER_BYTES,
  idAt,
  messageOffsetAt,
  originTimestampAt,
  payloadLengthAt,
  putId,
  putOriginTimestamp,
  timestampAt,
  userHeadersLengthAt,
} from "./legacy/header.ts";
export {
  INDEX_ENTRY_BYTES,
  indexPosition,
  indexRelativeOffset,
  indexTimestamp,
  readIndexEntry,
  writeIndexEntry,
} from "./legacy/index_entry.ts";
export type { IndexEntry } from "./legacy/index_entry.ts";
export { readMessage } from "./legacy/message.ts";
export { MessageScan, STOP } from "./legacy/scan.ts";
export type { Stop } from "./legacy/scan.ts";
export { spread } from "./legacy/spread.ts";
export type { Spread, SpreadRun } from "./legacy/spread.ts";
export { stamp } from "./legacy/stamp.ts";
export type { StampRun } from "./legacy/stamp.ts";
