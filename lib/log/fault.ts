import type { CorruptionKind } from "../segment/mod.ts";

/**
 * What is wrong with a log: as with one segment ({@linkcode CorruptionKind}), and
 *
 * - `"name"`: a file with the name of one of the log's is not a regular file, or a name only looks
 *   like one of them;
 * - `"overlap"`: a segment begins before the one in front of it ends;
 * - `"meta"`: `meta` is damaged;
 * - `"owner"`: the owner file is that of another log.
 */
export type FaultKind =
  | CorruptionKind
  | "name"
  | "overlap"
  | "meta"
  | "owner";

/** Something in a log's directory that its writer never left there. */
export interface LogFault {
  /** The file. */
  path: string;
  /** The byte in the file at which it begins. */
  position: number;
  /** How many bytes are concerned; 0 where something is missing. */
  byteLength: number;
  /** The offset of the message that is there, or should be. */
  offset: number;
  /** What is wrong. */
  kind: FaultKind;
  /** The same in words. */
  message: string;
}
