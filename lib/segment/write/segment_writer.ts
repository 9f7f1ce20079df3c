import { drive, driveSync, type Task } from "../../base/mod.ts";
import { acquire, BufferPool } from "../../pool/mod.ts";
import {
  copyRange,
  type Durability,
  type StorageFile,
  TaskFile,
} from "../../storage/mod.ts";
import { checkSegment } from "../checks.ts";
import { corruption } from "../read/corrupt_segment_error.ts";
import { MAX_SEGMENT_BYTES } from "../layout.ts";
import { recoverSegment, type RecoveryReport } from "../recover/recovery.ts";
import { sealedState } from "../recover/sealed.ts";
import {
  emptyState,
  type SegmentFiles,
  type SegmentState,
} from "../segment_state.ts";
import { ActiveSegment } from "./active_segment.ts";
import { Appender, type AppenderClock } from "./appender.ts";
import { IndexWriter } from "./index_writer.ts";
import type { FlatPayloads } from "./payload_batch.ts";
import type { AppendOptions, ExpectOptions } from "./prepared_message.ts";

/** Options of {@linkcode SegmentWriter.create}. */
export interface SegmentWriterOptions {
  /** The `.log`, open for reading and writing. The writer closes it. */
  log: StorageFile;
  /** The `.index`, open for reading and writing. The writer closes it. */
  index: StorageFile;
  /**
   * The `.writer`, open for reading and writing. The writer closes it. If it is not empty, the
   * segment was not closed, and a torn tail may be cut. Without it, a segment that was not closed
   * is refused.
   */
  owner?: StorageFile;
  /**
   * An empty file, open for reading and writing, that gets the bytes of a torn tail unless they are
   * zeros. The caller closes it. Without it, such a torn tail is refused.
   */
  cut?: StorageFile;
  /** The offset of the first message: the number in the files' name. */
  firstOffset: number;
  /** Where blocks come from. Default: `BufferPool.default()`. */
  pool?: BufferPool;
  /** Bytes of a block at most. Default: 1 MiB. */
  blockBytes?: number;
  /**
   * Bytes of messages that may wait in memory before `append` throws `BackpressureError`.
   * @default {64 MiB}
   */
  bufferBytes?: number;
  /** The most to prepare ahead of the data, in bytes; 0 turns it off. Default: `0`. */
  prepareBytes?: number;
  /** Microseconds since the Unix epoch. Default: the system's clock. */
  now?: () => number;
  /** Fills a view with random bytes. Default: `crypto.getRandomValues`. */
  random?: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>;
}

/**
 * Writes a single segment to open files, and closes them.
 *
 * It follows the rules of a log: group commit, poison, and no acknowledged message is lost. Names,
 * directories and locks are up to the caller.
 *
 * @example Writing a segment
 * ```ts
 * import { DiskStorage } from "@basalt/io/storage";
 * import { SegmentWriter } from "@basalt/io/segment";
 * import { assertEquals } from "@std/assert";
 *
 * const dir = Deno.makeTempDirSync();
 * const storage = new DiskStorage();
 * const open = (name: string) =>
 *   storage.openSync(`${dir}/${name}`, { write: true, createNew: true });
 * const log = open("00000000000000000000.log");
 * const index = open("00000000000000000000.index");
 *
 * {
 *   await using writer = await SegmentWriter.create({ log, index, firstOffset: 0 });
 *   const offset = writer.append("hello");
 *   await writer.whenDurable(offset);
 *   assertEquals(writer.durableOffset, 1);
 * }
 * Deno.removeSync(dir, { recursive: true });
 * ```
 */
export class SegmentWriter implements AsyncDisposable, Disposable {
  /** What recovery found; `undefined` for a segment that was closed or empty. */
  readonly recovery: RecoveryReport | undefined;

  readonly #appender: Appender;

  /** @ignore */
  private constructor(
    options: SegmentWriterOptions,
    files: SegmentFiles,
    owner: TaskFile | undefined,
    index: IndexWriter,
    state: SegmentState,
    recovery?: RecoveryReport,
  ) {
    const parts = {
      path: files.log.path,
      pool: files.pool,
      segmentBytes: MAX_SEGMENT_BYTES,
      state,
      clock: {
        now: options.now ?? (() => Date.now() * 1000),
        random: options.random ?? ((bytes) => crypto.getRandomValues(bytes)),
        after: () => ({ cancel() {} }),
        isIdle: () => false,
        pause: () => undefined,
      } satisfies AppenderClock,
    };
    const { prepareBytes = 0 } = options;
    this.recovery = recovery;
    this.#appender = new Appender({
      ...parts,
      blockBytes: options.blockBytes ?? 1024 * 1024,
      bufferBytes: options.bufferBytes ?? 64 * 1024 * 1024,
      tailBytes: 0,
      flushAfterMs: 0,
      active: new ActiveSegment({ ...parts, files, index, prepareBytes }),
      owner: { closed: (isClean) => closeOwner(owner, isClean) },
    });
  }

  /**
   * Makes a writer of empty files or of a segment. A segment that was not closed is recovered. If
   * this throws, the files stay open.
   *
   * @throws {CorruptSegmentError} If more than a torn tail is damaged, or there is no owner file
   *   and the segment was not closed.
   */
  static async create(options: SegmentWriterOptions): Promise<SegmentWriter> {
    return await drive(SegmentWriter.#create(options));
  }

  /** Sync version of {@linkcode SegmentWriter.create}. */
  static createSync(options: SegmentWriterOptions): SegmentWriter {
    return driveSync(SegmentWriter.#create(options));
  }

  static *#create(options: SegmentWriterOptions): Task<SegmentWriter> {
    checkSegment("write segment", options);
    const { firstOffset, pool = BufferPool.default() } = options;
    const files = {
      log: new TaskFile(options.log),
      index: new TaskFile(options.index),
      firstOffset,
      pool,
    };
    const owner = options.owner && new TaskFile(options.owner);
    const wasOpen = owner !== undefined && (yield* owner.size()) > 0;
    const { state, report } = wasOpen
      ? yield* recoverSegment({
        ...files,
        durableOffset: 0,
        *begin(): Task<void> {},
        *keep(from, to, stop): Task<void> {
          const { cut, log } = options;
          if (cut === undefined) throw corruption(log.path, stop);
          yield* copyRange(files.log, new TaskFile(cut), pool, from, to);
        },
      })
      : { state: yield* closedState(files) };
    if (owner !== undefined && !wasOpen) yield* markOpen(owner, pool);
    const index = yield* IndexWriter.open(files.index, pool, state.index);
    return new SegmentWriter(options, files, owner, index, state, report);
  }

  /** The offset of the first message. */
  get firstOffset(): number {
    return this.#appender.active.firstOffset;
  }

  /** The offset that the next message gets. */
  get nextOffset(): number {
    return this.#appender.nextOffset;
  }

  /** Messages below this offset survive a power cut. */
  get durableOffset(): number {
    return this.#appender.durableOffset;
  }

  /** The length of the `.log` with all messages in memory, in bytes. */
  get byteLength(): number {
    return this.#appender.memory.end;
  }

  /**
   * Appends a message in memory and returns its offset.
   *
   * @throws {RangeError} If the message, or the segment with it, would be too large; nothing has
   *   changed then.
   * @throws {BackpressureError} If there is no room in memory; nothing has changed then.
   * @throws {PoisonedError} If a write or sync failed before.
   */
  append(payload: Uint8Array | string, options?: AppendOptions): number {
    return this.#appender.append(payload, options);
  }

  /**
   * Appends messages in memory as one batch and returns the offset of the first. It throws as
   * {@linkcode SegmentWriter.append} does.
   */
  appendBatch(
    payloads: readonly (Uint8Array | string)[] | FlatPayloads,
    options?: ExpectOptions,
  ): number {
    return this.#appender.appendBatch(payloads, options);
  }

  /** Resolves when the message at `offset` is durable. */
  whenDurable(
    offset: number,
    options?: { signal?: AbortSignal },
  ): Promise<void> {
    return this.#appender.commit.whenDurable(offset, options?.signal);
  }

  /**
   * Writes all appended messages.
   *
   * @throws {NoSpaceError} If the disk is full: the messages stay in memory, the next flush writes
   *   the same bytes.
   * @throws {PoisonedError} If a write or sync failed.
   */
  flush(options: { durability?: Durability } = {}): Promise<void> {
    return this.#appender.commit.flush(options.durability);
  }

  /** Sync version of {@linkcode SegmentWriter.flush}. */
  flushSync(options: { durability?: Durability } = {}): void {
    this.#appender.commit.flushSync(options.durability);
  }

  /**
   * Makes everything durable, cuts the files to their data and closes them. They are closed even
   * after a failure. Closing twice does nothing.
   *
   * @throws {NoSpaceError} If the disk is full: what is not durable is lost.
   * @throws {PoisonedError} If a write or sync failed.
   */
  close(): Promise<void> {
    return this.#appender.close();
  }

  /** Sync version of {@linkcode SegmentWriter.close}. */
  closeSync(): void {
    this.#appender.closeSync();
  }

  /**
   * Does what {@linkcode SegmentWriter.close} does, but does not repeat an error that a caller has
   * received.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#appender.dispose();
  }

  /** Sync version of `[Symbol.asyncDispose]`. */
  [Symbol.dispose](): void {
    this.#appender.disposeSync();
  }
}

/** Closes an owner file. A clean one says first that the segment was closed. */
function* closeOwner(
  file: TaskFile | undefined,
  isClean: boolean,
): Task<void> {
  if (file === undefined) return;
  try {
    if (!isClean) return;
    yield* file.truncate(0);
    yield* file.sync("full");
  } finally {
    yield* file.close();
  }
}

/** Returns the state of a segment that is empty or was closed. */
function* closedState(files: SegmentFiles): Task<SegmentState> {
  const { log, index, firstOffset } = files;
  const isEmpty = (yield* log.size()) === 0 && (yield* index.size()) === 0;
  return isEmpty ? emptyState(firstOffset) : yield* sealedState(files);
}

/** Notes durably in an owner file that the segment is open. */
function* markOpen(file: TaskFile, pool: BufferPool): Task<void> {
  const { physicalBlock } = file.capabilities;
  using block = yield* acquire(pool, physicalBlock, { zeroed: true });
  new TextEncoder().encodeInto(`${Deno.pid}\n`, block.bytes);
  yield* file.write(block, 0, { durability: "full" });
}
