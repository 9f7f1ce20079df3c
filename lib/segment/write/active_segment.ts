import { runAll, type Task, together } from "../../base/mod.ts";
import {
  type Capabilities,
  type Durability,
  NoSpaceError,
  type TaskFile,
} from "../../storage/mod.ts";
import {
  CHECKPOINT_BYTES,
  CHECKPOINT_DUE_BYTES,
  roundDown,
  roundUp,
} from "../layout.ts";
import {
  emptyState,
  type SegmentFiles,
  type SegmentState,
} from "../segment_state.ts";
import type { BatchPlace } from "../read/segment_scan.ts";
import type { InPlaceStorage } from "./in_place.ts";
import type { IndexWriter } from "./index_writer.ts";
import { Preparer } from "./_preparer.ts";
import type { WriteBlock } from "./_write_block.ts";

/** Parts of an {@linkcode ActiveSegment}. */
export interface ActiveSegmentOptions {
  /** The files, open for reading and writing. */
  files: SegmentFiles;
  /** The state of the files. */
  state: SegmentState;
  /** Writes the `.index`. */
  index: IndexWriter;
  /** The largest window to prepare ahead, in bytes; 0 for none. */
  prepareBytes: number;
  /** Where the segment will end at the latest, in bytes. */
  segmentBytes: number;
  /** The storage's clock, and whether the program's thread may wait for it. */
  clock: InPlaceStorage;
}

/**
 * Writes blocks to the active segment, and decides when to sync and when to write the index.
 *
 * Only one of its computations may run at a time. `GroupCommit` sees to that.
 */
export class ActiveSegment {
  /** The offset of the first message. */
  readonly firstOffset: number;

  readonly #options: ActiveSegmentOptions;
  readonly #log: TaskFile;
  readonly #indexFile: TaskFile;
  readonly #index: IndexWriter;
  readonly #preparer: Preparer;
  /** The bytes of the last physical block in the file, which is partly filled. */
  #tail: Uint8Array<ArrayBuffer>;
  /** The same for the write in flight, once it is complete. */
  #nextTail: Uint8Array<ArrayBuffer>;
  #written: BatchPlace;
  #durable: BatchPlace;
  /** Where the data ended at the last checkpoint. */
  #checkpointEnd: number;
  #syncs = 0;

  constructor(options: ActiveSegmentOptions) {
    const { clock, files, index, state } = options;
    this.firstOffset = files.firstOffset;
    this.#options = options;
    this.#log = files.log;
    this.#indexFile = files.index;
    this.#index = index;
    this.#written = { position: state.end, offset: state.nextOffset };
    this.#durable = this.#written;
    this.#checkpointEnd = state.end;
    const { physicalBlock } = files.log.capabilities;
    this.#tail = new Uint8Array(physicalBlock);
    this.#nextTail = new Uint8Array(physicalBlock);
    this.#tail.set(state.tail);
    this.#preparer = new Preparer(files.log, files.pool, state.end, {
      maxBytes: options.prepareBytes,
      limit: options.segmentBytes,
      now: () => clock.now(),
    });
  }

  /** Makes the segment after this one of empty files. This one must be sealed. */
  *next(files: SegmentFiles): Task<ActiveSegment> {
    const index = yield* this.#index.next(files.index, files.pool);
    const state = emptyState(files.firstOffset);
    return new ActiveSegment({ ...this.#options, files, index, state });
  }

  /** Where the data in the file ends. Everything before can be read. */
  get written(): BatchPlace {
    return this.#written;
  }

  /** Where the data that survives a power cut ends. */
  get durable(): BatchPlace {
    return this.#durable;
  }

  /** Whether everything that was written is durable. */
  get isSynced(): boolean {
    return this.#durable.position === this.#written.position;
  }

  /** How often messages were made durable. */
  get syncs(): number {
    return this.#syncs;
  }

  /** Bytes after the data that are allocated and zeroed. */
  get preparedBytes(): number {
    return Math.max(0, this.#preparer.end - this.#written.position);
  }

  /** What the `.log` can do. */
  get capabilities(): Capabilities {
    return this.#log.capabilities;
  }

  /** Whether a checkpoint should be taken in the background. */
  get isCheckpointDue(): boolean {
    return this.#written.position - this.#checkpointEnd >= CHECKPOINT_DUE_BYTES;
  }

  /**
   * Returns the first blocks of a queue that may be written together: those of this segment, up to
   * the next checkpoint. It returns none if a checkpoint must be taken first. The first block must
   * belong to this segment.
   */
  writable(queue: readonly WriteBlock[]): WriteBlock[] {
    const limit = this.#checkpointEnd + CHECKPOINT_BYTES;
    const end = queue.findIndex((block) =>
      block.segmentOffset !== this.firstOffset || block.end > limit
    );
    if (end !== 0) return end < 0 ? queue.slice() : queue.slice(0, end);
    // A block above the bound is written alone, with a checkpoint before and after it.
    return queue.slice(0, this.#written.position > this.#checkpointEnd ? 0 : 1);
  }

  /**
   * Writes blocks side by side. A single write that covers everything unsynced carries the
   * durability itself. Otherwise the caller must `sync`.
   *
   * @throws {NoSpaceError} If the disk is full: the same blocks can be written again.
   */
  *write(group: readonly WriteBlock[], durability: Durability): Task<void> {
    const physicalBlock = this.#log.capabilities.physicalBlock;
    const isCarried = group.length === 1 && this.isSynced;
    const flag = isCarried ? durability : "none";
    const last = group.at(-1)!;
    const writes: Task<number>[] = [];
    yield* this.#sealGroup(group, durability);
    for (const block of group) {
      // The next block begins with the last physical block of this one, if that is partly filled.
      // Two writes in flight must not overlap.
      const length = block === last
        ? roundUp(block.fill, physicalBlock)
        : roundDown(block.fill, physicalBlock);
      if (length === 0) continue;
      const { buffer, position } = block;
      const options = { length, durability: flag };
      writes.push(this.#log.write(buffer, position, options));
    }
    yield* this.#preparer.yieldTo(roundUp(last.end, physicalBlock));
    const results = yield* together(writes);
    const full = this.#checkWrites(results);
    if (full !== undefined) {
      yield* this.#preparer.release(this.#written.position);
      throw full;
    }
    for (const block of group) {
      for (const { offset, position } of block.indexed) {
        this.#index.push({ offset, position, timestamp: block.timestamp });
      }
    }
    const bytes = last.end - this.#written.position;
    this.#preparer.flushed(bytes, durability !== "none");
    this.#written = { position: last.end, offset: last.nextOffset };
    [this.#tail, this.#nextTail] = [this.#nextTail, this.#tail];
    if (flag !== "none") this.#markSynced();
  }

  /** Starts sealing a full block on a thread of the library, if that pays. */
  sealAhead(block: WriteBlock): void {
    if (block.isLarge && this.#log.seals) block.sealAhead(this.#log);
  }

  /**
   * Seals the blocks of a group, and copies the end of each to the beginning of the next.
   *
   * Threads of the library seal large blocks, but only where no call waits for durability: that
   * call would also wait for a thread to wake up.
   */
  *#sealGroup(
    group: readonly WriteBlock[],
    durability: Durability,
  ): Task<void> {
    const log = this.#log;
    const mayThread = durability === "none" && log.seals;
    const byThread = group.filter((each) =>
      each.isSealing || mayThread && each.isLarge
    );
    if (byThread.length > 0) {
      yield* together(byThread.map((each) => each.sealByThread(log)));
    }
    const { physicalBlock } = log.capabilities;
    let tail = this.#tail;
    for (const block of group) {
      block.putPrefix(tail);
      block.seal(physicalBlock);
      tail = block.tail(physicalBlock);
    }
    this.#nextTail.set(tail);
  }

  /** Returns the first `NoSpaceError`. Throws if a write failed for another reason. */
  #checkWrites(
    results: readonly PromiseSettledResult<number>[],
  ): NoSpaceError | undefined {
    let full: NoSpaceError | undefined;
    for (const result of results) {
      if (result.status === "fulfilled") continue;
      if (!(result.reason instanceof NoSpaceError)) throw result.reason;
      full ??= result.reason;
    }
    return full;
  }

  /** Makes everything that was written durable. */
  *sync(durability: Exclude<Durability, "none">): Task<void> {
    if (this.isSynced) return;
    yield* this.#log.sync(durability);
    this.#markSynced();
  }

  #markSynced(): void {
    this.#syncs++;
    this.#durable = this.#written;
  }

  /**
   * Syncs the log, then writes and syncs the index.
   *
   * @throws {NoSpaceError} If the disk is full: the next checkpoint writes the same entries.
   */
  *checkpoint(): Task<void> {
    this.checkNames();
    yield* this.sync("data");
    try {
      yield* this.#index.write();
      yield* this.#indexFile.sync("data");
    } catch (error) {
      if (error instanceof NoSpaceError) {
        yield* this.#preparer.release(this.#written.position);
      }
      throw error;
    }
    this.#checkpointEnd = this.#written.position;
  }

  /** Prepares the file ahead until `isPaused()`; `undefined` if there is nothing to do. */
  prepare(isPaused: () => boolean): Promise<void> | undefined {
    return this.#preparer.wants(this.#written.position)
      ? this.#preparer.run(this.#written.position, isPaused)
      : undefined;
  }

  /**
   * Seals the segment: gives prepared space back, syncs the log and writes the index.
   *
   * @throws {NoSpaceError} If the disk is full: it can be tried again.
   */
  *seal(): Task<void> {
    this.checkNames();
    yield* this.#preparer.stop();
    const end = this.#written.position;
    yield* this.#preparer.hasPrepared(end)
      ? this.#log.truncate(end)
      : this.#log.truncateNow(end);
    const isDurable = this.isSynced;
    yield* this.sync("full");
    yield* this.#writeIndexIfRoom();
    yield* this.#indexFile.truncateNow(this.#index.writtenEnd);
    // Syncs side by side share a commit of the filesystem's journal.
    const files = isDurable ? [this.#log, this.#indexFile] : [this.#indexFile];
    yield* runAll(files.map((file) => file.sync("full")));
  }

  /** Writes the last entries. If the disk is full, the index is shorter, which is valid. */
  *#writeIndexIfRoom(): Task<void> {
    try {
      yield* this.#index.write(this.#options.clock.isIdle());
    } catch (error) {
      if (!(error instanceof NoSpaceError)) throw error;
    }
  }

  /** Closes the files and gives all memory back, sealed or not. */
  *close(): Task<void> {
    yield* this.#preparer.stop();
    this.#index[Symbol.dispose]();
    yield* this.#log.close();
    yield* this.#indexFile.close();
  }

  /**
   * Refuses files that lost their names, because closing them would delete what was written.
   *
   * @throws {Deno.errors.BadResource} If a file was removed or replaced.
   */
  checkNames(): void {
    for (const file of [this.#log, this.#indexFile]) {
      if (file.isAtPath()) continue;
      throw new Deno.errors.BadResource(
        `Cannot go on writing '${file.path}': it was removed, moved or replaced`,
      );
    }
  }
}
