import type { Task } from "../base/mod.ts";
import {
  iterate,
  iterateSync,
  type MessageBatch,
  type ReadOptions,
} from "../segment/mod.ts";
import type { BatchPass } from "../segment/mod.ts";
import { absolutePath } from "../storage/mod.ts";
import { DurablePass } from "./durable_pass.ts";
import {
  leavable,
  streamOf,
  type StreamOptions,
  type TailOptions,
} from "./following.ts";
import {
  type CompleteReaderOptions,
  completeReaderOptions,
  type LogReaderOptions,
} from "./log_options.ts";
import { type Follow, LogPass, type SegmentSource } from "./log_pass.ts";
import {
  ATTEMPTS,
  durableOffsetOf,
  FIRST_DELAY_MS,
  Reading,
} from "./reading.ts";

/** Upper bound of the polling delay of a tail. */
const MAX_DELAY_MS = 100;
/**
 * Classify an incomplete batch after this many polls. Do it twice, because a closing writer may
 * still complete it after the first.
 */
const CLASSIFY_EVERY = 64;

/** What to read of a log that another process may be writing. */
export interface LogReadOptions extends ReadOptions {
  /**
   * Read only messages that survive a power cut, as far as the log's writer has told: after a power
   * cut, another message may have the offset of one that was not durable.
   *
   * @default {false}
   */
  durable?: boolean;
}

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
   * @throws {OffsetOutOfRangeError} If `from` is below the first offset of the log, or after its end.
   * @throws {CorruptSegmentError} At the first message that is damaged, after all before it were handed
   * out.
   */
  read(options: LogReadOptions = {}): AsyncIterableIterator<MessageBatch> {
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
   * @throws {OffsetOutOfRangeError} If `from` is below the first offset of the log; also if what is next
   * was truncated away.
   * @throws {CorruptSegmentError} At the first message that is damaged, after all before it were handed
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
  tail(options: TailOptions = {}): AsyncIterableIterator<MessageBatch> {
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
  stream(options: StreamOptions = {}): ReadableStream<MessageBatch> {
    return streamOf(this.#leavable(options, options.follow ?? false));
  }

  /** The blocking version of {@linkcode LogReader.read}. */
  readSync(options: LogReadOptions = {}): IterableIterator<MessageBatch> {
    return iterateSync(this.#pass(options));
  }

  #leavable(
    options: TailOptions,
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
    options: LogReadOptions,
    signal?: AbortSignal,
    follow?: Follow,
  ): BatchPass {
    const { storage, pool } = this.#options;
    const place = { storage, dir: this.path, pool };
    const passOf = (options: ReadOptions): BatchPass => {
      const from = follow ? undefined : options.from ?? 0;
      const reading = new Reading(place, from);
      const source: SegmentSource = {
        segments: () => reading.segments(),
        nextOffset: () => undefined,
        judge: (files, stop, attempt, sealed) =>
          reading.classify(files, stop, attempt, sealed),
      };
      if (follow !== undefined) source.follow = follow;
      return new LogPass(place, source, options, signal);
    };
    if (options.durable !== true) return passOf(options);
    return new DurablePass({
      options,
      passOf,
      durableOffset: () => durableOffsetOf(place),
      wait: follow && ((offset, attempt) => follow.more(offset, attempt)),
    });
  }
}
