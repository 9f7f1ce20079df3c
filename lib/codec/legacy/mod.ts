/**
 * The bytes of Iggy's format up to 0.8, one header a message: what import and export need.
 *
 * @module
 */
export { findMessage } from "./find.ts";
export type { FoundMessage } from "./find.ts";
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
} from "./header.ts";
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
export { MessageScan, STOP } from "./scan.ts";
export type { Stop } from "./scan.ts";
export { spread } from "./spread.ts";
export type { Spread, SpreadRun } from "./spread.ts";
export { stamp } from "./stamp.ts";
export type { StampRun } from "./stamp.ts";
