import type { Task } from "../base/mod.ts";
import { acquire, type BufferPool } from "../pool/mod.ts";
import type { TaskFile } from "../storage/mod.ts";
import { roundDown } from "./layout.ts";
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

/** Upper bound of the reads until two agree. */
const TAIL_ATTEMPTS = 4;

/**
 * Reads a file from the last multiple of the physical block to `end`.
 *
 * A writer writes these bytes again, and they include acknowledged messages. A bit that was wrong
 * in one read must not become wrong on the disk, so they are read until two reads agree.
 */
export function* readTail(
  file: TaskFile,
  pool: BufferPool,
  end: number,
): Task<Uint8Array> {
  const unit = file.capabilities.physicalBlock;
  const start = roundDown(end, unit);
  if (start === end) return new Uint8Array(0);
  using buffer = yield* acquire(pool, unit);
  let before: Uint8Array | undefined;
  for (let attempt = 0; attempt < TAIL_ATTEMPTS; attempt++) {
    const read = yield* file.readNow(buffer, start, { length: unit });
    // Missing bytes would be written back as whatever the memory held.
    if (start + read < end) {
      throw new Deno.errors.UnexpectedEof(
        `Cannot read '${file.path}' up to byte ${end}: it ends at ${
          start + read
        }, another program has cut it`,
      );
    }
    const tail = buffer.bytes.slice(0, end - start);
    if (before !== undefined && tail.every((byte, i) => byte === before![i])) {
      return tail;
    }
    before = tail;
  }
  throw new Deno.errors.InvalidData(
    `Cannot read '${file.path}' from byte ${start} to ${end}: the device gives other bytes each time`,
  );
}

/** Reads what a writer starts from, when it is known where the files end. */
export function* readState(
  { log, index, pool }: SegmentFiles,
  ends: Omit<SegmentState, "tail" | "index"> & { indexEnd: number },
): Task<SegmentState> {
  return {
    nextOffset: ends.nextOffset,
    end: ends.end,
    lastTimestamp: ends.lastTimestamp,
    tail: yield* readTail(log, pool, ends.end),
    index: yield* readIndexState(index, pool, ends.indexEnd),
    indexedPosition: ends.indexedPosition,
  };
}

/** Reads the end of an index of `end` bytes. */
export function* readIndexState(
  index: TaskFile,
  pool: BufferPool,
  end: number,
): Task<IndexState> {
  return { end, tail: yield* readTail(index, pool, end) };
}
