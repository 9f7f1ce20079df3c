import { drive, driveSync, step, type Task } from "../base/mod.ts";
import { type PooledBuffer, PoolLimit } from "../pool/mod.ts";
import {
  ActiveSegment,
  type AppendOptions,
  type FlatPayloads,
  GroupCommit,
  iterate,
  iterateSync,
  type MessageBatch,
  payloadBatch,
  Poisoned,
  prepareMessage,
  type ReadOptions,
  type SegmentState,
  type SegmentTaskFiles,
  Timeline,
} from "../segment/mod.ts";
import {
  type Capabilities,
  type Durability,
  Locked,
  NoSpace,
  pathString,
  type StorageLock,
} from "../storage/mod.ts";
import { createSegment, removeFile, syncDirectory } from "./directory.ts";
import {
  type CompleteLogOptions,
  completeOptions,
  type LogOptions,
} from "./log_options.ts";
import {
  leavable,
  streamOf,
  type StreamOptions,
  type TailOptions,
} from "./following.ts";
import {
  type Follow,
  LogPass,
  type ReadableSegment,
  type SegmentSource,
} from "./log_pass.ts";
import type { LogStats } from "./log_stats.ts";
import { join, segmentName } from "./names.ts";
import { type OpenedLog, openLog, type SealedSegment } from "./opening.ts";
import { closeSegment, openSegment } from "./segment_files.ts";
import { Wakeup } from "./wakeup.ts";
import { WriteBuffers } from "./write_buffers.ts";
import { readMark, removeMark } from "./writer_mark.ts";

/** How often another writer's lock is tried, in milliseconds. */
const LOCK_POLL_MS = 20;
/**
 * `openSync` tries this often, 1 ms apart: a reader takes the lock for an instant, to find out
 * whether there is a writer.
 */
const LOCK_LOOKS = 3;

/**
 * An append-only log in a directory of segments: the one writer of it, and a reader of what it wrote.
 *
 * `append` puts a message into memory and answers its offset; `whenDurable` resolves when it survives a power cut. Everybody who waits at the same time is served by one flush.
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
 *     assertEquals(new TextDecoder().decode(batch.payload(0)), "hello");
 *   }
 * }
 * Deno.removeSync(dir, { recursive: true });
 * ```
 */
export class Log implements AsyncDisposable, Disposable {
  /** The directory. */
  readonly path: string;

  readonly #options: CompleteLogOptions;
  readonly #lock: StorageLock;
  readonly #commit: GroupCommit;
  readonly #opening: OpenedLog["report"];
  #sealed: SealedSegment[];
  #active: ActiveSegment;
  /** Messages in memory. */
  readonly #buffers: WriteBuffers;
  #poison: Poisoned | undefined;
  #closed = false;
  #closing: Promise<void> | undefined;
  /** Whether closing is over: nothing more will be written. */
  #ended = false;
  /** For those who wait for messages that are written, or durable. */
  readonly #news = new Wakeup();
  #rolls = 0;
  /** Those of segments that were rolled. */
  #syncs = 0;
  /** The next offset when the log was opened. */
  readonly #openedAt: number;
  /** Bytes that had been appended at the last turn of the event loop that `ready` took. */
  #turnBytes = 0;

  private constructor(
    path: string,
    options: CompleteLogOptions,
    lock: StorageLock,
    opened: OpenedLog,
  ) {
    const { storage, pool, blockBytes, bufferBytes } = options;
    const { state, files } = opened;
    this.path = path;
    this.#options = options;
    this.#lock = lock;
    this.#opening = opened.report;
    this.#sealed = opened.sealed;
    this.#buffers = new WriteBuffers(
      {
        pool,
        blockBytes,
        bufferBytes,
        pendingBytes: () => this.#pendingBytes,
        physicalBlock: files.log.capabilities.physicalBlock,
        timeline: new Timeline(() => storage.now(), state.lastTimestamp),
        random: (bytes) => storage.random(bytes),
      },
      options.segmentBytes,
      {
        baseOffset: opened.firstOffset,
        nextOffset: opened.firstOffset + state.count,
        end: state.end,
        tail: state.logTail,
      },
    );
    this.#openedAt = this.nextOffset;
    this.#active = new ActiveSegment({
      ...files,
      path,
      buffer: this.#buffers.first,
      pool,
      state,
      prepareBytes: options.prepareBytes,
      prepareLimit: options.segmentBytes,
    });
    // An object of its own: what the group commit may do is no part of the public interface.
    const nextOffset = (): number => this.nextOffset;
    const durableOffset = (): number => this.durableOffset;
    const due = (): boolean => this.#active.checkpointDue;
    this.#commit = new GroupCommit({
      flush: (durability) => this.#flush(durability),
      settle: () => this.#settle(),
      get due(): boolean {
        return due();
      },
      idle: (paused) => this.#active.prepare(paused),
      get nextOffset(): number {
        return nextOffset();
      },
      get durableOffset(): number {
        return durableOffset();
      },
    }, path);
  }

  /**
   * Opens a log for writing, recovers it if it was not closed, and makes it if there is none.
   *
   * @throws {Locked} If another writer has it open, after `lockTimeoutMs`.
   * @throws {CorruptSegment} If more than a torn tail is damaged: nothing was changed.
   * @throws {RangeError} If an option is out of its range.
   */
  static async open(
    path: string | URL,
    options: LogOptions = {},
  ): Promise<Log> {
    const dir = pathString("open log", path);
    const complete = completeOptions(options);
    const { storage, pool, create, lockTimeoutMs } = complete;
    if (create) await drive(storage.makeDirectory(dir));
    let lock = storage.lock(dir);
    for (
      let waitedMs = 0;
      lock === undefined && waitedMs < lockTimeoutMs;
      waitedMs += LOCK_POLL_MS
    ) {
      await drive(storage.delay(LOCK_POLL_MS));
      lock = storage.lock(dir);
    }
    if (lock === undefined) {
      throw new Locked(dir, await drive(readMark(storage, dir, pool)));
    }
    try {
      return new Log(
        dir,
        complete,
        lock,
        await drive(openLog(dir, complete)),
      );
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /**
   * The blocking version of {@linkcode Log.open}; it does not wait for another writer's lock.
   *
   * @throws {Locked} If another writer has it open.
   * @throws {CorruptSegment} If more than a torn tail is damaged: nothing was changed.
   */
  static openSync(path: string | URL, options: LogOptions = {}): Log {
    const dir = pathString("open log", path);
    const complete = completeOptions(options);
    const { storage, pool, create } = complete;
    if (create) driveSync(storage.makeDirectory(dir));
    let lock = storage.lock(dir);
    for (let look = 0; lock === undefined && look < LOCK_LOOKS; look++) {
      driveSync(storage.delay(1));
      lock = storage.lock(dir);
    }
    if (lock === undefined) {
      throw new Locked(dir, driveSync(readMark(storage, dir, pool)));
    }
    try {
      return new Log(dir, complete, lock, driveSync(openLog(dir, complete)));
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /** The offset of the first message that the log holds. */
  get firstOffset(): number {
    return this.#sealed[0]?.firstOffset ?? this.#active.baseOffset;
  }

  /** The offset that the next message gets. */
  get nextOffset(): number {
    return this.#buffers.last.nextOffset;
  }

  /** Messages below this offset survive a power cut. */
  get durableOffset(): number {
    return this.#active.durableOffset;
  }

  /** What the files can do, and why: the tier, the alignments, the engine. */
  get capabilities(): Capabilities {
    return this.#active.capabilities;
  }

  /** Messages below this offset are in the files: what `read` gives. */
  get writtenOffset(): number {
    return this.#active.writtenOffset;
  }

  /**
   * Appends a message in memory and answers its offset. The payload is copied: it is free for other use at once.
   *
   * @param payload Bytes, or text that is stored as UTF-8; at most 64 000 000 bytes.
   * @throws {RangeError} If a part of the message is too large or out of its range.
   * @throws {Backpressure} If there is no room in memory: wait for {@linkcode Log.ready}.
   * @throws {Poisoned} If a write or sync failed before.
   *
   * Whatever it throws, nothing has changed.
   */
  append(payload: Uint8Array | string, options?: AppendOptions): number {
    if (options === undefined) {
      const offset = this.#buffers.last.add(payload);
      if (offset >= 0) return offset;
    }
    return this.#append(payload, options);
  }

  /** What `append` does where the payload cannot simply be copied behind the last message. */
  #append(
    payload: Uint8Array | string,
    options: AppendOptions | undefined,
  ): number {
    this.#check("append");
    const message = prepareMessage(payload, options);
    this.#buffers.last.checkRoom(message.size);
    const offset = this.#buffers.append(message);
    this.#appended();
    return offset;
  }

  /**
   * Appends messages in memory, all or none, and answers the offset of the first. They have one append time, and share a segment if one can hold them.
   *
   * @param payloads An array of bytes or text, or all payloads back to back in one buffer with their lengths, which is the cheapest.
   * @throws {RangeError} If there is no message, a part of one is too large, or the lengths do not add up to the bytes.
   * @throws {Backpressure} If there is no room in memory: wait for {@linkcode Log.ready}.
   * @throws {Poisoned} If a write or sync failed before.
   *
   * @example Lines of a text, which lie back to back already
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
  ): number {
    if (Array.isArray(payloads)) {
      const offset = this.#buffers.last.addAll(payloads);
      if (offset >= 0) return offset;
    }
    this.#check("append");
    const batch = payloadBatch(payloads);
    this.#buffers.last.checkRoom(batch.size);
    const first = this.nextOffset;
    this.#buffers.appendBatch(batch);
    this.#appended();
    return first;
  }

  /** Appends a message and resolves to its offset when it is durable. */
  appendDurable(
    payload: Uint8Array | string,
    options?: AppendOptions & { signal?: AbortSignal },
  ): Promise<number> {
    try {
      options?.signal?.throwIfAborted();
      const offset = this.append(payload, options);
      return this.#commit.appended(offset, options?.signal);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Resolves when the message at `offset`, and so every one before it, survives a power cut.
   *
   * @throws {RangeError} If no message has that offset yet.
   * @throws {NoSpace} If the disk is full: the messages stay in memory, the next flush writes them.
   * @throws {Poisoned} If a write or sync failed: whether the message is there shows on opening again.
   */
  whenDurable(
    offset: number,
    options?: { signal?: AbortSignal },
  ): Promise<void> {
    if (this.#poison !== undefined && offset >= this.durableOffset) {
      return Promise.reject(this.#poison);
    }
    return this.#commit.whenDurable(offset, options?.signal);
  }

  /**
   * Resolves when there is room in memory for another block of messages. Awaited now and then while appending, it gives the event loop the turns that
   * writing needs, so that blocks are written while others are filled.
   *
   * @throws {NoSpace} If the disk is full: the messages that take the room cannot be written.
   * @throws {Poisoned} If a write or sync failed.
   */
  async ready(options?: { signal?: AbortSignal }): Promise<void> {
    const { bufferBytes, blockBytes, pool } = this.#options;
    options?.signal?.throwIfAborted();
    this.#check("append");
    const { appendedBytes } = this.#buffers;
    if (appendedBytes - this.#turnBytes >= blockBytes / 4) {
      this.#turnBytes = appendedBytes;
      await new Promise<void>((resolve) => setImmediate(resolve));
      this.#check("append");
    }
    while (this.#pendingBytes >= bufferBytes / 2) {
      await this.flush({ durability: "none" });
      options?.signal?.throwIfAborted();
      this.#check("append");
    }
    try {
      pool.acquireSync(blockBytes).drop();
      return;
    } catch (error) {
      if (!(error instanceof PoolLimit)) throw error;
    }
    // The memory may be this log's, which nobody else would write, or others': wait for a place, in turn.
    if (this.#pendingBytes > 0) await this.flush({ durability: "none" });
    const block: PooledBuffer = await pool.acquire(blockBytes, options);
    block.drop();
  }

  /**
   * Writes everything appended so far; durably, unless told `"none"`.
   *
   * @throws {NoSpace} If the disk is full: the messages stay in memory, the next flush writes the same bytes.
   * @throws {Poisoned} If a write or sync failed.
   */
  flush(options: { durability?: Durability } = {}): Promise<void> {
    if (this.#poison !== undefined) return Promise.reject(this.#poison);
    return this.#commit.flush(options.durability ?? "data");
  }

  /** The blocking version of {@linkcode Log.flush}; it throws `TypeError` while an asynchronous flush is in flight. */
  flushSync(options: { durability?: Durability } = {}): void {
    this.#check("flush");
    this.#commit.flushSync(options.durability ?? "data");
  }

  /**
   * The messages that were written, in batches that are the caller's to drop. It ends where the data ends; what is still in memory needs a `flush` first.
   *
   * @throws {OffsetOutOfRange} If `from` is below the first offset, or above the next one.
   * @throws {CorruptSegment} At the first message that is damaged, after all before it were handed out.
   */
  read(options: ReadOptions = {}): AsyncIterableIterator<MessageBatch> {
    return iterate(this.#pass(options));
  }

  /**
   * The messages that were written, and then those that are written later, as soon as they are in the file or, if told `durable`, survive a power cut. One batch has all that came meanwhile.
   *
   * It waits at the end of the data without looking: the log wakes it. What is still in memory is written by a flush, which a tail does not ask for; and a durable tail waits for somebody to make messages durable.
   * It ends by its `signal`, by leaving the loop, after `count` or `maxBytes`, and when the log is closed: everything that was written is given first. A log that is poisoned ends it with the same error.
   *
   * @throws {OffsetOutOfRange} If `from` is below the first offset, or above the next one; also if what is next was truncated away.
   * @throws {CorruptSegment} At the first message that is damaged, after all before it were handed out.
   * @throws {Poisoned} If a write or sync failed, after all that was written before.
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
   *     for (let i = 0; i < batch.count; i++) {
   *       seen.push(new TextDecoder().decode(batch.payload(i)));
   *     }
   *   }
   * })();
   * await log.appendDurable("hello");
   * await log.close();
   * await tailing;
   * assertEquals(seen, ["hello"]);
   * Deno.removeSync(dir, { recursive: true });
   * ```
   */
  tail(options: TailOptions = {}): AsyncIterableIterator<MessageBatch> {
    return this.#leavable(options, true);
  }

  /**
   * The batches of {@linkcode Log.read} or, if told to `follow`, of {@linkcode Log.tail}, as a stream. A batch is read when somebody asks for it, not before; cancelling gives everything back.
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
    return streamOf(this.#leavable(options, options.follow ?? false));
  }

  /** The blocking version of {@linkcode Log.read}. */
  readSync(options: ReadOptions = {}): IterableIterator<MessageBatch> {
    return iterateSync(this.#pass(options));
  }

  /**
   * Removes the segments of which every message lies below `offset`, oldest first; the one being written stays. Resolves to the new first offset.
   *
   * @throws {RangeError} If `offset` is no offset of the log.
   */
  async truncateBefore(offset: number): Promise<number> {
    this.#check("truncate");
    this.#checkTruncation(offset);
    return await this.#commit.exclusively(() => this.#truncateBefore(offset));
  }

  /** The blocking version of {@linkcode Log.truncateBefore}. */
  truncateBeforeSync(offset: number): number {
    this.#check("truncate");
    this.#checkTruncation(offset);
    this.#refuseBusy("truncate");
    return driveSync(this.#truncateBefore(offset));
  }

  /** Figures of this moment. */
  stats(): LogStats {
    const { preparer, writtenEnd } = this.#active;
    return {
      appendedMessages: this.nextOffset - this.#openedAt,
      appendedBytes: this.#buffers.appendedBytes,
      pendingBytes: this.#pendingBytes,
      ...this.#commit.stats,
      syncs: this.#syncs + this.#active.syncs,
      rolls: this.#rolls,
      segments: this.#sealed.length + 1,
      preparedBytes: Math.max(0, preparer.end - writtenEnd),
      opening: this.#opening,
    };
  }

  /**
   * Makes everything durable, cuts the files to their data, closes them and gives the lock back. Closing twice does nothing.
   *
   * @throws {NoSpace} If the disk is full: the log stays open, and can be closed once there is room.
   * @throws {Poisoned} If a write or sync failed; everything is given back all the same.
   */
  close(): Promise<void> {
    if (this.#closed) return this.#closing ?? Promise.resolve();
    this.#closed = true;
    this.#buffers.ease(0);
    return this.#closing = this.#closeOnce();
  }

  async #closeOnce(): Promise<void> {
    try {
      await this.#commit.close();
      await drive(this.#close());
    } finally {
      this.#closing = undefined;
    }
  }

  /** The blocking version of {@linkcode Log.close}. */
  closeSync(): void {
    if (this.#closed) return;
    this.#commit.closeSync();
    this.#closed = true;
    this.#buffers.ease(0);
    driveSync(this.#close());
  }

  /** The same as {@linkcode Log.close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** The same as {@linkcode Log.closeSync}. */
  [Symbol.dispose](): void {
    this.closeSync();
  }

  get #pendingBytes(): number {
    return this.#active.pendingBytes + this.#buffers.laterBytes;
  }

  /** After something was appended: says how much `append` may now take without a look, and starts a flush when a whole block, or a whole segment, waits. */
  #appended(): void {
    const buffers = this.#buffers;
    buffers.ease(this.#options.bufferBytes - this.#pendingBytes);
    if (buffers.rolls > 0 || buffers.last.full) this.#commit.kick();
  }

  *#flush(durability: Durability): Task<void> {
    try {
      yield* this.#flushAll(durability);
    } finally {
      this.#news.wake();
    }
  }

  /** The checkpoint in the background: it makes messages durable, or fails, and a tail may wait for either. */
  *#settle(): Task<void> {
    try {
      yield* this.#guarded(this.#active.checkpoint());
    } finally {
      this.#news.wake();
    }
  }

  *#flushAll(durability: Durability): Task<void> {
    if (this.#poison !== undefined) throw this.#poison;
    this.#buffers.seal();
    yield* this.#guarded(this.#write(durability));
  }

  *#write(durability: Durability): Task<void> {
    // Those that exist now: what is appended meanwhile is for the next flush.
    for (let { rolls } = this.#buffers; rolls > 0; rolls--) {
      yield* this.#roll();
    }
    yield* this.#active.flush(durability);
  }

  /** Poisons the log if the task fails, but for want of room. */
  *#guarded(task: Task<void>): Task<void> {
    try {
      yield* task;
    } catch (error) {
      // No room on the disk or in memory: nothing is lost, the next flush goes on from here.
      if (error instanceof NoSpace || error instanceof PoolLimit) throw error;
      this.#buffers.ease(0);
      throw this.#poison ??= this.#asPoison(error);
    }
  }

  /** Closes the active segment and makes the next one: nothing in it is written before. */
  *#roll(): Task<void> {
    const { storage } = this.#options;
    const old = this.#active;
    yield* old.seal();
    const buffer = this.#buffers.next!;
    let files: SegmentTaskFiles | undefined;
    try {
      yield* createSegment(storage, this.path, buffer.baseOffset);
      files = yield* openSegment(storage, this.path, buffer.baseOffset, {
        write: true,
      });
      this.#active = new ActiveSegment({
        ...files,
        path: this.path,
        buffer,
        pool: this.#options.pool,
        state: emptyState(),
        prepareBytes: this.#options.prepareBytes,
        prepareLimit: this.#options.segmentBytes,
      });
    } catch (error) {
      if (files !== undefined) yield* closeSegment(files);
      throw withoutRoom(error, this.path)?.withDurableOffset(
        this.durableOffset,
      ) ?? error;
    }
    this.#sealed.push({
      firstOffset: old.baseOffset,
      nextOffset: buffer.baseOffset,
      byteLength: old.writtenEnd,
    });
    this.#buffers.advance();
    this.#rolls++;
    this.#syncs += old.syncs;
    yield* old.close();
  }

  *#truncateBefore(offset: number): Task<number> {
    const { storage } = this.#options;
    while (this.#sealed.length > 0 && this.#sealed[0]!.nextOffset <= offset) {
      const path = join(
        this.path,
        segmentName(this.#sealed[0]!.firstOffset),
      );
      // The log first: an index without one is known as the rest of a truncation.
      yield* removeFile(storage, `${path}.log`);
      this.#sealed = this.#sealed.slice(1);
      yield* removeFile(storage, `${path}.index`);
      yield* syncDirectory(storage, this.path);
    }
    return this.firstOffset;
  }

  *#close(): Task<void> {
    let failure: unknown = this.#poison;
    if (failure === undefined) {
      try {
        yield* this.#flush("data");
        yield* this.#active.seal();
      } catch (error) {
        if (error instanceof NoSpace || error instanceof PoolLimit) {
          this.#closed = false;
          this.#commit.reopen();
          throw error;
        }
        failure = this.#poison ??= this.#asPoison(error);
      }
    }
    this.#commit.finish(failure);
    try {
      this.#buffers.discard();
      yield* this.#active.close();
      // The mark of a log that was not closed well stays: the next writer recovers.
      if (failure === undefined) {
        yield* removeMark(this.#options.storage, this.path);
      }
    } finally {
      this.#lock.release();
      this.#ended = true;
      this.#news.wake();
    }
    if (failure !== undefined) throw failure;
  }

  #leavable(
    options: StreamOptions,
    follow: boolean,
  ): AsyncIterableIterator<MessageBatch> {
    this.#checkOpen("read");
    const { durable = false, signal } = options;
    return leavable((signal) => {
      const more = follow ? this.#follow(durable, signal) : undefined;
      return this.#pass(options, { durable, signal, follow: more });
    }, signal);
  }

  /** Waits for what is written, or durable; this isolate writes it, so nobody has to look. */
  #follow(durable: boolean, signal: AbortSignal): Follow {
    const wait = async (offset: number): Promise<boolean> => {
      for (;;) {
        const end = durable ? this.durableOffset : this.writtenOffset;
        if (end > offset) return true;
        if (this.#poison !== undefined) throw this.#poison;
        if (this.#ended) return false;
        await this.#news.wait(signal);
      }
    };
    return {
      // deno-lint-ignore require-yield -- there is nothing to wait for
      *pause(): Task<boolean> {
        return false;
      },
      more: (offset) => step(() => wait(offset), asynchronousOnly),
    };
  }

  #pass(options: ReadOptions, how: PassOptions = {}): LogPass {
    this.#checkOpen("read");
    const { durable = false, follow } = how;
    const { storage, pool } = this.#options;
    // deno-lint-ignore no-this-alias -- generators have a `this` of their own
    const log = this;
    const source: SegmentSource = {
      // deno-lint-ignore require-yield -- this source knows without asking the disk
      *segments(): Task<readonly ReadableSegment[]> {
        const active = log.#active;
        const all = log.#sealed.map((
          { firstOffset, byteLength },
        ): ReadableSegment => ({ firstOffset, bound: () => byteLength }));
        const { writtenOffset: offset, writtenEnd: position } = active;
        all.push({
          firstOffset: active.baseOffset,
          bound: () => durable ? active.syncedEnd : active.writtenEnd,
          known: { offset, position },
        });
        return all;
      },
      nextOffset: () => log.nextOffset,
      // deno-lint-ignore require-yield -- as above
      *judge(): Task<boolean> {
        return false;
      },
    };
    if (follow !== undefined) source.follow = follow;
    const place = { storage, dir: this.path, pool };
    return new LogPass(place, source, options, how.signal);
  }

  #check(action: string): void {
    if (this.#poison !== undefined) throw this.#poison;
    this.#checkOpen(action);
  }

  #checkOpen(action: string): void {
    if (this.#closed) throw this.#closedError(action);
  }

  #closedError(action: string): Error {
    return new Deno.errors.BadResource(
      `Cannot ${action} on log '${this.path}': it is closed`,
    );
  }

  #checkTruncation(offset: number): void {
    if (
      Number.isSafeInteger(offset) && offset >= 0 && offset <= this.nextOffset
    ) return;
    throw new RangeError(
      `Cannot truncate as 'offset' must be an integer from 0 to the next offset, ${this.nextOffset}: received ${offset}`,
    );
  }

  #refuseBusy(action: string): void {
    if (!this.#commit.busy) return;
    throw new TypeError(
      `Cannot ${action} '${this.path}' blocking while an asynchronous flush is in flight`,
    );
  }

  #asPoison(error: unknown): Poisoned {
    if (error instanceof Poisoned) return error;
    return new Poisoned(this.path, this.durableOffset, error);
  }
}

/** How a pass reads, beside what the caller wants of it. */
interface PassOptions {
  durable?: boolean;
  signal?: AbortSignal;
  follow?: Follow | undefined;
}

function asynchronousOnly(): never {
  throw new TypeError("Cannot wait for messages blocking");
}

function emptyState(): SegmentState {
  return {
    count: 0,
    end: 0,
    lastTimestamp: 0,
    logTail: new Uint8Array(0),
    indexTail: new Uint8Array(0),
    indexedCount: 0,
    missingEntries: new Uint8Array(0),
  };
}

/** What a full disk gives when files are made, as the error that it gives when they are written. */
function withoutRoom(error: unknown, path: string): NoSpace | undefined {
  if (error instanceof NoSpace) return error;
  const { code, syscall } = error as { code?: string; syscall?: string };
  if (code !== "ENOSPC" && code !== "EDQUOT") return undefined;
  // What a failed sync leaves is unknown, whatever its reason: it is not repeated.
  if (syscall === "fsync") return undefined;
  return new NoSpace({
    code,
    syscall: syscall ?? "open",
    path,
    requestedBytes: 0,
    writtenBytes: 0,
  }, { cause: error });
}
