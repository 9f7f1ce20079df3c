import { drive, driveSync, inPlace, type Task } from "../base/mod.ts";
import {
  ActiveSegment,
  Appender,
  type AppenderOwner,
  type AppendOptions,
  BatchIterator,
  type ExpectOptions,
  type FlatPayloads,
  iterateSync,
  type LogIterator,
  type Message,
  type MessageBatch,
  type ReadOptions,
} from "../segment/mod.ts";
import {
  absolutePath,
  type Capabilities,
  type Durability,
  isNoSpaceCode,
  LockedError,
  NoSpaceError,
  type StorageLock,
  type StorageTimer,
} from "../storage/mod.ts";
import type { Cursor } from "./cursor/cursor.ts";
import { OwnSource } from "./cursor/cursor_source.ts";
import {
  type CursorInfo,
  type CursorOptions,
  LogCursors,
} from "./cursor/log_cursors.ts";
import { createSegment } from "./open/directory.ts";
import { DurablePublisher } from "./record/_durable_publisher.ts";
import { loadEventsSoon, publish } from "./events.ts";
import {
  leavable,
  type Scanner,
  type StreamOptions,
  type TailOptions,
} from "./read/following.ts";
import {
  type CompleteLogOptions,
  completeOptions,
  type LogOptions,
} from "./log_options.ts";
import { LogScan } from "./read/_log_scan.ts";
import type { LogStats } from "./log_stats.ts";
import { openLocked } from "./open/_locks.ts";
import { MessageIterator } from "./read/_messages.ts";
import { flushAtExit, forgetAtExit } from "./_open_logs.ts";
import { type OpenedLog, openLog } from "./open/opening.ts";
import { OwnLog } from "./_own_log.ts";
import { OwnSegments } from "./read/_own_segments.ts";
import { readOwner } from "./record/owner_file.ts";
import { checkRetain, type RetainNowOptions } from "./retain/plan.ts";
import { Retainer } from "./retain/retainer.ts";
import type { RetentionReport } from "./retain/retention.ts";

/**
 * Writes and reads a log: a directory of segments with one writer.
 *
 * `append` copies a message into memory and returns its offset; `whenDurable` resolves when it
 * survives a power cut. One flush serves all calls that wait at the same time.
 *
 * @example Append, wait for durability, read back
 * ```ts
 * import { Log } from "@basalt/io";
 * import { assertEquals } from "@std/assert";
 *
 * const dir = Deno.makeTempDirSync();
 * {
 *   await using log = await Log.open(dir);
 *   const offset = log.append("hello");
 *   await log.whenDurable(offset);
 *   assertEquals(log.durableOffset, 1);
 *
 *   for await (using batch of log.read()) {
 *     assertEquals(batch.text(0), "hello");
 *   }
 * }
 * Deno.removeSync(dir, { recursive: true });
 * ```
 */
export class Log implements AsyncDisposable, Disposable {
  /** The directory. */
  readonly path: string;

  readonly #options: CompleteLogOptions;
  readonly #opened: OpenedLog;
  readonly #appender: Appender;
  /** What readers, cursors and retention share. */
  readonly #own: OwnLog;
  readonly #cursors: LogCursors;
  readonly #retainer: Retainer;
  /** Loads the channels of events, unless they are loaded. */
  readonly #loading: StorageTimer | undefined;
  #rolls = 0;
  /** The next offset when the log was opened. */
  readonly #openedAt: number;
  /** Publishes the durable offset for other processes and the next opening. */
  readonly #publisher: DurablePublisher;
  /** Bytes that were appended when `ready` let the event loop turn last. */
  #turnBytes = 0;

  readonly #scan: Scanner = (options, signal) => {
    this.#own.checkOpen("read");
    const { durable = false, follow = false } = options;
    const leaving = follow ? signal : undefined;
    const source = new OwnSegments(this.#own, durable, leaving);
    return new LogScan(this.#own.place, source, options, signal);
  };

  /** @ignore */
  private constructor(
    path: string,
    options: CompleteLogOptions,
    lock: StorageLock,
    opened: OpenedLog,
  ) {
    const { state } = opened;
    const { storage, pool } = options;
    this.path = path;
    this.#options = options;
    this.#opened = opened;
    this.#openedAt = state.nextOffset;
    this.#appender = new Appender({
      ...options,
      path,
      clock: storage,
      active: new ActiveSegment({
        ...options,
        ...opened,
        clock: storage,
      }),
      state,
      owner: this.#owner(),
    });
    const { owner, report } = opened;
    this.#publisher = new DurablePublisher(owner, storage, this.#appender);
    const place = { storage, dir: path, pool };
    this.#own = new OwnLog(place, lock, opened, this.#appender);
    this.#cursors = new LogCursors(new OwnSource(this.#own, this.#scan));
    this.#retainer = new Retainer(this.#own, options);
    flushAtExit(this, () => this.#flushAtExit());
    this.#loading = loadEventsSoon(storage);
    if (report.recovered.length > 0 || report.removed.length > 0) {
      publish("basalt:recovery", () => ({ log: path, report }));
    }
  }

  /**
   * Opens a log for writing, recovers it if it was not closed, and creates it if it does not exist.
   *
   * @throws {LockedError} If another writer has it open, after `lockTimeoutMs`.
   * @throws {CorruptSegmentError} If more than a torn tail is damaged: nothing was changed.
   * @throws {Deno.errors.BadResource} If the directory was moved or replaced meanwhile.
   * @throws {RangeError} If an option is out of its range.
   */
  static async open(
    path: string | URL,
    options: LogOptions = {},
  ): Promise<Log> {
    return await drive(Log.#opening(path, options));
  }

  /**
   * Sync version of {@linkcode Log.open}, which does not wait for another writer's lock.
   *
   * @throws {LockedError} If another writer has it open.
   * @throws {CorruptSegmentError} If more than a torn tail is damaged: nothing was changed.
   * @throws {Deno.errors.BadResource} If the directory was moved or replaced meanwhile.
   */
  static openSync(path: string | URL, options: LogOptions = {}): Log {
    return driveSync(Log.#opening(path, options, true));
  }

  /** @param isBlocking Whether the caller blocks, so that it does not wait for the lock. */
  static *#opening(
    path: string | URL,
    options: LogOptions,
    isBlocking = false,
  ): Task<Log> {
    const dir = absolutePath("open log", path);
    const complete = completeOptions(options);
    const { create, lockTimeoutMs, pool, storage } = complete;
    using placing = create ? yield* storage.placeDirectory(dir) : undefined;
    const lock = yield* openLocked(
      storage,
      () => inPlace("lock", () => storage.lock(dir)),
      isBlocking ? undefined : lockTimeoutMs,
    );
    if (lock === undefined) {
      throw new LockedError(dir, yield* readOwner(dir, complete));
    }
    try {
      const place = { storage, dir, pool };
      const opened = yield* openLog(place, lock, placing?.syncs);
      return new Log(dir, complete, lock, opened);
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /** The identity of the log: a UUID that no other log has. */
  get identity(): string {
    return this.#own.meta.identity;
  }

  /** The offset of the first message that the log holds. */
  get firstOffset(): number {
    return this.#own.firstOffset;
  }

  /** The offset that the next message gets. */
  get nextOffset(): number {
    return this.#appender.nextOffset;
  }

  /** Messages below this offset survive a power cut. */
  get durableOffset(): number {
    return this.#appender.durableOffset;
  }

  /** Messages below this offset are in the files, so `read` returns them. */
  get writtenOffset(): number {
    return this.#appender.writtenOffset;
  }

  /** What the files can do, and why: the tier, the alignments, the engine. */
  get capabilities(): Capabilities {
    return this.#appender.active.capabilities;
  }

  /**
   * Appends a message in memory and returns its offset. The payload is copied, so it can be reused
   * at once.
   *
   * @param payload Bytes, or text that is stored as UTF-8; at most 64 000 000 bytes.
   * @throws {RangeError} If a part of the message is too large or out of its range.
   * @throws {OffsetConflictError} If the message would not get the offset that `expect` names.
   * @throws {BackpressureError} If there is no room in memory: wait for {@linkcode Log.ready}.
   * @throws {NoSpaceError} If the disk was full during a background flush; once for each such
   *   flush.
   * @throws {PoisonedError} If a write or sync failed before.
   *
   * Whatever it throws, nothing has changed.
   */
  append(payload: Uint8Array | string, options?: AppendOptions): number {
    return this.#appender.append(payload, options);
  }

  /**
   * Appends messages in memory as one batch and returns the offset of the first. The batch is
   * atomic: after a crash all of its messages exist, or none.
   *
   * @param payloads An array of bytes or text, or all payloads back to back in one buffer with
   *   their lengths, which is the cheapest.
   * @throws {RangeError} If there is no message, a part of one is too large, the batch is above 64
   *   MiB, or the lengths do not add up to the bytes.
   * @throws {OffsetConflictError} If the first message would not get the offset that `expect`
   *   names.
   * @throws {BackpressureError} If there is no room in memory: wait for {@linkcode Log.ready}.
   * @throws {NoSpaceError} As {@linkcode Log.append} does.
   * @throws {PoisonedError} If a write or sync failed before.
   *
   * @example Lines of a text, which already lie back to back
   * ```ts
   * import { Log } from "@basalt/io";
   * import { assertEquals } from "@std/assert";
   *
   * const dir = Deno.makeTempDirSync();
   * {
   *   using log = Log.openSync(dir);
   *   log.appendBatch(["one", "two", "three"]);
   *   const bytes = new TextEncoder().encode("four\nfive\n");
   *   assertEquals(log.appendBatch({ bytes, lengths: [5, 5] }), 3);
   *   assertEquals(log.nextOffset, 5);
   * }
   * Deno.removeSync(dir, { recursive: true });
   * ```
   */
  appendBatch(
    payloads: readonly (Uint8Array | string)[] | FlatPayloads,
    options?: ExpectOptions,
  ): number {
    return this.#appender.appendBatch(payloads, options);
  }

  /**
   * Appends a message and resolves to its offset when it is durable. If memory is full, it waits
   * for room.
   *
   * @throws {RangeError} If a part of the message is too large or out of its range.
   * @throws {OffsetConflictError} If the message would not get the offset that `expect` names.
   * @throws {NoSpaceError} If the disk is full: the message stays in memory, the next flush writes
   *   it.
   * @throws {PoisonedError} If a write or sync failed.
   */
  appendDurable(
    payload: Uint8Array | string,
    options?: AppendOptions & { signal?: AbortSignal },
  ): Promise<number> {
    return this.#appender.appendDurable(payload, options);
  }

  /**
   * Resolves when the message at `offset` and all messages before it survive a power cut.
   *
   * @throws {RangeError} If no message has that offset yet.
   * @throws {NoSpaceError} If the disk is full: the messages stay in memory, the next flush writes
   *   them.
   * @throws {PoisonedError} If a write or sync failed: opening the log again tells whether the
   *   message is there.
   */
  whenDurable(
    offset: number,
    options?: { signal?: AbortSignal },
  ): Promise<void> {
    return this.#appender.commit.whenDurable(offset, options?.signal);
  }

  /**
   * Resolves when memory has room for another block of messages. Await it now and then while
   * appending, so that blocks are written while others are filled.
   *
   * @throws {NoSpaceError} If the disk is full: the messages that take the room cannot be written.
   * @throws {PoisonedError} If a write or sync failed.
   */
  async ready(options?: { signal?: AbortSignal }): Promise<void> {
    options?.signal?.throwIfAborted();
    this.#appender.check("append to");
    const { appendedBytes } = this.#appender.memory;
    if (appendedBytes - this.#turnBytes >= this.#options.blockBytes / 4) {
      this.#turnBytes = appendedBytes;
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    await this.#appender.ready(options?.signal);
  }

  /**
   * Writes all appended messages, durably unless `durability` is `"none"`.
   *
   * @throws {NoSpaceError} If the disk is full: the messages stay in memory, the next flush writes
   *   the same bytes.
   * @throws {PoisonedError} If a write or sync failed.
   */
  flush(options: { durability?: Durability } = {}): Promise<void> {
    return this.#appender.commit.flush(options.durability);
  }

  /** Sync version of {@linkcode Log.flush}. It finishes a flush in flight first. */
  flushSync(options: { durability?: Durability } = {}): void {
    this.#appender.commit.flushSync(options.durability);
  }

  /**
   * Returns the written messages in batches, and ends where the data ends. Messages that are only
   * in memory need a `flush` first. A batch is valid until the next one is requested, unless kept.
   *
   * @throws {OffsetOutOfRangeError} If `from` is below the first offset, or above the next one.
   * @throws {CorruptSegmentError} At the first damaged message, after all messages before it.
   */
  read(options: ReadOptions = {}): LogIterator<MessageBatch> {
    return new BatchIterator(this.#scan(options));
  }

  /** Sync version of {@linkcode Log.read}. */
  readSync(options: ReadOptions = {}): IterableIterator<MessageBatch> {
    return iterateSync(this.#scan(options));
  }

  /**
   * Returns the messages of {@linkcode Log.read} or, with `follow`, of {@linkcode Log.tail}, one by
   * one. A message is valid until the next one is requested; `copy()` makes it last.
   *
   * @example Reading text
   * ```ts
   * import { Log } from "@basalt/io";
   * import { assertEquals } from "@std/assert";
   *
   * const dir = Deno.makeTempDirSync();
   * {
   *   await using log = await Log.open(dir);
   *   log.appendBatch(["one", "two"]);
   *   await log.flush();
   *   const texts = [];
   *   for await (const message of log.messages({ from: 0 })) texts.push(message.text());
   *   assertEquals(texts, ["one", "two"]);
   * }
   * Deno.removeSync(dir, { recursive: true });
   * ```
   */
  messages(options: StreamOptions = {}): LogIterator<Message> {
    return new MessageIterator(leavable(this.#scan, options));
  }

  /**
   * Returns the written messages and then new ones, as soon as they are in the file or, with
   * `durable`, survive a power cut. A batch has all messages that came in the meantime. It is valid
   * until the next one is requested, unless kept.
   *
   * The newest messages come from memory, up to `tailBytes`, and the log wakes the tail. A tail
   * does not start a flush. It ends by its `signal`, when the loop is left, after `count` or
   * `maxBytes`, and when the log is closed, after all written messages. A poisoned log ends it with
   * the same error.
   *
   * @throws {OffsetOutOfRangeError} If `from` is below the first offset, or above the next one;
   *   also if the next message was removed.
   * @throws {CorruptSegmentError} At the first damaged message, after all messages before it.
   * @throws {PoisonedError} If a write or sync failed: after all written messages, or for a durable
   *   tail after all durable ones.
   *
   * @example Following a log
   * ```ts
   * import { Log } from "@basalt/io";
   * import { assertEquals } from "@std/assert";
   *
   * const dir = Deno.makeTempDirSync();
   * const log = await Log.open(dir);
   * const seen: string[] = [];
   * const tailing = (async () => {
   *   for await (using batch of log.tail({ durable: true })) {
   *     for (let i = 0; i < batch.count; i++) seen.push(batch.text(i));
   *   }
   * })();
   * await log.appendDurable("hello");
   * await log.close();
   * await tailing;
   * assertEquals(seen, ["hello"]);
   * Deno.removeSync(dir, { recursive: true });
   * ```
   */
  tail(options: TailOptions = {}): LogIterator<MessageBatch> {
    return leavable(this.#scan, { ...options, follow: true });
  }

  /**
   * Returns the batches of {@linkcode Log.read} or, with `follow`, of {@linkcode Log.tail}, as a
   * stream. A batch is read when the consumer requests it; cancelling releases everything.
   *
   * It is a default stream: a byte stream would detach the batches' memory. Drop each batch.
   *
   * @example Piping
   * ```ts
   * import { Log } from "@basalt/io";
   * import { assertEquals } from "@std/assert";
   *
   * const dir = Deno.makeTempDirSync();
   * {
   *   await using log = await Log.open(dir);
   *   log.appendBatch(["one", "two"]);
   *   await log.flush();
   *   let count = 0;
   *   await log.stream().pipeTo(new WritableStream({
   *     write(batch) {
   *       count += batch.count;
   *       batch.drop();
   *     },
   *   }));
   *   assertEquals(count, 2);
   * }
   * Deno.removeSync(dir, { recursive: true });
   * ```
   */
  stream(options: StreamOptions = {}): ReadableStream<MessageBatch> {
    return ReadableStream.from(leavable(this.#scan, options, true));
  }

  /**
   * Opens a cursor of the log, and creates it if it does not exist. A cursor stores the
   * position of its consumer durably.
   *
   * @param name 1 to 255 of the characters `A-Z`, `a-z`, `0-9`, `.`, `_` and `-`; not `.` or `..`.
   * @throws {LockedError} If another owner has it open, after `lockTimeoutMs`; the error names the
   *   process.
   * @throws {OffsetOutOfRangeError} If it is new, and `from` is not a durable offset of the log.
   * @throws {Deno.errors.InvalidData} If its file is damaged.
   */
  // deno-lint-ignore require-await -- a closed log rejects, too
  async cursor(name: string, options?: CursorOptions): Promise<Cursor> {
    this.#own.checkOpen("open a cursor");
    return drive(this.#cursors.open(name, options));
  }

  /** Sync version of {@linkcode Log.cursor}, which does not wait for another owner's lock. */
  cursorSync(name: string, options?: CursorOptions): Cursor {
    this.#own.checkOpen("open a cursor");
    return driveSync(this.#cursors.open(name, options, true));
  }

  /** Lists all cursors of the log by name. */
  cursors(): Promise<CursorInfo[]> {
    return drive(this.#cursors.list());
  }

  /** Sync version of {@linkcode Log.cursors}. */
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

  /** Sync version of {@linkcode Log.deleteCursor}. */
  deleteCursorSync(name: string): boolean {
    return driveSync(this.#cursors.delete(name));
  }

  /**
   * Removes the segments that lie wholly below `offset`, oldest first, except the active one.
   * Resolves to the new first offset.
   *
   * @throws {RangeError} If `offset` is not an offset of the log.
   */
  async truncateBefore(offset: number): Promise<number> {
    return await this.#retainer.removals.run(this.#truncation(offset));
  }

  /** Sync version of {@linkcode Log.truncateBefore}. */
  truncateBeforeSync(offset: number): number {
    return this.#retainer.removals.runSync(this.#truncation(offset));
  }

  /**
   * Removes the oldest segments that exceed `bytes` or are older than `ageMs`. Without options it
   * uses those of {@linkcode Log.open}, as the log itself does after each roll and once a minute.
   *
   * A segment that a cursor still needs stays, and so do those after it, unless the log is above
   * `hardBytes`. The active segment always stays. If it rejects before the first file is removed,
   * nothing has changed.
   *
   * @throws {RangeError} If a bound is out of its range.
   *
   * @example Removing what all consumers have read
   * ```ts
   * import { Log } from "@basalt/io";
   * import { assertEquals } from "@std/assert";
   *
   * const dir = Deno.makeTempDirSync();
   * {
   *   await using log = await Log.open(dir, { segmentBytes: 4096 });
   *   for (let i = 0; i < 10; i++) await log.appendDurable(new Uint8Array(1000));
   *   await using cursor = await log.cursor("billing", { from: 4 });
   *   const { firstOffset } = await log.retain({ bytes: 0 });
   *   assertEquals([firstOffset, cursor.position], [3, 4]);
   * }
   * Deno.removeSync(dir, { recursive: true });
   * ```
   */
  async retain(options?: RetainNowOptions): Promise<RetentionReport> {
    return await this.#retainer.removals.run(this.#retention(options));
  }

  /** Sync version of {@linkcode Log.retain}. */
  retainSync(options?: RetainNowOptions): RetentionReport {
    return this.#retainer.removals.runSync(this.#retention(options));
  }

  /** Returns a snapshot of the figures. */
  stats(): LogStats {
    const appender = this.#appender;
    return {
      appendedMessages: this.nextOffset - this.#openedAt,
      appendedBytes: appender.memory.appendedBytes,
      pendingBytes: appender.memory.pendingBytes,
      ...appender.commit.stats,
      syncs: appender.syncs,
      rolls: this.#rolls,
      segments: this.#own.sealed.length + 1,
      preparedBytes: appender.active.preparedBytes,
      tailBytes: appender.hotTail.bytes,
      clockBehindMicros: appender.memory.clockBehindMicros,
      cursors: [...this.#cursors.opened].map(({ name, position }) => ({
        name,
        position,
        lagMessages: Math.max(0, this.durableOffset - position),
      })),
      retention: this.#retainer.stats,
      opening: this.#opened.report,
    };
  }

  /**
   * Makes everything durable, cuts the files to their data, closes them and releases the lock.
   * Closing twice does nothing.
   *
   * It always ends the log. When it rejects, what is not durable is lost, and the next opening
   * recovers the rest.
   *
   * @throws {NoSpaceError} If the disk is full; to try again instead, call {@linkcode Log.flush}
   *   before closing.
   * @throws {PoisonedError} If a write or sync failed.
   */
  close(): Promise<void> {
    return this.#appender.close();
  }

  /** Sync version of {@linkcode Log.close}. */
  closeSync(): void {
    this.#appender.closeSync();
  }

  /**
   * Does what {@linkcode Log.close} does, but does not repeat an error that a caller has received.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#appender.dispose();
  }

  /** Sync version of `[Symbol.asyncDispose]`. */
  [Symbol.dispose](): void {
    this.#appender.disposeSync();
  }

  /** Returns what surrounds the appender: the files of segments, the owner file, events. */
  #owner(): AppenderOwner {
    return {
      next: (firstOffset, before) => this.#next(firstOffset, before),
      rolled: ({ firstOffset, written }) => {
        const { offset: nextOffset, position: byteLength } = written;
        const segment = { firstOffset, nextOffset, byteLength };
        this.#own.sealed.push(segment);
        this.#rolls++;
        publish("basalt:roll", () => ({ log: this.path, ...segment }));
        this.#retainer.rolled();
      },
      changed: () => this.#own.changed.fire(),
      flushed: (nowMicros) => this.#publisher.flushed(nowMicros),
      counted: (messages, durationMicros) =>
        publish("basalt:flush", () => ({
          log: this.path,
          durableOffset: this.durableOffset,
          messages,
          durationMicros,
        })),
      poisoned: (error) =>
        publish("basalt:poison", () => ({ log: this.path, error })),
      checkpoint: () => this.#publisher.publish(),
      closed: (isClean) => this.#closed(isClean),
    };
  }

  *#next(firstOffset: number, before: ActiveSegment): Task<ActiveSegment> {
    try {
      this.#own.refuseMoved("begin a segment of log");
      const files = yield* createSegment(this.#own.place, firstOffset);
      return yield* before.next(files);
    } catch (error) {
      throw asNoSpace(error, this.path, this.durableOffset);
    }
  }

  /** Ends the parts of the log. After a failure the owner file stays: the next writer recovers. */
  *#closed(isClean: boolean): Task<void> {
    const { owner } = this.#opened;
    forgetAtExit(this);
    this.#loading?.cancel();
    try {
      yield* this.#retainer.stop();
      yield* this.#publisher.close();
      yield* owner.close();
      if (isClean) {
        this.#own.refuseMoved("close log");
        yield* owner.remove();
      }
    } finally {
      this.#own.end();
    }
  }

  /** Flushes a log that is still open at the end of the program. */
  #flushAtExit(): void {
    if (this.nextOffset === this.durableOffset) return;
    try {
      this.flushSync();
    } catch (error) {
      const lost = this.nextOffset - this.durableOffset;
      // deno-lint-ignore no-console -- the last chance to report the loss
      console.warn(
        `Log '${this.path}' was not closed, and ${lost} messages are lost: ${error}`,
      );
    }
  }

  #truncation(offset: number): () => Task<number> {
    this.#appender.check("truncate");
    const { nextOffset } = this;
    if (Number.isSafeInteger(offset) && offset >= 0 && offset <= nextOffset) {
      return () => this.#retainer.retention.truncateBefore(offset);
    }
    throw new RangeError(
      `Cannot truncate as 'offset' must be an integer from 0 to the next offset, ${nextOffset}: received ${offset}`,
    );
  }

  #retention(
    options: RetainNowOptions = this.#options.retain,
  ): () => Task<RetentionReport> {
    this.#appender.check("retain");
    checkRetain("retain", options);
    return () => this.#retainer.retain(options);
  }
}

/** Turns the error of creating a file on a full disk into a `NoSpaceError`. */
function asNoSpace(
  error: unknown,
  path: string,
  durableOffset: number,
): unknown {
  if (error instanceof NoSpaceError) {
    return error.withDurableOffset(durableOffset);
  }
  const { code, syscall = "open" } = error as {
    code?: string;
    syscall?: string;
  };
  // What a failed sync leaves is unknown, whatever its reason, so it is not repeated.
  if (!isNoSpaceCode(code) || syscall === "fsync") return error;
  return new NoSpaceError(
    { code, syscall, path, requestedBytes: 0, writtenBytes: 0, durableOffset },
    { cause: error },
  );
}
