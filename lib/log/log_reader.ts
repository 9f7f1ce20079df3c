import type { Task } from "../base/mod.ts";
import {
  corruption,
  CorruptSegment,
  type CursorStop,
  hasMessageBehind,
  iterate,
  iterateSync,
  type MessageBatch,
  type ReadOptions,
  type SegmentTaskFiles,
} from "../segment/mod.ts";
import { pathString } from "../storage/mod.ts";
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
import { parseSegmentName } from "./names.ts";
import { readableSegments } from "./readable.ts";
import { isLocked } from "./writer_mark.ts";

/** How often a bad message is read again before it is judged, and the wait before the first repetition, which doubles, in milliseconds. */
const ATTEMPTS = 8;
const FIRST_DELAY_MS = 1;
/** The longest wait of a tail before it looks again, and of how many looks at the same unfinished place the last two ask what it is: one for what a writer that closes may still have written. */
const MAX_DELAY_MS = 100;
const JUDGE_EVERY = 64;
/** How far behind the end of the data a valid message is looked for: what a crash can leave. */
const LOOK_BEHIND_BYTES = 32 * 1024 * 1024;

/**
 * Reads a log that anybody may be writing, from any process: it takes no lock and changes nothing.
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
    this.path = pathString("read log", path);
    this.#options = completeReaderOptions(options);
  }

  /**
   * The messages that are in the files, in batches that are the caller's to drop. It ends where the data ends.
   *
   * @throws {OffsetOutOfRange} If `from` is below the first offset of the log.
   * @throws {CorruptSegment} At the first message that is damaged, after all before it were handed out.
   */
  read(options: ReadOptions = {}): AsyncIterableIterator<MessageBatch> {
    return iterate(this.#pass(options));
  }

  /**
   * The messages that are in the files, and then those that are written later. One batch has all that came meanwhile.
   *
   * At the end of the data it looks again, after 1 ms at first, after 100 ms at most while nothing comes. It ends by its `signal`, by leaving the loop, and after `count` or `maxBytes`; not when the log is closed, for the next writer goes on where that one ended.
   *
   * @throws {OffsetOutOfRange} If `from` is below the first offset of the log; also if what is next was truncated away.
   * @throws {CorruptSegment} At the first message that is damaged, after all before it were handed out.
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
   * The batches of {@linkcode LogReader.read} or, if told to `follow`, of {@linkcode LogReader.tail}, as a stream. A batch is read when somebody asks for it, not before; cancelling gives everything back. Drop each batch.
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
        // Room for what is written next; whether it is damage is asked now and then, for that reads what lies behind.
        const unwritten = reason === "zeros" || reason === "partial";
        const asked = attempt <= ATTEMPTS
          ? !unwritten
          : attempt % JUDGE_EVERY >= JUDGE_EVERY - 2;
        return !asked && (yield* wait(attempt));
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
    const dir = this.path;
    // deno-lint-ignore no-this-alias -- generators have a `this` of their own
    const reader = this;
    // Whether the last judgement of this place found no writer.
    let quiet = false;
    // What is behind the segments that can be read.
    let lost: CorruptSegment | undefined;
    const source: SegmentSource = {
      *segments(): Task<readonly ReadableSegment[]> {
        const found = yield* readableSegments(storage, dir);
        lost = found.lost;
        if (lost !== undefined && found.segments.length === 0) throw lost;
        return found.segments.map(({ firstOffset }) => ({
          firstOffset,
          bound: undefined,
        }));
      },
      nextOffset: () => undefined,
      *judge(files, stop, attempt, sealed): Task<boolean> {
        if (stop.reason === "end" && !sealed) {
          if (lost !== undefined) throw lost;
          return false;
        }
        const writer = yield* reader.#writer();
        // What was read may have been the last write of one that closed since: only what is read now counts.
        const again = writer !== "writing" && !(quiet && attempt > 0);
        quiet = writer !== "writing";
        return again ||
          (yield* reader.#judge(
            files,
            stop,
            attempt,
            sealed || lost !== undefined,
            writer,
          ));
      },
    };
    if (follow !== undefined) source.follow = follow;
    return new LogPass({ storage, dir, pool }, source, options, signal);
  }

  /**
   * Behind a writer's end, a bad message means "not yet"; it is damage if it stays and a valid message lies behind it, or if nobody is writing.
   * What a dead writer left unfinished is the end of the data too: the next one will cut it. A log that was closed has nothing unfinished.
   */
  *#judge(
    files: SegmentTaskFiles,
    stop: CursorStop,
    attempt: number,
    sealed: boolean,
    writer: WriterState,
  ): Task<boolean> {
    const { storage, pool } = this.#options;
    const written = writer === "writing";
    const unfinished = writer !== "none" &&
      (stop.reason === "zeros" || stop.reason === "partial");
    if (written && unfinished && !sealed) return false;
    if ((written || sealed) && attempt < ATTEMPTS) {
      const ms = FIRST_DELAY_MS * 2 ** attempt;
      yield* storage.delay(ms);
      return true;
    }
    const { log } = files;
    if (sealed) throw yield* this.#corruption(log.path, stop);
    const size = yield* log.size();
    const bound = Math.min(size, stop.position + LOOK_BEHIND_BYTES);
    const from = stop.position + 1;
    const behind = yield* hasMessageBehind(log, pool, from, bound, stop.offset);
    if (behind || !written && !unfinished) throw corruption(log.path, stop);
    return false;
  }

  /** The error for a stop in a segment that has a later one. */
  *#corruption(path: string, stop: CursorStop): Task<CorruptSegment> {
    if (stop.reason !== "end") return corruption(path, stop);
    const { segments } = yield* listDirectory(this.#options.storage, this.path);
    const own = parseSegmentName(path.slice(path.lastIndexOf("/") + 1));
    const next = segments.find((each) => each.firstOffset > own!.firstOffset);
    if (next === undefined) return corruption(path, stop);
    const { position, offset } = stop;
    return new CorruptSegment(
      `the next segment begins at offset ${next.firstOffset}`,
      { path, position, offset, kind: "gap" },
    );
  }

  /** Whether a writer has the log open: it left its mark, and holds the lock. */
  *#writer(): Task<WriterState> {
    const { storage } = this.#options;
    const { marked } = yield* listDirectory(storage, this.path);
    if (!marked) return "none";
    return isLocked(storage, this.path) ? "writing" : "dead";
  }
}

/** Whether a log is being written, was left by a writer that died, or was closed. */
type WriterState = "writing" | "dead" | "none";
