import { drive, type Task } from "../../base/mod.ts";
import { readSealedEnd } from "../../segment/mod.ts";
import { readCursors } from "../cursor/cursor_file.ts";
import { filesOf } from "../open/directory.ts";
import { inspectLog } from "../repair/inspect.ts";
import { type LogReaderOptions, placeOf } from "../log_options.ts";
import { join } from "../names.ts";
import type { SealedSegment } from "../open/opening.ts";
import type { OwnLog } from "../_own_log.ts";
import { readSegment, unlessGone } from "../open/_segment_files.ts";
import {
  checkRetain,
  planRetention,
  type RetainNowOptions,
  type RetainPlan,
} from "./plan.ts";

/*
 * How segments are removed (docs/format.md#write-remove).
 *
 *   read the files of all cursors, and decide
 *   raise the first offset in `meta`, durably
 *   read the cursors again: a cursor that was created or moved meanwhile made its file durable
 *     before it read `meta`, so it is seen here, or has seen the raised offset
 *   if a cursor needs a segment, lower the first offset again
 *   take the segments out of the list: a new reader begins after them
 *   remove the files, oldest first; sync the directory
 *
 * If no file was removed, a failure undoes everything. After a later failure, the next attempt or
 * the next opening removes the remaining files.
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

/** Removes segments from the front of a log, one task at a time. */
export class Retention {
  readonly #log: OwnLog;
  /** Files that an earlier attempt may have left. */
  #leftover: string[] = [];
  /** Append times of the last messages of segments, in microseconds. */
  readonly #lastTimestamps = new Map<number, number>();

  constructor(log: OwnLog) {
    this.#log = log;
  }

  /** Removes the segments that the options choose. */
  *retain(options: RetainNowOptions): Task<RetentionReport> {
    const plan = () => this.#plan(options);
    const { removed, passed } = yield* this.#remove(plan);
    return {
      firstOffset: this.#log.firstOffset,
      removedSegments: removed.length,
      removedBytes: removed.reduce((sum, each) => sum + each.byteLength, 0),
      passedCursors: passed,
    };
  }

  /** Removes the segments of which every message lies below an offset; returns the first offset. */
  *truncateBefore(offset: number): Task<number> {
    const { sealed } = this.#log;
    const last = sealed.findLastIndex((each) => each.nextOffset <= offset);
    // Cursors do not matter.
    yield* this.#remove(function* () {
      return { count: last + 1, passed: [] };
    });
    return this.#log.firstOffset;
  }

  *#plan(options: RetainNowOptions): Task<RetainPlan> {
    const { appender, place, sealed } = this.#log;
    return yield* planRetention({
      sealed,
      activeBytes: appender.active.written.position,
      cursors: yield* readCursors(place),
      now: place.storage.now(),
      lastTimestamp: (i) => this.#lastTimestamp(sealed[i]!),
    }, options);
  }

  *#lastTimestamp({ firstOffset }: SealedSegment): Task<number> {
    const known = this.#lastTimestamps.get(firstOffset);
    if (known !== undefined) return known;
    const { place } = this.#log;
    const { lastTimestamp } = yield* readSegment(
      place,
      firstOffset,
      readSealedEnd,
    );
    this.#lastTimestamps.set(firstOffset, lastTimestamp);
    return lastTimestamp;
  }

  /**
   * Removes the first segments; returns which, and the cursors that needed one of them. It may be
   * repeated after a failure.
   *
   * @param plan Called again once the first offset was raised: then it may remove fewer segments.
   */
  *#remove(
    plan: () => Task<Pick<RetainPlan, "count" | "passed">>,
  ): Task<{ removed: SealedSegment[]; passed: string[] }> {
    const { meta, place, sealed } = this.#log;
    const { count } = yield* plan();
    if (count === 0) {
      yield* this.#removeLeftover();
      return { removed: [], passed: [] };
    }
    this.#log.refuseMoved("truncate log");
    const before = meta.firstOffset;
    const raised = sealed[count - 1]!.nextOffset;
    if (raised > before) yield* meta.setFirstOffset(raised);
    let confirmed = 0;
    let passed: string[];
    try {
      const again = yield* plan();
      confirmed = Math.min(count, again.count);
      passed = again.passed;
    } finally {
      const lowered = sealed[confirmed - 1]?.nextOffset ?? before;
      if (confirmed < count) yield* meta.setFirstOffset(lowered);
    }
    if (confirmed === 0) return { removed: [], passed: [] };
    const removed = sealed.splice(0, confirmed);
    const earlier = this.#leftover.length;
    for (const { firstOffset } of removed) {
      this.#lastTimestamps.delete(firstOffset);
      const names = filesOf({ firstOffset, log: true, index: true });
      this.#leftover.push(...names.map((name) => join(place.dir, name)));
    }
    const all = this.#leftover.length;
    try {
      yield* this.#removeLeftover();
    } catch (error) {
      const isAllThere = earlier === 0 && this.#leftover.length === all;
      if (isAllThere) {
        this.#leftover = [];
        sealed.unshift(...removed);
        yield* meta.setFirstOffset(before);
      }
      throw error;
    }
    return { removed, passed };
  }

  *#removeLeftover(): Task<void> {
    const { storage, dir } = this.#log.place;
    if (this.#leftover.length === 0) return;
    let count = 0;
    try {
      for (const path of this.#leftover) {
        yield* unlessGone(storage.removeBeside(path));
        count++;
      }
    } finally {
      // Once: removing each from the front would move all the others.
      this.#leftover.splice(0, count);
    }
    yield* storage.syncDirectory(dir);
  }
}

/**
 * Returns what {@linkcode Log.retain} would remove from a log now. It takes no lock and changes
 * nothing.
 *
 * @throws {Deno.errors.NotFound} If there is no log in the directory.
 * @throws {Deno.errors.InvalidData} If the file of a cursor is damaged.
 *
 * @example A log of one segment
 * ```ts
 * import { Log, previewRetention } from "@basalt/io";
 * import { assertEquals } from "@std/assert";
 *
 * const dir = Deno.makeTempDirSync();
 * {
 *   await using log = await Log.open(dir);
 *   await log.appendDurable("hello");
 * }
 * // The last segment always stays.
 * assertEquals((await previewRetention(dir, { bytes: 0 })).removedSegments, 0);
 * Deno.removeSync(dir, { recursive: true });
 * ```
 */
export async function previewRetention(
  path: string | URL,
  retain: RetainNowOptions,
  options: LogReaderOptions = {},
): Promise<RetentionReport> {
  checkRetain("preview retention", retain);
  const place = placeOf("preview retention", path, options);
  const { segments, firstOffset } = await inspectLog(place.dir, options);
  const counted = segments.map((segment) => ({
    ...segment,
    byteLength: segment.dataBytes,
  }));
  const active = counted.pop();
  const { count, bytes, passed } = await drive(planRetention({
    sealed: counted,
    activeBytes: active?.dataBytes ?? 0,
    cursors: await drive(readCursors(place)),
    now: place.storage.now(),
    // deno-lint-ignore require-yield -- it is known
    *lastTimestamp(i) {
      return counted[i]!.lastTimestamp ?? Infinity;
    },
  }, retain));
  return {
    firstOffset: counted[count - 1]?.nextOffset ?? firstOffset,
    removedSegments: count,
    removedBytes: bytes,
    passedCursors: passed,
  };
}
