import type { Task } from "../base/mod.ts";
import type { BufferPool } from "../pool/mod.ts";
import {
  type BatchPass,
  checkReadOptions,
  type KnownPlace,
  MessageBatch,
  ReadLimit,
  type ReadOptions,
  RESTART_BYTES,
  type ScanStop,
  type SegmentFiles,
  SegmentPass,
  SegmentScan,
} from "../segment/mod.ts";
import type { TaskStorage } from "../storage/mod.ts";
import { OffsetOutOfRangeError } from "./offset_out_of_range_error.ts";
import { closeSegment, openSegment } from "./segment_files.ts";

/** How often a segment that vanished before it was opened is looked for again. */
const MAX_ATTEMPTS = 3;

/** A segment that can be read. */
export interface ReadableSegment {
  /** The offset of its first message. */
  firstOffset: number;
  /** Up to which byte its log may be read, as of now; `undefined` where only its size tells. */
  bound: (() => number) | undefined;
  /** A place where a message begins, or will, if one is known. */
  known?: KnownPlace;
}

/** The segments of a log, as their owner knows them. */
export interface SegmentSource {
  /** The segments that there are now, in order; never empty. */
  segments(): Task<readonly ReadableSegment[]>;
  /** The offset up to which messages can be read now; `undefined` where only reading tells. */
  nextOffset(): number | undefined;
  /**
   * Judges the stop of an unbounded segment; `sealed` if a later one exists, so that nothing more
   * will be written there.
   *
   * @returns Whether to read on: `false` is the end.
   * @throws {CorruptSegmentError} If it is damage.
   */
  judge(
    files: SegmentFiles,
    stop: ScanStop,
    attempt: number,
    sealed: boolean,
  ): Task<boolean>;
  /** What is still in memory, for a tail of the log that is written here. */
  hot?: HotSource;
  /** For a reading that goes on with what is written later. */
  follow?: Follow;
}

/** What was written last and is still in memory. */
export interface HotSource {
  /** Returns the messages from `offset` if they are there; the batch is the caller's. */
  batchAt(offset: number): MessageBatch | undefined;
  /** Whether there is no message yet, in memory or in the files, that may be read at `offset`. */
  isEnd(offset: number): boolean;
}

/**
 * How a reading goes on at the end of the data; both computations wait, and can only be driven with
 * promises.
 */
export interface Follow {
  /**
   * Waits where a stop means no more than that nothing was written there yet; `false` if it must be
   * looked into.
   */
  pause(stop: ScanStop, attempt: number): Task<boolean>;
  /** Waits for messages from `offset` on; `false` if there will be none. */
  more(offset: number, attempt: number): Task<boolean>;
}

/** One pass over a log, from segment to segment. */
export class LogPass implements BatchPass {
  readonly #storage: TaskStorage;
  readonly #dir: string;
  readonly #pool: BufferPool;
  readonly #source: SegmentSource;
  readonly #options: ReadOptions;
  readonly #limit: ReadLimit;
  readonly #signal: AbortSignal | undefined;
  #current:
    | { files: SegmentFiles; pass: SegmentPass; firstOffset: number }
    | undefined;
  /** The offset to go on from. */
  #offset: number | undefined;
  /** Attempts at the place where the last one stopped. */
  #attempt = 0;

  constructor(
    place: { storage: TaskStorage; dir: string; pool: BufferPool },
    source: SegmentSource,
    options: ReadOptions,
    signal?: AbortSignal,
  ) {
    checkReadOptions(options);
    this.#signal = signal;
    this.#storage = place.storage;
    this.#dir = place.dir;
    this.#pool = place.pool;
    this.#source = source;
    this.#options = options;
    this.#limit = new ReadLimit(options);
  }

  /**
   * The next batch, which is the caller's; `undefined` at the end.
   *
   * @throws {OffsetOutOfRangeError} If the first offset asked for is not in the log.
   * @throws {CorruptSegmentError} If a segment is damaged.
   */
  *next(): Task<MessageBatch | undefined> {
    for (;;) {
      if (this.#limit.reached) return undefined;
      const hot = yield* this.#readHot();
      if (hot instanceof MessageBatch) return this.#limit.apply(hot);
      if (hot === "over") return undefined;
      if (hot === "again") continue;
      if (this.#current === undefined) yield* this.#open();
      const { files, pass, firstOffset } = this.#current!;
      const next = yield* pass.next();
      if (next instanceof MessageBatch) {
        this.#offset = next.nextOffset;
        this.#attempt = 0;
        return this.#limit.apply(next);
      }
      this.#offset = next.offset;
      const { follow } = this.#source;
      const attempt = this.#attempt++;
      if (follow && (yield* follow.pause(next, attempt))) continue;
      const segments = yield* this.#source.segments();
      const later = segments.find((each) => each.firstOffset === next.offset);
      if (later !== undefined && later.firstOffset > firstOffset) {
        yield* this.close();
        continue;
      }
      this.#checkHeld(next.offset, segments);
      const sealed = segments.at(-1)!.firstOffset > firstOffset;
      const goesOn =
        (yield* this.#source.judge(files, next, attempt, sealed)) ||
        follow !== undefined && (yield* follow.more(next.offset, attempt));
      if (!goesOn) return undefined;
    }
  }

  /**
   * The next messages, if they are still in memory; at the end of the data it waits. `undefined` if
   * the files must be read.
   */
  *#readHot(): Task<MessageBatch | "again" | "over" | undefined> {
    const { hot, follow } = this.#source;
    if (hot === undefined || follow === undefined || this.#options.since) {
      return undefined;
    }
    this.#offset ??= yield* this.#first(yield* this.#source.segments());
    const offset = this.#offset;
    const batch = hot.batchAt(offset);
    if (batch !== undefined) {
      yield* this.close();
      this.#offset = batch.nextOffset;
      return batch;
    }
    if (!hot.isEnd(offset)) return undefined;
    return (yield* follow.more(offset, 0)) ? "again" : "over";
  }

  /** Opens the segment that holds the next message. */
  *#open(): Task<void> {
    for (let attempt = 0;; attempt++) {
      const segments = yield* this.#source.segments();
      const wanted = this.#offset ??= yield* this.#first(segments);
      const segment = segments.findLast((each) => each.firstOffset <= wanted);
      this.#checkHeld(wanted, segments);
      try {
        yield* this.#openSegment(segment!, wanted);
        return;
      } catch (error) {
        // Truncated between the listing and the opening: the next listing tells.
        const gone = error instanceof Deno.errors.NotFound;
        if (!gone || attempt === MAX_ATTEMPTS) throw error;
      }
    }
  }

  /** Refuses an offset that was truncated away, also while the messages before it were read. */
  #checkHeld(offset: number, segments: readonly ReadableSegment[]): void {
    const first = segments[0]!.firstOffset;
    if (offset >= first) return;
    throw new OffsetOutOfRangeError(
      this.#dir,
      offset,
      first,
      this.#source.nextOffset(),
    );
  }

  *#openSegment(segment: ReadableSegment, from: number): Task<void> {
    const { firstOffset, bound, known } = segment;
    const files = yield* openSegment(this.#storage, this.#dir, firstOffset, {
      write: false,
    });
    const pass = new SegmentPass({
      ...files,
      pool: this.#pool,
      signal: this.#signal,
      known,
      firstOffset,
      // The offset asked for may lie in a segment that is made later.
      start: {
        ...this.#options,
        from: Math.max(from, this.#options.from ?? 0),
      },
      readAheadBytes: this.#options.readAheadBytes,
      bound,
    });
    this.#current = { files, pass, firstOffset };
  }

  /**
   * The offset to begin with: the one asked for, or the first of the segment in which the time
   * asked for may lie.
   */
  *#first(segments: readonly ReadableSegment[]): Task<number> {
    const first = segments[0]!.firstOffset;
    const { from = first, since } = this.#options;
    const next = this.#source.nextOffset();
    if (from < first || next !== undefined && from > next) {
      throw new OffsetOutOfRangeError(this.#dir, from, first, next);
    }
    if (since === undefined) return from;
    // The last segment that begins before the time: the message may be in it, and in none before.
    let low = 0;
    let high = segments.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const time = yield* this.#firstTimestamp(segments[middle]!);
      if (time !== undefined && time < since) low = middle + 1;
      else high = middle;
    }
    return Math.max(from, segments[Math.max(0, low - 1)]!.firstOffset);
  }

  /** The time of a segment's first message, which is verified: what the index says may be wrong. */
  *#firstTimestamp(segment: ReadableSegment): Task<number | undefined> {
    const { firstOffset, bound } = segment;
    const files = yield* openSegment(this.#storage, this.#dir, firstOffset, {
      write: false,
    });
    try {
      const { log } = files;
      const end = bound?.() ??
        (yield* log.size());
      const options = { firstBytes: RESTART_BYTES, readAheadBytes: 0 };
      const scan = new SegmentScan(log, this.#pool, 0, firstOffset, options);
      try {
        const first = yield* scan.next(end);
        if (!(first instanceof MessageBatch)) return undefined;
        using batch = first;
        return batch.timestamp(0);
      } finally {
        yield* scan.close();
      }
    } finally {
      yield* closeSegment(files);
    }
  }

  /** Closes the files of the segment that is being read. */
  *close(): Task<void> {
    const current = this.#current;
    this.#current = undefined;
    if (current === undefined) return;
    yield* current.pass.close();
    yield* closeSegment(current.files);
  }
}
