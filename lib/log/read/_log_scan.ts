import type { Task } from "../../base/mod.ts";
import type { BufferPool } from "../../pool/mod.ts";
import {
  type BatchPlace,
  type BatchSource,
  type CheckedReadOptions,
  type IndexEntry,
  MessageBatch,
  type ReadOptions,
  RESTART_BYTES,
  type ScanStart,
  type ScanStop,
  seek,
  SegmentScan,
  Selection,
} from "../../segment/mod.ts";
import type { TaskFile } from "../../storage/mod.ts";
import type { LogPlace } from "../record/meta.ts";
import { closing, openSegmentLog, readIndex } from "../open/_segment_files.ts";

/** How often to look again for a segment that vanished before it was opened. */
const MAX_ATTEMPTS = 3;

/** A segment that can be read. */
export interface ReadableSegment {
  /** The offset of its first message. */
  firstOffset: number;
  /** Returns up to which byte its `.log` may be read now. Default: up to its end. */
  bound?: () => number;
  /** A position where a batch begins, or will begin, if one is known. */
  hint?: BatchPlace;
}

/** The segment that a scan reads. */
export interface OpenSegment {
  /** The segment. */
  readonly segment: ReadableSegment;
  /** Its `.log`. */
  readonly log: TaskFile;
  readonly scan: SegmentScan;
  /** The size of the `.log` in bytes, as read last. */
  size: number;
  /** The last batch that was read. */
  last?: IndexEntry;
}

/** How a scan continues after a stop: at the same position, in the next segment, or not at all. */
export type Resumption = "again" | "next" | "end";

/** Knows the segments of a log for a {@linkcode LogScan}, and what a stop in one of them means. */
export interface SegmentSource {
  /**
   * Returns the segments in the order of their offsets, at least one. Called once at the start, and
   * again when a segment has vanished.
   */
  segments(): Task<readonly ReadableSegment[]>;
  /**
   * Returns the segment that holds the message at `offset`, or will hold it.
   *
   * @throws {OffsetOutOfRangeError} If the message was removed.
   */
  find(offset: number): ReadableSegment;
  /**
   * Checks that a scan can begin at an offset.
   *
   * @throws {OffsetOutOfRangeError} If it is not in the log.
   */
  checkStart(offset: number): void;
  /**
   * Called before the message at `offset` is read. Returns messages from memory, `"files"` to
   * continue in the files, or `"end"`.
   *
   * @param current The segment of the message before it, if that was read from a file.
   */
  ahead(
    offset: number,
    current: OpenSegment | undefined,
  ): Task<MessageBatch | "files" | "end">;
  /**
   * Returns the offset below which messages may be returned. Called after they were read. Left out
   * if all messages may.
   */
  end?(): Task<number>;
  /**
   * Returns how to continue after a stop, and waits where more messages may come.
   *
   * @param bound Up to which byte the segment was read.
   * @param attempt The number of stops since the last messages.
   * @throws {CorruptSegmentError} If the stop is damage.
   * @throws {OffsetOutOfRangeError} If the next message was removed.
   */
  resume(
    current: OpenSegment,
    stop: ScanStop,
    bound: number,
    attempt: number,
  ): Task<Resumption>;
  /** Releases what the source waits with. */
  close?(): void;
  /** Called before the source waits, and when all messages from the start of the scan were read. */
  onCaughtUp?: () => void;
}

/** Reads a log from segment to segment, in verified batches. */
export class LogScan implements BatchSource {
  onCaughtUp?: () => void;
  readonly #place: LogPlace;
  readonly #source: SegmentSource;
  readonly #options: CheckedReadOptions;
  readonly #selection: Selection;
  readonly #signal: AbortSignal | undefined;
  #current: OpenSegment | undefined;
  /** The offset of the next message. */
  #offset: number | undefined;
  /** The number of stops since the last messages. */
  #attempt = 0;

  constructor(
    place: LogPlace,
    source: SegmentSource,
    options: ReadOptions,
    signal?: AbortSignal,
  ) {
    this.#place = place;
    this.#source = source;
    this.#selection = new Selection(options);
    this.#options = this.#selection.options;
    this.#signal = signal;
    source.onCaughtUp = () => this.onCaughtUp?.();
  }

  /**
   * Returns the next batch, which is the caller's; `undefined` at the end.
   *
   * @throws {OffsetOutOfRangeError} If the requested offset is not in the log.
   * @throws {CorruptSegmentError} If a segment is damaged.
   */
  *next(): Task<MessageBatch | undefined> {
    const source = this.#source;
    while (!this.#selection.isOver) {
      const offset = this.#offset ??= yield* this.#start();
      const ahead = yield* source.ahead(offset, this.#current);
      if (ahead === "end") return undefined;
      let batch: MessageBatch | undefined;
      if (ahead instanceof MessageBatch) {
        if (this.#current !== undefined) yield* this.#closeSegment();
        batch = ahead;
      } else {
        const current = this.#current ??= yield* this.#open(offset);
        const bound = current.segment.bound?.() ?? current.size;
        const next = yield* current.scan.next(bound);
        if (!(next instanceof MessageBatch)) {
          if (yield* this.#stopped(current, next, bound)) continue;
          return undefined;
        }
        const { from = 0 } = this.#options;
        // Messages before the start are not returned, so they need no check.
        const end = next.nextOffset <= from
          ? undefined
          : source.end && (yield* source.end());
        batch = end === undefined ? next : cut(current.scan, next, end);
        if (batch === undefined) this.#offset = Math.max(offset, from);
        else current.last = batch.batch(batch.batchCount - 1);
      }
      this.#attempt = 0;
      if (batch === undefined) continue;
      this.#offset = batch.nextOffset;
      const selected = this.#selection.select(batch);
      if (selected !== undefined) return selected;
    }
    return undefined;
  }

  /** Closes the files. */
  *close(): Task<void> {
    this.#source.close?.();
    yield* this.#closeSegment();
  }

  /** Continues after a stop; returns whether there may be more. */
  *#stopped(
    current: OpenSegment,
    stop: ScanStop,
    bound: number,
  ): Task<boolean> {
    this.#offset = stop.offset;
    const { log, segment, size } = current;
    if (segment.bound === undefined) {
      current.size = yield* log.size();
      const isOpen = stop.reason === "end" || stop.reason === "partial";
      if (isOpen && current.size > size) return true;
    }
    const attempt = this.#attempt++;
    const how = yield* this.#source.resume(current, stop, bound, attempt);
    if (how === "next") yield* this.#closeSegment();
    return how !== "end";
  }

  /** Opens the segment that holds the message at `offset`. */
  *#open(offset: number): Task<OpenSegment> {
    for (let attempt = 0;; attempt++) {
      const segment = this.#source.find(offset);
      try {
        return yield* this.#openSegment(segment, offset);
      } catch (error) {
        // The segment was removed meanwhile: a new listing shows what is left.
        const isGone = error instanceof Deno.errors.NotFound;
        if (!isGone || attempt === MAX_ATTEMPTS) throw error;
        yield* this.#source.segments();
      }
    }
  }

  *#openSegment(
    segment: ReadableSegment,
    offset: number,
  ): Task<OpenSegment> {
    const place = this.#place;
    const { pool } = place;
    const { since, readAheadBytes } = this.#options;
    const { firstOffset, bound, hint } = segment;
    const log = yield* openSegmentLog(place, firstOffset);
    try {
      let start: ScanStart = { offset: firstOffset, position: 0 };
      if (offset > firstOffset || since !== undefined) {
        // The requested offset may lie in a segment that is created later.
        const from = Math.max(offset, this.#options.from ?? 0);
        const wanted = since === undefined ? { from } : { from, since };
        const options = { bound: bound?.(), hint };
        start = yield* readIndex(
          place,
          firstOffset,
          (index) => seek({ index, firstOffset, pool }, wanted, options),
        );
      }
      const scanOptions = { readAheadBytes, signal: this.#signal };
      const scan = new SegmentScan(log, pool, start, scanOptions);
      const size = bound === undefined ? yield* log.size() : 0;
      return { segment, log, scan, size };
    } catch (error) {
      yield* log.close();
      throw error;
    }
  }

  /**
   * Returns the offset to begin with: the requested one, or the first of the segment that may hold
   * the requested time.
   */
  *#start(): Task<number> {
    let before: number | undefined;
    for (;;) {
      const segments = yield* this.#source.segments();
      const first = segments[0]!.firstOffset;
      const { from = first } = this.#options;
      this.#source.checkStart(from);
      try {
        return yield* this.#startIn(segments, from);
      } catch (error) {
        // The segment was removed meanwhile: a new listing shows what is left.
        const isGone = error instanceof Deno.errors.NotFound;
        if (!isGone || first === before) throw error;
        before = first;
      }
    }
  }

  /** Returns the offset to begin with, at least `from`. */
  *#startIn(
    segments: readonly ReadableSegment[],
    from: number,
  ): Task<number> {
    const { since } = this.#options;
    if (since === undefined) return from;
    // Find the last segment that begins before the time: no earlier one can hold the message.
    let low = 0;
    let high = segments.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const { firstOffset, bound } = segments[middle]!;
      const time = yield* firstTimestampOf(
        this.#place,
        firstOffset,
        bound?.(),
      );
      if (time !== undefined && time < since) low = middle + 1;
      else high = middle;
    }
    return Math.max(from, segments[Math.max(0, low - 1)]!.firstOffset);
  }

  *#closeSegment(): Task<void> {
    const current = this.#current;
    this.#current = undefined;
    if (current === undefined) return;
    yield* current.scan.close();
    yield* current.log.close();
  }
}

/**
 * Returns the append time of the first message of a segment, in microseconds; `undefined` if there
 * is no valid one. The batch is verified, because an index may be wrong.
 *
 * @param bound Where the data ends, in bytes. Default: at the end of the file.
 */
export function* firstTimestampOf(
  place: LogPlace,
  firstOffset: number,
  bound?: number,
): Task<number | undefined> {
  const log = yield* openSegmentLog(place, firstOffset);
  const start = { offset: firstOffset, position: 0 };
  return yield* closing(log, timestampAt(log, place.pool, start, bound));
}

/**
 * Returns the append time of the batch that begins at a position, in microseconds; `undefined` if
 * there is no valid one.
 */
export function* timestampAt(
  log: TaskFile,
  pool: BufferPool,
  start: BatchPlace,
  bound?: number,
): Task<number | undefined> {
  const options = { firstBytes: RESTART_BYTES, readAheadBytes: 0 };
  const scan = new SegmentScan(log, pool, start, options);
  try {
    const first = yield* scan.next(bound ?? (yield* log.size()));
    if (!(first instanceof MessageBatch)) return undefined;
    using batch = first;
    return batch.timestamp(0);
  } finally {
    yield* scan.close();
  }
}

/**
 * Returns the messages of a batch below `end`; drops the batch and returns `undefined` if there are
 * none. The rest is read again later, because another message may get its offset until then.
 */
function cut(
  scan: SegmentScan,
  batch: MessageBatch,
  end: number,
): MessageBatch | undefined {
  const { firstOffset, nextOffset } = batch;
  if (nextOffset <= end) return batch;
  const count = Math.max(0, end - firstOffset);
  scan.restart(batch.placeOf(count));
  if (count > 0) return batch.narrow(0, count);
  batch.drop();
  return undefined;
}

/** Returns the last of the segments that begins at or before `offset`; `undefined` if none does. */
export function lastUpTo<T extends { firstOffset: number }>(
  segments: readonly T[],
  offset: number,
): T | undefined {
  let low = 0;
  let high = segments.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (segments[middle]!.firstOffset <= offset) low = middle + 1;
    else high = middle;
  }
  return segments[low - 1];
}
