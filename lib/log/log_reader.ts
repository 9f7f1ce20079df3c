import { drive, driveSync, type Task } from "../base/mod.ts";
import {
  BatchIterator,
  iterateSync,
  type LogIterator,
  type Message,
  type MessageBatch,
  type ReadOptions,
} from "../segment/mod.ts";
import type { Cursor } from "./cursor/cursor.ts";
import {
  type CursorInfo,
  type CursorOptions,
  LogCursors,
} from "./cursor/log_cursors.ts";
import { ForeignSource } from "./cursor/cursor_source.ts";
import {
  DirectoryChanges,
  type ReaderStats,
} from "./read/directory_changes.ts";
import {
  leavable,
  type Scanner,
  type StreamOptions,
  type TailOptions,
} from "./read/following.ts";
import { ForeignSegments } from "./read/_foreign_segments.ts";
import { type LogReaderOptions, placeOf } from "./log_options.ts";
import { LogScan } from "./read/_log_scan.ts";
import { MessageIterator } from "./read/_messages.ts";
import { type LogPlace, readMeta } from "./record/meta.ts";

/** What to read of a log that another process may be writing. */
export interface LogReadOptions extends ReadOptions {
  /**
   * Read only messages below the published durable offset. After a power cut, another message may
   * have the offset of one that was not durable.
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

  readonly #place: LogPlace;
  readonly #stats: ReaderStats = {
    tails: 0,
    notifiedTails: 0,
    looks: 0,
    listings: 0,
  };

  readonly #scan: Scanner = (options, signal) => {
    const { from = 0, durable = false, follow = false } = options;
    const stats = this.#stats;
    const changes = follow && signal !== undefined
      ? new DirectoryChanges(this.#place, signal, stats)
      : undefined;
    const reading = { from, durable, changes, stats };
    const source = new ForeignSegments(this.#place, reading);
    return new LogScan(this.#place, source, options, signal);
  };

  /** Makes a reader, which opens files only when it reads. */
  constructor(path: string | URL, options: LogReaderOptions = {}) {
    this.#place = placeOf("read log", path, options);
    this.path = this.#place.dir;
  }

  /**
   * Returns the messages in the files in batches, and ends where the data ends. A batch is valid
   * until the next one is requested, unless kept.
   *
   * @throws {OffsetOutOfRangeError} If `from` is below the first offset of the log, or after its
   *   end.
   * @throws {CorruptSegmentError} At the first damaged message, after all messages before it.
   */
  read(options: LogReadOptions = {}): LogIterator<MessageBatch> {
    return new BatchIterator(this.#scan(options));
  }

  /**
   * Returns the messages in the files, and then new ones. A batch has all messages that came in the
   * meantime. It is valid until the next one is requested, unless kept.
   *
   * At the end of the data, inotify wakes it. Where that is not available it polls: after 1 ms at
   * first, and every 100 ms while idle. {@linkcode LogReader.stats} tells which. It ends by its
   * `signal`, when the loop is left, and after `count` or `maxBytes`. It does not end when the log
   * is closed, because the next writer continues the log. If `from` is above the end, it waits.
   *
   * @throws {OffsetOutOfRangeError} If `from` is below the first offset of the log; also if the
   *   next message was removed.
   * @throws {CorruptSegmentError} At the first damaged message, after all messages before it.
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
    return leavable(this.#scan, { ...options, follow: true });
  }

  /**
   * Returns the messages of {@linkcode LogReader.read} or, with `follow`, of
   * {@linkcode LogReader.tail}, one by one. A message is valid until the next one is requested;
   * `copy()` makes it last.
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
    return new MessageIterator(leavable(this.#scan, options));
  }

  /**
   * Returns the batches of {@linkcode LogReader.read} or, with `follow`, of
   * {@linkcode LogReader.tail}, as a stream. A batch is read when the consumer requests it;
   * cancelling releases everything. Drop each batch.
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
    return ReadableStream.from(leavable(this.#scan, options, true));
  }

  /** Sync version of {@linkcode LogReader.read}. */
  readSync(options: LogReadOptions = {}): IterableIterator<MessageBatch> {
    return iterateSync(this.#scan(options));
  }

  /**
   * Opens a cursor of the log, and creates it if it does not exist, as {@linkcode Log.cursor}
   * does: a consumer may be another process than the writer. It writes into the log's directory
   * `cursors`.
   *
   * @throws {LockedError} If another owner has it open, after `lockTimeoutMs`; the error names the
   *   process.
   * @throws {OffsetOutOfRangeError} If it is new, and `from` is not a durable offset of the log.
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
    return drive(this.#cursors.open(name, options));
  }

  /** Sync version of {@linkcode LogReader.cursor}, which does not wait for another owner's lock. */
  cursorSync(name: string, options?: CursorOptions): Cursor {
    return driveSync(this.#cursors.open(name, options, true));
  }

  /** Lists all cursors of the log by name. */
  cursors(): Promise<CursorInfo[]> {
    return drive(this.#cursors.list());
  }

  /** Sync version of {@linkcode LogReader.cursors}. */
  cursorsSync(): CursorInfo[] {
    return driveSync(this.#cursors.list());
  }

  /**
   * Deletes a cursor durably, even while it is open: the next commit of its owner is an error.
   * Resolves to whether it existed.
   */
  deleteCursor(name: string): Promise<boolean> {
    return drive(this.#cursors.delete(name));
  }

  /** Sync version of {@linkcode LogReader.deleteCursor}. */
  deleteCursorSync(name: string): boolean {
    return driveSync(this.#cursors.delete(name));
  }

  /**
   * The identity of the log, a UUID that no other log has, read at each access.
   *
   * It rejects with `Deno.errors.NotFound` if there is no log in the directory.
   */
  get identity(): Promise<string> {
    return drive(identityOf(this.#place));
  }

  /** Returns a snapshot of the figures. */
  stats(): ReaderStats {
    return { ...this.#stats };
  }

  get #cursors(): LogCursors {
    return new LogCursors(new ForeignSource(this.#place, this.#scan));
  }
}

function* identityOf(place: LogPlace): Task<string> {
  const meta = yield* readMeta(place);
  if (meta !== undefined) return meta.identity;
  throw new Deno.errors.NotFound(
    `Cannot read the identity of log '${place.dir}': there is no log, or it has no 'meta' yet`,
  );
}
