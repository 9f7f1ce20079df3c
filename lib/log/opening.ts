import {
  CorruptSegment,
  rebuildIndex,
  recoverSegment,
  type RecoveryReport,
  sealedCount,
  sealedState,
  type SegmentFiles,
  type SegmentState,
} from "../segment/mod.ts";
import { step, type Twin } from "../storage/mod.ts";
import {
  completePairs,
  createSegment,
  listDirectory,
  type ListedSegment,
  syncDirectory,
} from "./directory.ts";
import { keepCut } from "./keep_cut.ts";
import type { CompleteLogOptions } from "./log_options.ts";
import { join, segmentName, TEMPORARY_SUFFIX } from "./names.ts";
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
  files: SegmentFiles;
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
): Twin<OpenedLog> {
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
  const files = yield* openSegment(storage, dir, firstOffset, { write: true });
  try {
    const state = yield* openLast();
    yield* leaveMark(storage, dir, pool);
    const report = { recovered, kept, foreign: listing.foreign };
    return { sealed, files, firstOffset, state, report };
  } catch (error) {
    yield* closeSegment(files);
    throw error;
  }

  function* openLast(): Twin<SegmentState> {
    const count = listing.marked ? undefined : yield* sealedCount(files, pool);
    if (count !== undefined) return yield* sealedState(files, pool, count);
    return yield* recover(firstOffset, files);
  }

  function* recover(
    firstOffset: number,
    files: SegmentFiles,
  ): Twin<SegmentState> {
    const { state, report } = yield* recoverSegment({
      ...files,
      pool,
      baseOffset: firstOffset,
      *keep(stop, to): Twin<void> {
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
  ): Twin<SealedSegment> {
    const { firstOffset } = segment;
    const path = join(dir, segmentName(firstOffset));
    let count: number | undefined;
    let byteLength = 0;
    if (segment.index) {
      const files = yield* openSegment(storage, dir, firstOffset, {
        write: false,
      });
      try {
        const { log } = files;
        byteLength = yield* step(() => log.size(), () => log.sizeSync());
        count = yield* sealedCount(files, pool);
      } finally {
        yield* closeSegment(files);
      }
    }
    if (count === undefined || firstOffset + count !== next.firstOffset) {
      ({ count, byteLength } = yield* rebuild(path, segment, next));
    }
    return { firstOffset, nextOffset: firstOffset + count, byteLength };
  }

  /** Writes a lost or wrong index anew: if the log is whole, for the index is but a cache. */
  function* rebuild(
    path: string,
    segment: ListedSegment,
    next: ListedSegment,
  ): Twin<{ count: number; byteLength: number }> {
    const { firstOffset } = segment;
    const temporary = `${path}.index${TEMPORARY_SUFFIX}`;
    const log = yield* step(
      () => storage.open(`${path}.log`),
      () => storage.openSync(`${path}.log`),
    );
    try {
      const options = { write: true, createNew: true };
      const index = yield* step(
        () => storage.open(temporary, options),
        () => storage.openSync(temporary, options),
      );
      let count: number;
      try {
        count = yield* rebuildIndex({ log, index }, pool, firstOffset);
      } finally {
        yield* step(() => index.close(), () => index.closeSync());
      }
      const byteLength = yield* step(() => log.size(), () => log.sizeSync());
      if (firstOffset + count !== next.firstOffset) {
        throw new CorruptSegment(
          `the next segment begins at offset ${next.firstOffset}`,
          {
            path: `${path}.log`,
            position: byteLength,
            offset: firstOffset + count,
            kind: "gap",
          },
        );
      }
      yield* step(
        () => storage.rename(temporary, `${path}.index`),
        () => storage.renameSync(temporary, `${path}.index`),
      );
      yield* syncDirectory(storage, dir);
      recovered.push({
        path: `${path}.log`,
        trustedEntries: 0,
        walkedBytes: byteLength,
        end: byteLength,
        cutBytes: 0,
        kept: false,
        rebuiltEntries: count,
      });
      return { count, byteLength };
    } finally {
      yield* step(() => log.close(), () => log.closeSync());
    }
  }
}
