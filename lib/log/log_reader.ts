import { drive, driveSync, type Task } from "../base/mod.ts";
import {
  BatchIterator,
  iterateSync,
  type LogIterator,
  type Message,
  type MessageBatch,
  type ReadOptions,
} from "../segment/mod.ts";
import { absolutePath } from "../storage/mod.ts";
import type { Cursor } from "./cursor/cursor.ts";
import {
  type CursorInfo,
  type CursorOptions,
  LogCursors,
} from "./cursor/log_cursors.ts";
import { ReaderSource } from "./cursor/reader_source.ts";
import { DirectoryChanges, type ReaderStats } from "./directory_changes.ts";
import { leavable, type StreamOptions, type TailOptions } from "./following.ts";
import { ForeignSegments } from "./foreign_segments.ts";
import {
  type CompleteReaderOptions,
  completeReaderOptions,
  type LogReaderOptions,
} from "./log_options.ts";
import { LogScan } from "./log_scan.ts";
import { MessageIterator } from "./messages.ts";
import { type LogPlace, readMeta } from "./meta.ts";

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
  readonly #stats: ReaderStats = {
    tails: 0,
    notifiedTails: 0,
    looks: 0,
    listings: 0,
  };

  /** Nothing is opened before something is read. */
  constructor(path: string | URL, options: LogReaderOptions = {}) {
    this.path = absolutePath("read log", path);
    this.#options = completeReaderOptions(options);
  }

  /**
   * Returns the messages that are in the files, in batches: each is valid until the next one is
   * asked for, unless kept. It ends where the data ends.
   *
   * @throws {OffsetOutOfRangeError} If `from` is below the first offset of the log, or after its
   *   end.
   * @throws {CorruptSegmentError} At the first message that is damaged, after all before it were
   *   handed
   * out.
   */
  read(options: LogReadOptions = {}): LogIterator<MessageBatch> {
    return new BatchIterator(this.#scan(options));
  }

  /**
   * Returns the messages that are in the files, and then those that are written later. One batch
   * has all that came meanwhile; it is valid until the next one is asked for, unless kept.
   *
   * At the end of the data the system tells it of changes (inotify), so that nothing runs while
   * nothing is written. Where the system cannot, it looks again: after 1 ms at first, and every
   * 100 ms while nothing comes. {@linkcode LogReader.stats} tells which.
   * It ends by its `signal`, by leaving the loop, and after `count` or `maxBytes`; not when the log
   * is closed, for the next writer goes on where that one ended. From above the end it waits.
   *
   * @throws {OffsetOutOfRangeError} If `from` is below the first offset of the log; also if what is
   *   next
   * was truncated away.
   * @throws {CorruptSegmentError} At the first message that is damaged, after all before it were
   *   handed
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
  tail(options: TailOptions = {}): LogIterator<MessageBatch> {
    return this.#leavable({ ...options, follow: true });
  }

  /**
   * Returns the messages of {@linkcode LogReader.read} or, if told to `follow`, of {@linkcode
   * LogReader.tail}, one by one. A message is valid until the next one is asked for; `copy()` makes
   * it last.
   *
   * @example What another process wrote, as JSON
   * ```ts
   * import { Log, LogReader } from "@basalt/io";
   * import { assertEquals } from "@std/assert";
   *
   * const dir = Deno.makeTempDirSync();
   * {
   *   await using log = await Log.open(dir);
   *   await log.appendDurable(JSON.stringify({ amount: 7 }));
   * }
   * let sum = 0;
   * for await (const message of new LogReader(dir).messages()) {
   *   sum += (message.json() as { amount: number }).amount;
   * }
   * assertEquals(sum, 7);
   * Deno.removeSync(dir, { recursive: true });
   * ```
   */
  messages(options: StreamOptions = {}): LogIterator<Message> {
    return new MessageIterator(this.#leavable(options));
  }

  /**
   * Returns the batches of {@linkcode LogReader.read} or, if told to `follow`, of {@linkcode
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
    return ReadableStream.from(this.#leavable(options, true));
  }

  /** The blocking version of {@linkcode LogReader.read}. */
  readSync(options: LogReadOptions = {}): IterableIterator<MessageBatch> {
    return iterateSync(this.#scan(options));
  }

  /**
   * Opens a cursor of the log, and makes it if there is none, as {@linkcode Log.cursor} does: a
   * consumer may be another process than the writer. It writes into the log's directory `cursors`.
   *
   * @throws {LockedError} If another has it open, after `lockTimeoutMs`: it names the process.
   * @throws {OffsetOutOfRangeError} If it is new, and `from` is no durable offset of the log.
   * @throws {Deno.errors.InvalidData} If its file is damaged.
   *
   * @example A consumer beside the writer
   * ```ts
   * import { Log, LogReader } from "@basalt/io";
   * import { assertEquals } from "@std/assert";
   *
   * const dir = Deno.makeTempDirSync();
   * {
   *   await using log = await Log.open(dir);
   *   await log.appendDurable("hello");
   * }
   * await using cursor = await new LogReader(dir).cursor("audit", { follow: false });
   * for await (using batch of cursor) await cursor.commit(batch.nextOffset);
   * assertEquals(cursor.position, 1);
   * await cursor.close();
   * Deno.removeSync(dir, { recursive: true });
   * ```
   */
  cursor(name: string, options?: CursorOptions): Promise<Cursor> {
    return this.#cursors.cursor(name, options);
  }

  /**
   * Does what {@linkcode LogReader.cursor} does while the caller waits, but not for another's lock.
   */
  cursorSync(name: string, options?: CursorOptions): Cursor {
    return this.#cursors.cursorSync(name, options);
  }

  /** Lists the cursors of the log by name, whoever has them open. */
  cursors(): Promise<CursorInfo[]> {
    return drive(this.#cursors.list());
  }

  /** Does what {@linkcode LogReader.cursors} does while the caller waits. */
  cursorsSync(): CursorInfo[] {
    return driveSync(this.#cursors.list());
  }

  /**
   * Deletes a cursor durably, whoever has it open: its owner's next commit is an error. Resolves to
   * whether there was one.
   */
  // deno-lint-ignore require-await -- what is wrong with the name rejects, too
  async deleteCursor(name: string): Promise<boolean> {
    return drive(this.#cursors.delete(name));
  }

  /** Does what {@linkcode LogReader.deleteCursor} does while the caller waits. */
  deleteCursorSync(name: string): boolean {
    return driveSync(this.#cursors.delete(name));
  }

  /**
   * The identity of the log, read when it is asked for: a UUID that no other log has.
   *
   * It rejects with `Deno.errors.NotFound` if there is no log in the directory.
   */
  get identity(): Promise<string> {
    const { storage, pool } = this.#options;
    return drive(identityOf({ storage, dir: this.path, pool }));
  }

  /** Returns a snapshot of the figures. */
  stats(): ReaderStats {
    return { ...this.#stats };
  }

  get #cursors(): LogCursors {
    const { storage, pool } = this.#options;
    const place = { storage, dir: this.path, pool };
    return new LogCursors(new ReaderSource(place, this));
  }

  #leavable(options: StreamOptions, givesAway?: boolean): BatchIterator {
    const { follow = false, signal } = options;
    const make = (signal: AbortSignal) => this.#scan(options, signal, follow);
    return leavable(make, signal, givesAway);
  }

  #scan(
    options: LogReadOptions,
    signal?: AbortSignal,
    follow = false,
  ): LogScan {
    const { storage, pool } = this.#options;
    const place = { storage, dir: this.path, pool };
    const changes = follow
      ? new DirectoryChanges(storage, this.path, signal!, this.#stats)
      : undefined;
    const { from = 0, durable = false } = options;
    const stats = this.#stats;
    const source = new ForeignSegments(place, {
      from,
      durable,
      changes,
      stats,
    });
    return new LogScan(place, source, options, signal);
  }
}

function* identityOf(place: LogPlace): Task<string> {
  const meta = yield* readMeta(place);
  if (meta !== undefined) return meta.identity;
  throw new Deno.errors.NotFound(
    `Cannot read the identity of log '${place.dir}': there is no log, or it has no 'meta' yet`,
  );
}
