/**
 * The bytes of Iggy's format up to 0.8, one header a message: what import and export need.
 *
 * @module
 */
export { EXPAND_STOP, Expansion } from "./_expand.ts";
export { findMessage } from "./find.ts";
export { Gathering, HEADER_BYTES } from "./gather.ts";
export { INDEX_ENTRY_BYTES, readIndexEntry } from "./index_entry.ts";
export type { IndexEntry } from "./index_entry.ts";
