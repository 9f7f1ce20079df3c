/**
 * The bytes of Iggy's format up to 0.8, one header a message: what import and export need.
 *
 * @module
 */
export { EXPAND_STOP, Expansion } from "./expand.ts";
export type { ExpandStop } from "./expand.ts";
export { findMessage } from "./find.ts";
export type { FoundMessage } from "./find.ts";
export { GATHER_STOP, Gathering } from "./gather.ts";
export type { GatherStop } from "./gather.ts";
export { HEADER_BYTES } from "./header.ts";
export { INDEX_ENTRY_BYTES, readIndexEntry } from "./index_entry.ts";
export type { IndexEntry } from "./index_entry.ts";
export { readMessage } from "./message.ts";
export { MessageScan, STOP } from "./scan.ts";
export type { Stop } from "./scan.ts";
