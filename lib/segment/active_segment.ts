import { type Task, together } from "../base/mod.ts";
import { INDEX_ENTRY_BYTES } from "../codec/mod.ts";
import type { BufferPool } from "../pool/mod.ts";
import {
  type Capabilities,
  type Durability,
  NoSpace,
  type StorageFile,
  type TaskFile,
} from "../storage/mod.ts";
import type { Chunk } from "./chunk.ts";
import { IndexWriter } from "./index_writer.ts";
import {
  CHECKPOINT_BYTES,
  CHECKPOINT_DUE_BYTES,
  roundDown,
  roundUp,
} from "./layout.ts";
import { Poisoned } from "./poisoned.ts";
import { Preparer } from "./preparer.ts";
import type { WriteBuffer } from "./write_buffer.ts";

/** The state in which an {@linkcode ActiveSegment} finds its files. */
export interface SegmentState {
  /** Messages in the segment. */
  count: number;
  /** Where the data ends in the `.log`, in bytes; all of it durable. */
  end: number;
  /** The last message's timestamp in microseconds; 0 if there is none. */
  lastTimestamp: number;
  /** What the `.log` holds from the last multiple of the physical block on. */
  logTail: Uint8Array;
  /** What the `.index` holds from the last multiple of the physical block on, up to `indexedCount` entries. */
  indexTail: Uint8Array;
  /** Entries that the `.index` holds. */
  indexedCount: number;
  /** Entries that were lost and are written at the next checkpoint. */
  missingEntries: Uint8Array;
}

/** The files of a segment. */
export interface SegmentFiles {
  /** Messages. */
  log: StorageFile;
  /** Index entries. */
  index: StorageFile;
}

/** The files of a segment, their operations as tasks. */
export interface SegmentTaskFiles {
  /** Messages. */
  log: TaskFile;
  /** Index entries. */
  index: TaskFile;
}

/** What an {@linkcode ActiveSegment} is made of. */
export interface ActiveSegmentOptions extends SegmentTaskFiles {
  /** What {@linkcode Poisoned} names. */
  path: string;
  /** The messages in memory. */
  buffer: WriteBuffer;
  /** Where blocks come from. */
  pool: BufferPool;
  /** What the files hold. */
  state: SegmentState;
  /** Bytes to prepare ahead; 0 for none. */
  prepareBytes: number;
  /** Where the segment will end at the latest, in bytes: nothing is prepared beyond. */
  prepareLimit: number;
}

/**
 * The segment that is written: takes chunks from its buffer to the disk, and decides when to sync and when to write the index.
 *
 * Not for concurrent use: one of its computations runs at a time, which `GroupCommit` sees to.
 */
export class ActiveSegment implements Disposable {
  /** The messages in memory. */
  readonly buffer: WriteBuffer;
  /** Zeros ahead of the data. */
  readonly preparer: Preparer;

  readonly #path: string;
  readonly #log: TaskFile;
  readonly #indexFile: TaskFile;
  readonly #index: IndexWriter;
  /** Chunks that a flush took and did not write yet: after `NoSpace` they are written again, the same bytes. */
  #unwritten: Chunk[] = [];
  #writtenEnd: number;
  #writtenOffset: number;
  #syncedEnd: number;
  #durableOffset: number;
  /** Where the data ended at the last checkpoint. */
  #checkpointEnd: number;
  #poison: Poisoned | undefined;
  #syncs = 0;

  constructor(options: ActiveSegmentOptions) {
    const { buffer, log, index, pool, state } = options;
    this.buffer = buffer;
    this.#path = options.path;
    this.#log = log;
    this.#indexFile = index;
    this.#index = new IndexWriter(
      index,
      pool,
      state.indexedCount,
      state.indexTail,
      buffer.entries,
    );
    if (state.missingEntries.length > 0) this.#index.push(state.missingEntries);
    this.#writtenEnd = this.#syncedEnd = this.#checkpointEnd = state.end;
    this.#writtenOffset = this.#durableOffset = buffer.baseOffset + state.count;
    this.preparer = new Preparer(log, pool, state.end, {
      windowBytes: options.prepareBytes,
      limit: options.prepareLimit,
    });
  }

  /** The offset of the segment's first message. */
  get baseOffset(): number {
    return this.buffer.baseOffset;
  }

  /** Messages below this offset can be read from the file. */
  get writtenOffset(): number {
    return this.#writtenOffset;
  }

  /** Where the data in the file ends, in bytes. */
  get writtenEnd(): number {
    return this.#writtenEnd;
  }

  /** Where the data that survives a power cut ends, in bytes. */
  get syncedEnd(): number {
    return this.#syncedEnd;
  }

  /** Messages below this offset survive a power cut. */
  get durableOffset(): number {
    return this.#durableOffset;
  }

  /** Bytes of messages that are in memory and not in the file. */
  get pendingBytes(): number {
    return this.buffer.end - this.#writtenEnd;
  }

  /** How often messages were made durable. */
  get syncs(): number {
    return this.#syncs;
  }

  /** What the `.log` can do. */
  get capabilities(): Capabilities {
    return this.#log.capabilities;
  }

  /** Why nothing more can be written, if so. */
  get poison(): Poisoned | undefined {
    return this.#poison;
  }

  /**
   * Writes what is sealed in memory and, unless told `"none"`, makes it durable.
   *
   * @throws {NoSpace} If the disk is full: the messages stay in memory, the next call writes the same bytes.
   * @throws {Poisoned} If a write or sync failed.
   */
  *flush(durability: Durability): Task<void> {
    this.#refusePoisoned();
    this.#unwritten.push(...this.buffer.take());
    while (this.#unwritten.length > 0) {
      const group = this.#nextGroup();
      if (group.length === 0) {
        yield* this.checkpoint();
        continue;
      }
      const last = group.length === this.#unwritten.length;
      yield* this.#write(group, last ? durability : "none");
    }
    if (durability !== "none") yield* this.#sync(durability);
  }

  /** Whether a checkpoint should come now that those who asked for the flush were told. */
  get checkpointDue(): boolean {
    return this.#poison === undefined &&
      this.#writtenEnd - this.#checkpointEnd >= CHECKPOINT_DUE_BYTES;
  }

  /** The chunks that may be written before the next checkpoint; none if it is due. */
  #nextGroup(): Chunk[] {
    const limit = this.#checkpointEnd + CHECKPOINT_BYTES;
    const beyond = this.#unwritten.findIndex((chunk) => chunk.end > limit);
    if (beyond < 0) return this.#unwritten.slice();
    if (beyond > 0) return this.#unwritten.slice(0, beyond);
    // A chunk above the bound by itself: a checkpoint before it, and by its size one after it.
    return this.#writtenEnd > this.#checkpointEnd ? [] : [this.#unwritten[0]!];
  }

  *#write(group: Chunk[], durability: Durability): Task<void> {
    const unit = this.#log.capabilities.physicalBlock;
    // Only a write that covers everything unsynced can carry the durability itself.
    const carries = group.length === 1 && this.#syncedEnd === this.#writtenEnd;
    const flag = carries ? durability : "none";
    const writes: Task<number>[] = [];
    group.forEach((chunk, i) => {
      // The next chunk begins with this one's partly filled last block: two writes in flight must not overlap.
      const length = i < group.length - 1
        ? roundDown(chunk.fill, unit)
        : roundUp(chunk.fill, unit);
      if (length === 0) return;
      const options = { length, durability: flag };
      writes.push(this.#log.write(chunk.buffer, chunk.position, options));
    });
    const end = roundUp(group.at(-1)!.end, unit);
    yield* this.preparer.yieldTo(end);
    const results = yield* together(writes);
    const failures = results.filter((each) => each.status === "rejected")
      .map((each) => each.reason);
    const worst = failures.find((reason) => !(reason instanceof NoSpace));
    if (worst !== undefined) throw this.#poisoned(worst);
    if (failures.length > 0) throw this.#noSpace(failures[0] as NoSpace);

    for (const chunk of group) {
      chunk.buffer.drop();
      this.#index.commit(chunk.count * INDEX_ENTRY_BYTES);
    }
    this.#unwritten.splice(0, group.length);
    this.#writtenEnd = group.at(-1)!.end;
    this.#writtenOffset = group.at(-1)!.nextOffset;
    if (flag !== "none") this.#markSynced();
  }

  *#sync(durability: Exclude<Durability, "none">): Task<void> {
    if (this.#syncedEnd === this.#writtenEnd) return;
    try {
      yield* this.#log.sync(durability);
    } catch (error) {
      throw this.#poisoned(error);
    }
    this.#markSynced();
  }

  #markSynced(): void {
    this.#syncs++;
    this.#syncedEnd = this.#writtenEnd;
    this.#durableOffset = this.#writtenOffset;
  }

  /** Syncs the log, then writes and syncs the index. */
  *checkpoint(): Task<void> {
    this.#refusePoisoned();
    yield* this.#sync("data");
    try {
      yield* this.#index.write();
      yield* this.#indexFile.sync("data");
    } catch (error) {
      // Entries stay in memory: with room again, the next checkpoint writes them.
      if (error instanceof NoSpace) throw this.#noSpace(error);
      throw this.#poisoned(error);
    }
    this.#checkpointEnd = this.#writtenEnd;
  }

  /** Prepares the file ahead until `paused()`, if there is little left of what is; `undefined` if not. */
  prepare(paused: () => boolean): Promise<void> | undefined {
    if (!this.preparer.wants(this.#writtenEnd)) return undefined;
    return this.preparer.run(() => this.#writtenEnd, paused);
  }

  /** Writes everything, cuts both files to their data, and syncs: after this the segment is sealed. */
  *seal(): Task<void> {
    yield* this.flush("data");
    yield* this.checkpoint();
    yield* this.preparer.stop();
    const end = this.#writtenEnd;
    const indexEnd = (this.#writtenOffset - this.baseOffset) *
      INDEX_ENTRY_BYTES;
    try {
      yield* this.#log.truncate(end);
      yield* this.#indexFile.truncate(indexEnd);
      for (const file of [this.#log, this.#indexFile]) {
        yield* file.sync("full");
      }
    } catch (error) {
      throw this.#poisoned(error);
    }
  }

  /** Ends the files, sealed or not; what is in memory is lost. */
  *close(): Task<void> {
    yield* this.preparer.stop();
    this[Symbol.dispose]();
    for (const file of [this.#log, this.#indexFile]) {
      yield* file.close();
    }
  }

  /** Gives all memory back. */
  [Symbol.dispose](): void {
    this.buffer.discard();
    for (const chunk of this.#unwritten.splice(0)) chunk.buffer.drop();
    this.#index[Symbol.dispose]();
  }

  #refusePoisoned(): void {
    if (this.#poison !== undefined) throw this.#poison;
  }

  #poisoned(cause: unknown): Poisoned {
    return this.#poison ??= new Poisoned(
      this.#path,
      this.#durableOffset,
      cause,
    );
  }

  #noSpace(error: NoSpace): NoSpace {
    return error.withDurableOffset(this.#durableOffset);
  }
}
