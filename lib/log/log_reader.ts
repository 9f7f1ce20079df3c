import type { Task } from "../base/mod.ts";
import {
  checkIndexEnd,
  corruption,
  CorruptSegment,
  iterate,
  iterateSync,
  type MessageBatch,
  type ReadOptions,
  type ScanStop,
  type SegmentFiles,
} from "../segment/mod.ts";
import { absolutePath } from "../storage/mod.ts";
import { listDirectory } from "./directory.ts";
import {
  type CompleteReaderOptions,
  completeReaderOptions,
  type LogReaderOptions,
} from "./log_options.ts";
import {
  type FollowOptions,
  leavable,
  type ReaderStreamOptions,
  streamOf,
} from "./following.ts";
import {
  type Follow,
  LogPass,
  type ReadableSegment,
  type SegmentSource,
} from "./log_pass.ts";
import type { LogPlace } from "./meta.ts";
import { parseSegmentName } from "./names.ts";
import { OffsetOutOfRange } from "./offset_out_of_range.ts";
import { isLocked, readOwnerFile } from "./owner_file.ts";
import { type Readable, ReadableSegments } from "./readable.ts";
import { tryRecovery } from "./try_recovery.ts";

/** How often a bad batch is read again before it is classified. */
const ATTEMPTS = 8;
/** The wait before the first repetition, in milliseconds; it doubles. */
const FIRST_DELAY_MS = 1;
/** Upper bound of the polling delay of a tail. */
const MAX_DELAY_MS = 100;
/**
 * Classify an incomplete batch after this many polls. Do it twice, because a closing writer may
 * still complete it after the first.
 */
const CLASSIFY_EVERY = 64;
/** How often an owner file in transition is read again. */
const RECORD_ATTEMPTS = 4;

/**
 * Reads a log that any process may be writing: it takes no lock and changes nothing.
 *
 * @example Reading what another process wrote
 * ```ts
 * import { Log, LogReader } from "@basalt/io";
 * import { assertEquals } from "@std/assert";
 *
 * const dir = Deno.makeTempDirSync();
 * await using log = await Log.open(dir);
 * await log.appendDurable("hello");
 *
 * const reader = new LogReader(dir);
 * for await (using batch of reader.read()) {
 *   assertEquals(new TextDecoder().decode(batch.payload(0)), "hello");
 * }
 * await log.close();
 * Deno.removeSync(dir, { recursive: true });
 * ```
 */
export class LogReader {
  /** The directory. */
  readonly path: string;

  readonly #options: CompleteReaderOptions;

  /** Nothing is opened before something is read. */
  constructor(path: string | URL, options: LogReaderOptions = {}) {
    this.path = absolutePath("read log", path);
    this.#options = completeReaderOptions(options);
  }

  /**
   * The messages that are in the files, in batches that are the caller's to drop. It ends where the
   * data ends.
   *
   * @throws {OffsetOutOfRange} If `from` is below the first offset of the log.
   * @throws {CorruptSegment} At the first message that is damaged, after all before it were handed
   * out.
   */
  read(options: ReadOptions = {}): AsyncIterableIterator<MessageBatch> {
    return iterate(this.#pass(options));
  }

  /**
   * The messages that are in the files, and then those that are written later. One batch has all
   * that came meanwhile.
   *
   * At the end of the data it looks again, after 1 ms at first, after 100 ms at most while nothing
   * comes. It ends by its `signal`, by leaving the loop, and after `count` or `maxBytes`; not when
   * the log is closed, for the next writer goes on where that one ended.
   *
   * @throws {OffsetOutOfRange} If `from` is below the first offset of the log; also if what is next
   * was truncated away.
   * @throws {CorruptSegment} At the first message that is damaged, after all before it were handed
   * out.
   *
   * @example The next message
   * ```ts
   * import { Log, LogReader } from "@basalt/io";
   * import { assertEquals } from "@std/assert";
   *
   * const dir = Deno.makeTempDirSync();
   * {
   *   await using log = await Log.open(dir);
   *   const tail = new LogReader(dir).tail({ count: 1 });
   *   const next = tail.next();
   *   await log.appendDurable("hello");
   *   using batch = (await next).value!;
   *   assertEquals(new TextDecoder().decode(batch.payload(0)), "hello");
   *   await tail.return!();
   * }
   * Deno.removeSync(dir, { recursive: true });
   * ```
   */
  tail(options: FollowOptions = {}): AsyncIterableIterator<MessageBatch> {
    return this.#leavable(options, true);
  }

  /**
   * The batches of {@linkcode LogReader.read} or, if told to `follow`, of {@linkcode
   * LogReader.tail}, as a stream. A batch is read when somebody asks for it, not before; cancelling
   * gives everything back. Drop each batch.
   *
   * @example Reading from a stream
   * ```ts
   * import { Log, LogReader } from "@basalt/io";
   * import { assertEquals } from "@std/assert";
   *
   * const dir = Deno.makeTempDirSync();
   * {
   *   await using log = await Log.open(dir);
   *   await log.appendDurable("hello");
   * }
   * for await (using batch of new LogReader(dir).stream()) {
   *   assertEquals(batch.count, 1);
   * }
   * Deno.removeSync(dir, { recursive: true });
   * ```
   */
  stream(options: ReaderStreamOptions = {}): ReadableStream<MessageBatch> {
    return streamOf(this.#leavable(options, options.follow ?? false));
  }

  /** The blocking version of {@linkcode LogReader.read}. */
  readSync(options: ReadOptions = {}): IterableIterator<MessageBatch> {
    return iterateSync(this.#pass(options));
  }

  #leavable(
    options: FollowOptions,
    follow: boolean,
  ): AsyncIterableIterator<MessageBatch> {
    return leavable((signal) => {
      const more = follow ? this.#follow(signal) : undefined;
      return this.#pass(options, signal, more);
    }, options.signal);
  }

  /** Looks again, less and less often while there is nothing. */
  #follow(signal: AbortSignal): Follow {
    const { storage } = this.#options;
    function* wait(attempt: number): Task<boolean> {
      const ms = Math.min(FIRST_DELAY_MS * 2 ** attempt, MAX_DELAY_MS);
      yield* storage.delay(ms, { signal });
      return true;
    }
    return {
      *pause({ reason }, attempt): Task<boolean> {
        // There may be a next segment.
        if (reason === "end") return false;
        // Room for what is written next; whether it is damage is asked now and then, for that reads
        // what lies after it.
        const isUnwritten = reason === "zeros" || reason === "partial";
        const isAsked = attempt <= ATTEMPTS
          ? !isUnwritten
          : attempt % CLASSIFY_EVERY >= CLASSIFY_EVERY - 2;
        return !isAsked && (yield* wait(attempt));
      },
      more: (_offset, attempt) => wait(attempt),
    };
  }

  #pass(
    options: ReadOptions,
    signal?: AbortSignal,
    follow?: Follow,
  ): LogPass {
    const { storage, pool } = this.#options;
    const place = { storage, dir: this.path, pool };
    const reading = new Reading(place, follow ? undefined : options.from ?? 0);
    const source: SegmentSource = {
      segments: () => reading.segments(),
      nextOffset: () => undefined,
      judge: (files, stop, attempt, sealed) =>
        reading.classify(files, stop, attempt, sealed),
    };
    if (follow !== undefined) source.follow = follow;
    return new LogPass(place, source, options, signal);
  }
}

/** Whether a log is being written, was left by a writer that died, or was closed. */
type WriterState = "writing" | "dead" | "none";

/** What the owner file and the lock say of a log's writer. */
interface Writer {
  state: WriterState;
  /** Messages below it are durable, as the writer published. */
  durableOffset: number;
}

/**
 * One reading of a log that another process may be writing: tells damage from what is not written
 * yet.
 */
class Reading {
  readonly #place: LogPlace;
  readonly #readable: ReadableSegments;
  /** The offset that was asked for; `undefined` if the reading goes on at the end of the data. */
  readonly #from: number | undefined;
  /** What the last listing found. */
  #found: Readable = { segments: [], lost: undefined };
  /** Whether the last look at this position found no writer. */
  #isQuiet = false;

  constructor(place: LogPlace, from: number | undefined) {
    this.#place = place;
    this.#from = from;
    this.#readable = new ReadableSegments(place);
  }

  /** Returns the segments that can be read now. */
  *segments(): Task<readonly ReadableSegment[]> {
    const { segments, lost } = this.#found = yield* this.#readable.list();
    if (lost !== undefined && segments.length === 0) throw lost;
    return segments.map(({ firstOffset }) => ({
      firstOffset,
      bound: undefined,
    }));
  }

  /**
   * Tells what a stop means. `docs/format.md#read-not-yet`
   *
   * @param isSealed Whether a later segment exists.
   * @returns Whether to read here again; `false` at the end of the data.
   * @throws {CorruptSegment} If it is damage.
   */
  *classify(
    files: SegmentFiles,
    stop: ScanStop,
    attempt: number,
    isSealed: boolean,
  ): Task<boolean> {
    this.#checkName(files);
    const { lost } = this.#found;
    if (stop.reason === "end" && !isSealed) {
      if (lost !== undefined) throw lost;
      if (this.#from !== undefined) yield* this.#checkEnd(files, stop);
      return false;
    }
    const writer = yield* this.#writer();
    // What was read may have been the last write of one that closed since: only what is read now
    // counts.
    const isAgain = writer.state !== "writing" &&
      !(this.#isQuiet && attempt > 0);
    this.#isQuiet = writer.state !== "writing";
    if (isAgain) return true;
    return yield* this.#classify(
      files,
      stop,
      attempt,
      isSealed || lost !== undefined,
      writer,
    );
  }

  *#classify(
    files: SegmentFiles,
    stop: ScanStop,
    attempt: number,
    isSealed: boolean,
    { state, durableOffset }: Writer,
  ): Task<boolean> {
    const isUnwritten = stop.reason === "zeros" || stop.reason === "partial";
    const isWritten = isSealed || stop.offset < durableOffset;
    const isWriting = state === "writing";
    if (isWriting && isUnwritten && !isWritten) return false;
    // Bytes that were read before the durable offset was published may be older than it.
    if ((isWriting || isSealed) && attempt < ATTEMPTS) {
      yield* this.#place.storage.delay(FIRST_DELAY_MS * 2 ** attempt);
      return true;
    }
    if (isSealed) throw yield* this.#corruption(files.log.path, stop);
    if (isWriting && !isWritten) return false;
    if (state !== "dead") throw corruption(files.log.path, stop);
    const end = yield* this.#recoveredEnd(files, durableOffset);
    if (end <= stop.offset) return false;
    if (attempt < ATTEMPTS) return true;
    throw corruption(files.log.path, stop);
  }

  /** Returns the offset at which the next writer will go on. */
  *#recoveredEnd(
    { log }: SegmentFiles,
    durableOffset: number,
  ): Task<number> {
    const { firstOffset } = nameOf(log.path);
    const segment = this.#found.segments
      .find((each) => each.firstOffset === firstOffset)!;
    const { state } = yield* tryRecovery(this.#place, segment, durableOffset);
    return state.nextOffset;
  }

  /** Refuses to go on in a file that has lost its name: nothing will be written to it any more. */
  #checkName({ log }: SegmentFiles): void {
    const { firstOffset } = nameOf(log.path);
    const { segments, lost } = this.#found;
    if (segments.some((each) => each.firstOffset === firstOffset)) return;
    throw lost ?? new Deno.errors.BadResource(
      `Cannot read on in '${log.path}': the file has lost its name`,
    );
  }

  /**
   * Refuses an offset after the end of the data, and a closed log that is shorter than its index
   * says.
   *
   * A tail waits there instead.
   */
  *#checkEnd(files: SegmentFiles, { offset, position }: ScanStop): Task<void> {
    const { storage, dir, pool } = this.#place;
    const { segments } = this.#found;
    if (this.#from! > offset) {
      const first = segments[0]!.firstOffset;
      throw new OffsetOutOfRange(dir, this.#from!, first, offset);
    }
    const { hasOwner } = yield* listDirectory(storage, dir);
    if (hasOwner) return;
    const { firstOffset } = segments.at(-1)!;
    yield* checkIndexEnd(files, pool, firstOffset, position);
  }

  /** Returns the error for a stop in a segment that has a later one. */
  *#corruption(path: string, stop: ScanStop): Task<CorruptSegment> {
    if (stop.reason !== "end") return corruption(path, stop);
    const { storage, dir } = this.#place;
    const { segments } = yield* listDirectory(storage, dir);
    const own = nameOf(path);
    const next = segments.find((each) => each.firstOffset > own.firstOffset);
    if (next === undefined) return corruption(path, stop);
    const { position, offset } = stop;
    return new CorruptSegment(
      `the next segment begins at offset ${next.firstOffset}`,
      { path, position, offset, kind: "gap" },
    );
  }

  /** Returns what the owner file and the lock say. */
  *#writer(): Task<Writer> {
    const place = this.#place;
    for (let attempt = 0;; attempt++) {
      const record = yield* readOwnerFile(place);
      if (record === undefined) return { state: "none", durableOffset: 0 };
      const state = isLocked(place.storage, place.dir) ? "writing" : "dead";
      if (typeof record === "object") {
        return { state, durableOffset: record.durableOffset };
      }
      // It may have met an update (docs/format.md#read-owner-retry).
      if (state === "dead" || attempt === RECORD_ATTEMPTS) {
        return { state, durableOffset: 0 };
      }
      yield* place.storage.delay(FIRST_DELAY_MS);
    }
  }
}

/** What a segment's file is named for. */
function nameOf(path: string): { firstOffset: number } {
  return parseSegmentName(path.slice(path.lastIndexOf("/") + 1))!;
}
