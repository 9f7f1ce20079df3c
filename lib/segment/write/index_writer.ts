import {
  INDEX_ENTRY_BYTES,
  type IndexEntry,
  writeIndexEntry,
} from "../../codec/mod.ts";
import type { Task } from "../../base/mod.ts";
import { acquire, type BufferPool, type PooledBuffer } from "../../pool/mod.ts";
import type { TaskFile } from "../../storage/mod.ts";
import { roundDown, roundUp } from "../layout.ts";

/** Least size of the block through which entries reach the file, in bytes. */
const BLOCK_BYTES = 8 * 1024;

/** The end of an index, where an {@linkcode IndexWriter} goes on. */
export interface IndexState {
  /** Bytes of entries that the file holds. */
  end: number;
  /** The bytes of the file from the last multiple of the physical block to `end`. */
  tail: Uint8Array;
}

/** The state of an empty index. */
export const EMPTY_INDEX: IndexState = { end: 0, tail: new Uint8Array(0) };

/**
 * Writes the entries of an `.index` file in whole physical blocks, the last one again as it fills.
 *
 * Entries wait in memory for a checkpoint, so that the file describes only durable bytes of the
 * log.
 */
export class IndexWriter implements Disposable {
  readonly #file: TaskFile;
  #hasBlock = true;
  readonly #physicalBlock: number;
  /**
   * Leased for the writer's life, so that a checkpoint never waits for memory. It begins with the
   * file's partly filled last block.
   */
  readonly #block: PooledBuffer;
  /** Where the block's first byte goes. */
  #position: number;
  /** Bytes of the block in use. */
  #fill: number;
  /** Entries that are not in the block yet. */
  #pending: IndexEntry[] = [];
  /** Whether the block holds entries that the file may not. */
  #isDirty = false;
  /** Where the whole entries in the file end. */
  #writtenEnd: number;

  /** Takes a block of zeros. */
  private constructor(
    file: TaskFile,
    block: PooledBuffer,
    { end, tail }: IndexState,
  ) {
    this.#file = file;
    this.#physicalBlock = file.capabilities.physicalBlock;
    this.#block = block;
    this.#block.bytes.set(tail);
    this.#fill = tail.length;
    this.#position = end - tail.length;
    this.#writtenEnd = end;
  }

  /** Makes a writer. At the pool's limit it waits for its block. */
  static *open(
    file: TaskFile,
    pool: BufferPool,
    state: IndexState,
  ): Task<IndexWriter> {
    const block = yield* acquire(pool, blockBytesOf(file), { zeroed: true });
    return new IndexWriter(file, block, state);
  }

  /**
   * Makes the writer of the next index, which is empty. It takes over the block of this one, so
   * that a log at the pool's limit can begin another segment.
   */
  *next(file: TaskFile, pool: BufferPool): Task<IndexWriter> {
    if (this.#block.length !== blockBytesOf(file)) {
      return yield* IndexWriter.open(file, pool, EMPTY_INDEX);
    }
    this.#block.bytes.fill(0);
    this.#hasBlock = false;
    return new IndexWriter(file, this.#block, EMPTY_INDEX);
  }

  /** Where the whole entries in the file end, in bytes. */
  get writtenEnd(): number {
    return this.#writtenEnd;
  }

  /** Takes an entry for the next {@linkcode IndexWriter.write}. */
  push(entry: IndexEntry): void {
    this.#pending.push(entry);
  }

  /**
   * Writes all entries without a sync. If a write fails, the entries stay, and the next call writes
   * the same bytes.
   *
   * @param isInPlace Whether the program's thread may wait for the writes.
   */
  *write(isInPlace = false): Task<void> {
    while (this.#pending.length > 0 || this.#isDirty) {
      this.#gather();
      const length = roundUp(this.#fill, this.#physicalBlock);
      yield* isInPlace
        ? this.#file.writeNow(this.#block, this.#position, { length })
        : this.#file.write(this.#block, this.#position, { length });
      this.#isDirty = false;
      this.#writtenEnd = this.#position + this.#fill;
      this.#keepTail();
    }
  }

  /** Moves pending entries into the block until it is full. */
  #gather(): void {
    const { bytes } = this.#block;
    const room = Math.floor((bytes.length - this.#fill) / INDEX_ENTRY_BYTES);
    const entries = this.#pending.splice(0, room);
    const free = bytes.subarray(this.#fill);
    entries.forEach((entry, i) => writeIndexEntry(free, i, entry));
    this.#fill += entries.length * INDEX_ENTRY_BYTES;
    this.#isDirty = true;
  }

  /** Moves the partly filled last block to the front and zeroes the rest. */
  #keepTail(): void {
    const whole = roundDown(this.#fill, this.#physicalBlock);
    if (whole === 0) return;
    const { bytes } = this.#block;
    bytes.copyWithin(0, whole, this.#fill);
    bytes.fill(0, this.#fill - whole, this.#fill);
    this.#position += whole;
    this.#fill -= whole;
  }

  /** Gives the block back. */
  [Symbol.dispose](): void {
    if (this.#hasBlock) this.#block.drop();
  }
}

function blockBytesOf(file: TaskFile): number {
  return Math.max(BLOCK_BYTES, 2 * file.capabilities.physicalBlock);
}
