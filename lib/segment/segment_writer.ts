import { drive, driveSync, type Task } from "../base/mod.ts";
import { BufferPool } from "../pool/mod.ts";
import { type Durability, NoSpace, TaskFile } from "../storage/mod.ts";
import {
  ActiveSegment,
  type SegmentFiles,
  type SegmentState,
  type SegmentTaskFiles,
} from "./active_segment.ts";
import { checkSegment } from "./checks.ts";
import { corruption } from "./cursor.ts";
import { GroupCommit } from "./group_commit.ts";
import { recoverSegment, type RecoveryReport } from "./recovery.ts";
import { sealedExtent, sealedState } from "./sealed.ts";
import { Timeline } from "./timeline.ts";
import { type AppendOptions, prepareMessage } from "./prepared_message.ts";
import { fits, WriteBuffer } from "./write_buffer.ts";
import { MAX_SEGMENT_BYTES } from "./layout.ts";

/** What a {@linkcode SegmentWriter} is made of. */
export interface SegmentWriterOptions extends SegmentFiles {
  /** The offset of the first message: the number in the files' name. */
  firstOffset: number;
  /** Where blocks come from. @default {BufferPool.default()} */
  pool?: BufferPool;
  /** Bytes of a block. @default {1 MiB} */
  blockBytes?: number;
  /** Bytes of messages that may wait in memory before `append` throws `Backpressure`. @default {64 MiB} */
  bufferBytes?: number;
  /** How far ahead of the data to prepare, in bytes; 0 for not at all. @default {0} */
  prepareBytes?: number;
  /** Microseconds since the Unix epoch. @default {the system's clock} */
  now?: () => number;
  /** Fills a view with random bytes. @default {crypto.getRandomValues} */
  random?: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>;
}

/**
 * Writes one segment by itself: two files that are open for reading and writing, which the writer closes.
 *
 * It follows the rules of the log: group commit, poison, no message lost once acknowledged. Names, directories and locks are the caller's.
 *
 * @example Writing a segment
 * ```ts
 * import { DiskStorage, SegmentWriter } from "@basalt/io";
 * import { assertEquals } from "@std/assert";
 *
 * const dir = Deno.makeTempDirSync();
 * const storage = new DiskStorage();
 * const log = storage.openSync(`${dir}/00000000000000000000.log`, { write: true, createNew: true });
 * const index = storage.openSync(`${dir}/00000000000000000000.index`, { write: true, createNew: true });
 *
 * await using writer = await SegmentWriter.create({ log, index, firstOffset: 0 });
 * const offset = writer.append("hello");
 * await writer.whenDurable(offset);
 * assertEquals(writer.durableOffset, 1);
 * Deno.removeSync(dir, { recursive: true });
 * ```
 */
export class SegmentWriter implements AsyncDisposable, Disposable {
  /** What opening found; `undefined` for a segment that was closed or empty. */
  readonly recovery: RecoveryReport | undefined;

  readonly #active: ActiveSegment;
  readonly #timeline: Timeline;
  readonly #commit: GroupCommit;
  readonly #bufferBytes: number;
  readonly #path: string;
  #closed = false;
  #closing: Promise<void> | undefined;

  private constructor(
    options: SegmentWriterOptions,
    { log, index }: SegmentTaskFiles,
    state: SegmentState,
    recovery: RecoveryReport | undefined,
  ) {
    const pool = options.pool ?? BufferPool.default();
    const { firstOffset } = options;
    this.recovery = recovery;
    this.#bufferBytes = options.bufferBytes ?? 64 * 1024 * 1024;
    this.#path = log.path;
    const timeline = new Timeline(
      options.now ?? (() => Date.now() * 1000),
      state.lastTimestamp,
    );
    const buffer = new WriteBuffer({
      pool,
      blockBytes: options.blockBytes ?? 1024 * 1024,
      bufferBytes: this.#bufferBytes,
      pendingBytes: () => this.#active.pendingBytes,
      physicalBlock: log.capabilities.physicalBlock,
      timeline,
      random: options.random ?? ((bytes) => crypto.getRandomValues(bytes)),
    }, {
      baseOffset: firstOffset,
      nextOffset: firstOffset + state.count,
      end: state.end,
      tail: state.logTail,
    });
    const active = new ActiveSegment({
      path: log.path,
      log,
      index,
      buffer,
      pool,
      state,
      prepareBytes: options.prepareBytes ?? 0,
      prepareLimit: MAX_SEGMENT_BYTES,
    });
    this.#active = active;
    this.#timeline = timeline;
    this.#commit = new GroupCommit({
      flush: (durability) => this.#flush(durability),
      get nextOffset(): number {
        return buffer.nextOffset;
      },
      get durableOffset(): number {
        return active.durableOffset;
      },
      get due(): boolean {
        return active.checkpointDue;
      },
      settle: () => this.#checkpoint(),
      idle: (paused) => active.prepare(paused),
    }, log.path);
  }

  /**
   * Makes a writer over two files: empty ones, or those of a segment, which is recovered if it was not closed. Bytes behind a torn tail are cut.
   * When it throws, the files stay open, and the caller's.
   *
   * @throws {CorruptSegment} If more than a torn tail is damaged, or valid messages lie behind it.
   */
  static async create(options: SegmentWriterOptions): Promise<SegmentWriter> {
    return await drive(SegmentWriter.#create(options));
  }

  /** The blocking version of {@linkcode SegmentWriter.create}. */
  static createSync(options: SegmentWriterOptions): SegmentWriter {
    return driveSync(SegmentWriter.#create(options));
  }

  static *#create(options: SegmentWriterOptions): Task<SegmentWriter> {
    checkSegment("write segment", options);
    const pool = options.pool ?? BufferPool.default();
    const log = new TaskFile(options.log);
    const index = new TaskFile(options.index);
    const files = { log, index };
    const sealed = yield* sealedExtent(files, pool);
    if (sealed !== undefined) {
      const state = yield* sealedState(files, pool, sealed.count);
      return new SegmentWriter(options, files, state, undefined);
    }
    const { state, report } = yield* recoverSegment({
      ...files,
      pool,
      baseOffset: options.firstOffset,
      *begin(): Task<void> {},
      // There is no place beside the log to keep them in: better to refuse.
      *keep(stop): Task<void> {
        throw corruption(log.path, stop);
      },
    });
    return new SegmentWriter(options, files, state, report);
  }

  /** The offset of the first message. */
  get firstOffset(): number {
    return this.#active.baseOffset;
  }

  /** The offset that the next message gets. */
  get nextOffset(): number {
    return this.#active.buffer.nextOffset;
  }

  /** Messages below this offset survive a power cut. */
  get durableOffset(): number {
    return this.#active.durableOffset;
  }

  /** The length of the `.log` with all that is in memory, in bytes. */
  get byteLength(): number {
    return this.#active.buffer.end;
  }

  /**
   * Appends a message in memory and answers its offset.
   *
   * @throws {RangeError} If the message, or the segment with it, would be too large; nothing has changed then.
   * @throws {Backpressure} If there is no room in memory; nothing has changed then.
   * @throws {Poisoned} If a write or sync failed before.
   */
  append(payload: Uint8Array | string, options?: AppendOptions): number {
    if (options === undefined) {
      const offset = this.#active.buffer.add(payload);
      if (offset >= 0) return offset;
    }
    this.#check("append to");
    const message = prepareMessage(payload, options);
    const { buffer } = this.#active;
    if (!fits(buffer.end, message.size, MAX_SEGMENT_BYTES)) {
      throw new RangeError(
        `Cannot append as a segment ends at ${MAX_SEGMENT_BYTES} bytes: it has ${buffer.end}, the message ${message.size}`,
      );
    }
    buffer.checkRoom(message.size);
    const offset = buffer.append(message);
    buffer.ease(
      Math.min(
        this.#bufferBytes - this.#active.pendingBytes,
        MAX_SEGMENT_BYTES - buffer.end,
      ),
    );
    if (buffer.full) this.#commit.kick();
    return offset;
  }

  /** Resolves when the message at `offset` is durable. */
  whenDurable(
    offset: number,
    options?: { signal?: AbortSignal },
  ): Promise<void> {
    const { poison, durableOffset } = this.#active;
    if (poison !== undefined && offset >= durableOffset) {
      return Promise.reject(poison);
    }
    return this.#commit.whenDurable(offset, options?.signal);
  }

  /**
   * Writes everything appended so far.
   *
   * @throws {NoSpace} If the disk is full: the messages stay in memory, the next flush writes the same bytes.
   * @throws {Poisoned} If a write or sync failed.
   */
  flush(options: { durability?: Durability } = {}): Promise<void> {
    const { poison } = this.#active;
    if (poison !== undefined) return Promise.reject(poison);
    return this.#commit.flush(options.durability ?? "data");
  }

  /** The blocking version of {@linkcode SegmentWriter.flush}. */
  flushSync(options: { durability?: Durability } = {}): void {
    this.#check("flush");
    this.#commit.flushSync(options.durability ?? "data");
  }

  /**
   * Makes everything durable, cuts both files to their data and closes them. Closing twice does nothing.
   *
   * @throws {NoSpace} If the disk is full: the segment stays open, and can be closed once there is room.
   * @throws {Poisoned} If a write or sync failed; everything is given back all the same.
   */
  close(): Promise<void> {
    if (this.#closed) return this.#closing ?? Promise.resolve();
    this.#closed = true;
    this.#active.buffer.ease(0);
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

  /** The blocking version of {@linkcode SegmentWriter.close}. */
  closeSync(): void {
    if (this.#closed) return;
    this.#commit.closeSync();
    this.#closed = true;
    this.#active.buffer.ease(0);
    driveSync(this.#close());
  }

  *#flush(durability: Durability): Task<void> {
    const { buffer } = this.#active;
    buffer.seal();
    this.#timeline.endGroup();
    try {
      yield* this.#active.flush(durability);
    } finally {
      // Poisoned, perhaps: the next append looks.
      buffer.ease(0);
    }
  }

  *#checkpoint(): Task<void> {
    try {
      yield* this.#active.checkpoint();
    } finally {
      this.#active.buffer.ease(0);
    }
  }

  *#close(): Task<void> {
    let failure: unknown;
    try {
      yield* this.#flush("data");
      yield* this.#active.seal();
    } catch (error) {
      if (error instanceof NoSpace) {
        this.#closed = false;
        this.#commit.reopen();
        throw error;
      }
      failure = error;
    }
    this.#commit.finish(failure);
    yield* this.#active.close();
    if (failure !== undefined) throw failure;
  }

  #check(action: string): void {
    if (this.#active.poison !== undefined) throw this.#active.poison;
    if (this.#closed) {
      throw new Deno.errors.BadResource(
        `Cannot ${action} '${this.#path}': the segment is closed`,
      );
    }
  }

  /** The same as {@linkcode SegmentWriter.close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** The same as {@linkcode SegmentWriter.closeSync}. */
  [Symbol.dispose](): void {
    this.closeSync();
  }
}
