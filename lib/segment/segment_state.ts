import type { BufferPool } from "../pool/mod.ts";
import type { TaskFile } from "../storage/mod.ts";
import { EMPTY_INDEX, type IndexState } from "./write/index_writer.ts";

/** The open files of a segment, and what reading them takes. */
export interface SegmentFiles {
  /** Batches. */
  log: TaskFile;
  /** Index entries. */
  index: TaskFile;
  /** The offset of the first message. */
  firstOffset: number;
  /** Where blocks come from. */
  pool: BufferPool;
}

/** The state of a segment's files, from which its writer goes on. */
export interface SegmentState {
  /** The offset of the next message. */
  nextOffset: number;
  /** Where the data ends in the `.log`, in bytes. All of it is durable. */
  end: number;
  /** The last batch's timestamp in microseconds; 0 if there is none. */
  lastTimestamp: number;
  /** The bytes of the `.log` from the last multiple of the physical block to `end`. */
  tail: Uint8Array;
  /** The end of the `.index`. */
  index: IndexState;
  /** Where the last batch with an index entry begins; `undefined` if there is none. */
  indexedPosition: number | undefined;
}

/** Returns the state of an empty segment. */
export function emptyState(firstOffset: number): SegmentState {
  return {
    nextOffset: firstOffset,
    end: 0,
    lastTimestamp: 0,
    tail: new Uint8Array(0),
    index: EMPTY_INDEX,
    indexedPosition: undefined,
  };
}
