import type { Task } from "../../base/mod.ts";
import { MessageBatch, readSealedEnd, SegmentScan } from "../../segment/mod.ts";
import { readCursors, type StoredCursor } from "../cursor/cursor_file.ts";
import { filesOf } from "../directory.ts";
import type { LogMeta, LogPlace } from "../meta.ts";
import { join, segmentPath } from "../names.ts";
import type { SealedSegment } from "../opening.ts";
import { closeSegment, openSegment } from "../segment_files.ts";
import {
  planRetention,
  type RetainedSegment,
  type RetainNowOptions,
  type RetainPlan,
} from "./plan.ts";

/*
 * How segments are removed (docs/format.md#write-remove).
 *
 *   read the files of all cursors, and decide
 *   raise the first offset in `meta`, durably
 *   read the cursors again: one that was made or moved meanwhile made its file durable before it
 *     read `meta`, so it is seen here, or has seen the raised offset
 *   where one is in the way, lower the first offset again
 *   take the segments out of the list: a new reader begins after them
 *   remove the files, oldest first; sync the directory
 *
 * A failure before the first file is gone puts everything back. What is left after a later one is
 * removed by the next attempt, or by the next opening.
 */

/** What retention did. */
export interface RetentionReport {
  /** The first offset of the log afterwards. */
  firstOffset: number;
  /** Segments that were removed. */
  removedSegments: number;
  /** Bytes of their messages. */
  removedBytes: number;
  /** Names of the cursors that needed a removed segment, because the log was above `hardBytes`. */
  passedCursors: string[];
}

/** A log whose first segments can be removed, as its writer knows it. */
export interface RetainedLog {
  /** Where it is. */
  readonly place: LogPlace;
  /** Its first offset on the disk. */
  readonly meta: LogMeta;
  /** All segments but the one that is written, in order; what is removed is taken out. */
  readonly sealed: SealedSegment[];
  /** Bytes of messages of the segment that is written. */
  activeBytes(): number;
  /** The offset of the first message. */
  firstOffset(): number;
  /** Refuses a path that leads to another directory by now. */
  refuseMoved(): void;
}

/** Removes segments from the front of a log; one computation at a time. */
export class Retention {
  readonly #log: RetainedLog;
  /** Files that were to be removed, and may still be there. */
  #leftover: string[] = [];
  /** Append times of the last messages of the first segments, in microseconds. */
  readonly #lastTimestamps = new Map<number, number>();

  constructor(log: RetainedLog) {
    this.#log = log;
  }

  /** Removes what the options name. */
  *retain(options: RetainNowOptions): Task<RetentionReport> {
    const plan = yield* this.#plan(options);
    let last = plan;
    const removed = yield* this.#remove(
      plan.count,
      function* (this: Retention) {
        last = yield* this.#plan(options);
        return last.count;
      }.bind(this),
    );
    return {
      firstOffset: this.#log.firstOffset(),
      removedSegments: removed.length,
      removedBytes: bytesOf(removed),
      passedCursors: removed.length === 0 ? [] : last.passed,
    };
  }

  /** Removes the segments of which every message lies below an offset; returns the first offset. */
  *truncateBefore(offset: number): Task<number> {
    const { sealed } = this.#log;
    const count = sealed.findLastIndex((each) => each.nextOffset <= offset) + 1;
    yield* this.#remove(count);
    return this.#log.firstOffset();
  }

  *#plan(options: RetainNowOptions): Task<RetainPlan> {
    const { place, sealed } = this.#log;
    const cursors: StoredCursor[] = yield* readCursors(place);
    return yield* planRetention({
      sealed,
      activeBytes: this.#log.activeBytes(),
      cursors,
      now: place.storage.now(),
      lastTimestamp: (segment) => this.#lastTimestamp(segment),
    }, options);
  }

  *#lastTimestamp({ firstOffset }: RetainedSegment): Task<number> {
    const known = this.#lastTimestamps.get(firstOffset);
    if (known !== undefined) return known;
    const time = yield* lastTimestampOf(this.#log.place, firstOffset);
    this.#lastTimestamps.set(firstOffset, time);
    return time;
  }

  /**
   * Removes the first segments. It may be repeated after a failure.
   *
   * @param confirm Tells, once the first offset was raised, how many of them really go.
   */
  *#remove(
    count: number,
    confirm?: () => Task<number>,
  ): Task<SealedSegment[]> {
    const { meta, sealed } = this.#log;
    if (count === 0) {
      yield* this.#removeLeftover();
      return [];
    }
    this.#log.refuseMoved();
    const before = meta.firstOffset;
    const raised = sealed[count - 1]!.nextOffset;
    if (raised > before) yield* meta.setFirstOffset(raised);
    let confirmed = count;
    try {
      if (confirm !== undefined) confirmed = Math.min(count, yield* confirm());
    } catch (error) {
      yield* meta.setFirstOffset(before);
      throw error;
    }
    if (confirmed < count) {
      const lowered = confirmed === 0
        ? before
        : sealed[confirmed - 1]!.nextOffset;
      yield* meta.setFirstOffset(lowered);
      if (confirmed === 0) return [];
    }
    const removed = sealed.splice(0, confirmed);
    try {
      yield* this.#removeFiles(removed);
    } catch (error) {
      if (!(error instanceof NothingRemoved)) throw error;
      sealed.unshift(...removed);
      yield* meta.setFirstOffset(before);
      throw error.reason;
    }
    return removed;
  }

  *#removeFiles(removed: readonly SealedSegment[]): Task<void> {
    const { dir } = this.#log.place;
    const names = removed.flatMap(({ firstOffset }) =>
      filesOf({ firstOffset, log: true, index: true })
    );
    for (const { firstOffset } of removed) {
      this.#lastTimestamps.delete(firstOffset);
    }
    const earlier = this.#leftover.length;
    this.#leftover.push(...names.map((name) => join(dir, name)));
    const all = this.#leftover.length;
    try {
      yield* this.#removeLeftover();
    } catch (error) {
      if (earlier > 0 || this.#leftover.length < all) throw error;
      this.#leftover = [];
      throw new NothingRemoved(error);
    }
  }

  *#removeLeftover(): Task<void> {
    const { storage, dir } = this.#log.place;
    if (this.#leftover.length === 0) return;
    let count = 0;
    try {
      for (const path of this.#leftover) {
        try {
          yield* storage.removeBeside(path);
        } catch (error) {
          if (!(error instanceof Deno.errors.NotFound)) throw error;
        }
        count++;
      }
    } finally {
      // At once: taking each from the front would move all the others.
      this.#leftover.splice(0, count);
    }
    yield* storage.syncDirectory(dir);
  }
}

/** No file was removed: everything can be put back. */
class NothingRemoved {
  constructor(readonly reason: unknown) {}
}

function bytesOf(segments: readonly RetainedSegment[]): number {
  return segments.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

/** Returns the append time of the last message of a sealed segment, in microseconds. */
export function* lastTimestampOf(
  { storage, dir, pool }: LogPlace,
  firstOffset: number,
): Task<number> {
  const files = yield* openSegment(storage, dir, firstOffset, { write: false });
  try {
    return (yield* readSealedEnd(files, pool, firstOffset)).lastTimestamp;
  } finally {
    yield* closeSegment(files);
  }
}

/**
 * Returns the append time of the first message of a segment, in microseconds.
 *
 * @param end Where its data ends, in bytes: above 0.
 */
export function* firstTimestampOf(
  { storage, dir, pool }: LogPlace,
  firstOffset: number,
  end: number,
): Task<number> {
  const log = yield* storage.openNow(segmentPath(dir, firstOffset, "log"));
  const scan = new SegmentScan(log, pool, 0, firstOffset, {
    readAheadBytes: 0,
  });
  try {
    const first = yield* scan.next(end);
    if (!(first instanceof MessageBatch)) return Infinity;
    using batch = first;
    return batch.timestamp(0);
  } finally {
    yield* scan.close();
    yield* log.close();
  }
}
