import type { Task } from "../base/mod.ts";
import {
  CorruptSegment,
  recoverSegment,
  type RecoveryReport,
  sealedExtent,
  sealedState,
  type SegmentState,
  type SegmentTaskFiles,
} from "../segment/mod.ts";
import {
  completePairs,
  createSegment,
  listDirectory,
  type ListedSegment,
  syncDirectory,
} from "./directory.ts";
import { keepCut } from "./keep_cut.ts";
import type { CompleteLogOptions } from "./log_options.ts";
import { join, segmentName } from "./names.ts";
import { replaceIndex } from "./replace_index.ts";
import { closeSegment, openSegment } from "./segment_files.ts";
import { leaveMark } from "./writer_mark.ts";

/** A segment that is not written any more. */
export interface SealedSegment {
  /** The offset of its first message. */
  firstOffset: number;
  /** The offset of the message after its last. */
  nextOffset: number;
  /** The length of its `.log`, in bytes. */
  byteLength: number;
}

/** What opening a log found, and what it did. */
export interface OpeningReport {
  /** What recovery did, segment by segment; empty after a clean close. */
  recovered: readonly RecoveryReport[];
  /** Where bytes that recovery cut were kept: they held valid messages behind a torn write. */
  kept: readonly string[];
  /** Names in the directory that are none of the log's; they are left alone. */
  foreign: readonly string[];
}

/** A log that was brought into order, ready to be written. */
export interface OpenedLog {
  /** All segments but the last. */
  sealed: SealedSegment[];
  /** The files of the last one, open. */
  files: SegmentTaskFiles;
  /** Its first offset. */
  firstOffset: number;
  /** What its files hold. */
  state: SegmentState;
  /** What was found and done. */
  report: OpeningReport;
}

/**
 * Brings a log's directory into order: the lock on it must be held.
 *
 * @throws {CorruptSegment} If more than a torn tail is damaged, or segments do not follow one another; nothing was changed then but for temporary and lone files.
 */
export function* openLog(
  dir: string,
  options: CompleteLogOptions,
): Task<OpenedLog> {
  const { storage, pool } = options;
  const listing = yield* listDirectory(storage, dir);
  // The names that were just read may not be durable yet: whoever listed them believes them.
  yield* syncDirectory(storage, dir);
  yield* completePairs(storage, dir, listing);
  const recovered: RecoveryReport[] = [];
  const kept: string[] = [];
  if (listing.segments.length === 0) {
    yield* createSegment(storage, dir, 0);
    listing.segments.push({ firstOffset: 0, log: true, index: true });
  }
  const sealed: SealedSegment[] = [];
  for (const [i, segment] of listing.segments.slice(0, -1).entries()) {
    const next = listing.segments[i + 1]!;
    sealed.push(yield* openSealed(segment, next));
  }
  const { firstOffset } = listing.segments.at(-1)!;
  /** Whether this process left its mark: recovery needs it before it changes anything. */
  let marked = false;
  const files = yield* openSegment(storage, dir, firstOffset, { write: true });
  try {
    const state = yield* openLast();
    const before = sealed.at(-1);
    if (state.count === 0 && before !== undefined) {
      state.lastTimestamp = yield* lastTimestamp(before);
    }
    if (!marked) yield* mark();
    const report = { recovered, kept, foreign: listing.foreign };
    return { sealed, files, firstOffset, state, report };
  } catch (error) {
    yield* closeSegment(files);
    throw error;
  }

  function* mark(): Task<void> {
    yield* leaveMark(storage, dir, pool);
    marked = true;
  }

  /** The time from which an empty last segment goes on. */
  function* lastTimestamp(
    { firstOffset, nextOffset }: SealedSegment,
  ): Task<number> {
    const files = yield* openSegment(storage, dir, firstOffset, {
      write: false,
    });
    try {
      const count = nextOffset - firstOffset;
      return (yield* sealedState(files, pool, count)).lastTimestamp;
    } finally {
      yield* closeSegment(files);
    }
  }

  function* openLast(): Task<SegmentState> {
    const sealed = listing.marked
      ? undefined
      : yield* sealedExtent(files, pool);
    if (sealed === undefined) return yield* recover(firstOffset, files);
    // Whoever wrote it need not have synced it, and what follows is acknowledged.
    for (const file of [files.log, files.index]) {
      yield* file.sync("full");
    }
    return yield* sealedState(files, pool, sealed.count);
  }

  function* recover(
    firstOffset: number,
    files: SegmentTaskFiles,
  ): Task<SegmentState> {
    const { state, report } = yield* recoverSegment({
      ...files,
      pool,
      baseOffset: firstOffset,
      begin: mark,
      *keep(stop, to): Task<void> {
        const { log } = files;
        const from = stop.position;
        kept.push(
          yield* keepCut(storage, dir, firstOffset, log, pool, from, to),
        );
      },
    });
    recovered.push(report);
    return state;
  }

  /** Two sizes and one read of 16 bytes; the next segment must begin where this one ends. */
  function* openSealed(
    segment: ListedSegment,
    next: ListedSegment,
  ): Task<SealedSegment> {
    const { firstOffset } = segment;
    const path = join(dir, segmentName(firstOffset));
    if (segment.index) {
      const files = yield* openSegment(storage, dir, firstOffset, {
        write: false,
      });
      try {
        const sealed = yield* sealedExtent(files, pool);
        if (sealed && firstOffset + sealed.count === next.firstOffset) {
          return {
            firstOffset,
            nextOffset: next.firstOffset,
            byteLength: sealed.end,
          };
        }
      } finally {
        yield* closeSegment(files);
      }
    }
    return yield* rebuild(path, segment, next);
  }

  /** Writes a lost or wrong index anew: if the log is whole, for the index is but a cache. */
  function* rebuild(
    path: string,
    segment: ListedSegment,
    next: ListedSegment,
  ): Task<SealedSegment> {
    const { firstOffset } = segment;
    const { count, byteLength } = yield* replaceIndex(
      storage,
      dir,
      firstOffset,
      pool,
      ({ count, byteLength }) => {
        if (firstOffset + count === next.firstOffset) return;
        throw new CorruptSegment(
          `the next segment begins at offset ${next.firstOffset}`,
          {
            path: `${path}.log`,
            position: byteLength,
            offset: firstOffset + count,
            kind: "gap",
          },
        );
      },
    );
    recovered.push({
      path: `${path}.log`,
      trustedEntries: 0,
      walkedBytes: byteLength,
      end: byteLength,
      cutBytes: 0,
      kept: false,
      rebuiltEntries: count,
    });
    return { firstOffset, nextOffset: next.firstOffset, byteLength };
  }
}
