/**
 * The bytes of messages and index entries: headers, user headers and ids; spreading, stamping, scanning and finding in bulk by native
 * calls. No I/O.
 *
 * @module
 */
export { findMessage } from "./find.ts";
export type { FoundMessage } from "./find.ts";
export {
  HEADER_BYTES,
  idAt,
  MAX_PAYLOAD_BYTES,
  MAX_USER_HEADERS_BYTES,
  messageOffsetAt,
  originTimestampAt,
  payloadLengthAt,
  putId,
  putOriginTimestamp,
  timestampAt,
  userHeadersLengthAt,
} from "./header.ts";
export type { HeaderField, HeaderKind } from "./header_field.ts";
export {
  INDEX_ENTRY_BYTES,
  indexPosition,
  indexRelativeOffset,
  indexTimestamp,
  readIndexEntry,
  writeIndexEntry,
} from "./index_entry.ts";
export type { IndexEntry } from "./index_entry.ts";
export { readMessage } from "./message.ts";
export type { Message } from "./message.ts";
export { MessageScan, STOP } from "./scan.ts";
export type { Stop } from "./scan.ts";
export { spread } from "./spread.ts";
export type { Spread, SpreadRun } from "./spread.ts";
export { RECORD_ID_GIVEN, RECORD_ORIGIN_GIVEN, stamp } from "./stamp.ts";
export type { StampRun } from "./stamp.ts";
export {
  decodeUserHeaders,
  encodeUserHeaders,
  validateUserHeaders,
} from "./user_headers.ts";
export type { UserHeader, UserHeadersInit } from "./user_headers.ts";
export { formatUuid, parseUuid } from "./uuid.ts";
