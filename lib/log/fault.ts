import type { CorruptionKind } from "../segment/mod.ts";

/**
 * What is wrong with a log: as with one segment ({@linkcode CorruptionKind}), and
 *
 * - `"name"`: a file whose name ends as those of a log and is none of them;
 * - `"overlap"`: a segment begins before the one in front of it ends;
 * - `"timestamp"`: a message is older than the one before it.
 */
export type FaultKind = CorruptionKind | "name" | "overlap" | "timestamp";

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
