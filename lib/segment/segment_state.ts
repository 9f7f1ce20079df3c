import type { TaskFile } from "../storage/mod.ts";
import { EMPTY_INDEX, type IndexState } from "./write/index_writer.ts";

/** The files of a segment. */
export interface SegmentFiles {
  /** Batches. */
  log: TaskFile;
  /** Index entries. */
  index: TaskFile;
}

/** What a segment's files hold, as its writer needs to know it. */
export interface SegmentState {
  /** The offset of the next message. */
  nextOffset: number;
  /** Where the data ends in the `.log`, in bytes; all of it durable. */
  end: number;
  /** The last batch's timestamp in microseconds; 0 if there is none. */
  lastTimestamp: number;
  /** What the `.log` holds from the last multiple of the physical block to `end`. */
  tail: Uint8Array;
  /** Where the `.index` goes on. */
  index: IndexState;
  /** Where the last batch with an index entry begins; `undefined` if there is none. */
  indexedPosition: number | undefined;
}

/** Returns the state of a segment that was made just now. */
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
