import type { Task } from "../base/mod.ts";
import { INDEX_ENTRY_BYTES } from "../codec/mod.ts";
import { type BufferPool, type PooledBuffer, PoolLimit } from "../pool/mod.ts";
import type { TaskFile } from "../storage/mod.ts";
import { EntryQueue } from "./entry_queue.ts";
import { roundDown, roundUp } from "./layout.ts";

/** Bytes of the block through which index entries reach the file. */
const BLOCK_BYTES = 64 * 1024;
/** Bytes of the one that is taken for many of them, if the pool has it. */
const LARGE_BLOCK_BYTES = 1024 * 1024;

/**
 * Writes the entries of an `.index` file, in whole physical blocks; the last one is written again as it fills.
 *
 * Entries wait in memory for a checkpoint: what the file holds always describes log bytes that are durable.
 */
export class IndexWriter implements Disposable {
  readonly #file: TaskFile;
  readonly #unit: number;
  readonly #pool: BufferPool;
  readonly #entries: EntryQueue;
  /** Leased for the writer's life, so that a checkpoint never waits for memory. */
  readonly #small: PooledBuffer;
  /** The block in use, that one or a larger one. It begins with the file's partly filled last block. */
  #block: PooledBuffer;
  /** Where the block's first byte goes. */
  #position: number;
  /** Bytes of the block that are in use. */
  #fill: number;
  /** Bytes at the front of the queue that describe messages in the log. */
  #pendingBytes = 0;
  /** Whether the block holds bytes that the file may not. */
  #dirty = false;

  /**
   * @param entries How many entries the file holds.
   * @param tail What the file holds from the last multiple of the physical block on.
   * @param queue The entries, if others put them there before they are to be written.
   */
  constructor(
    file: TaskFile,
    pool: BufferPool,
    entries: number,
    tail: Uint8Array,
    queue: EntryQueue = new EntryQueue(),
  ) {
    this.#file = file;
    this.#pool = pool;
    this.#entries = queue;
    this.#unit = file.capabilities.physicalBlock;
    this.#small = pool.acquireSync(Math.max(BLOCK_BYTES, 2 * this.#unit), {
      zeroed: true,
    });
    this.#block = this.#small;
    this.#small.bytes.set(tail);
    this.#fill = tail.length;
    this.#position = entries * INDEX_ENTRY_BYTES - tail.length;
  }

  /** Bytes of entries that are not in the file yet. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** The length of the file once everything is written, in bytes. */
  get end(): number {
    return this.#position + this.#fill + this.#pendingBytes;
  }

  /** Takes entries for the next {@linkcode IndexWriter.write}. */
  push(entries: Uint8Array): void {
    this.#entries.extend(entries.length).set(entries);
    this.commit(entries.length);
  }

  /** Lets so many bytes more from the front of the queue be written: their messages are in the log. */
  commit(bytes: number): void {
    this.#pendingBytes += bytes;
  }

  /** Writes all entries, without a sync. When a write fails, they stay and the next call writes the same bytes. */
  *write(): Task<void> {
    this.#enlarge();
    while (this.#pendingBytes > 0 || this.#dirty) {
      this.#gather();
      const length = roundUp(this.#fill, this.#unit);
      yield* this.#file.write(this.#block, this.#position, { length });
      this.#dirty = false;
      this.#keepTail();
    }
    this.#use(this.#small);
  }

  /** Takes a larger block where the small one would need many writes. */
  #enlarge(): void {
    const wanted = this.#fill + this.#pendingBytes;
    if (this.#block !== this.#small || wanted <= this.#block.length) return;
    try {
      this.#use(
        this.#pool.acquireSync(
          Math.min(roundUp(wanted, this.#unit), LARGE_BLOCK_BYTES),
        ),
      );
    } catch (error) {
      if (!(error instanceof PoolLimit)) throw error;
    }
  }

  /** Goes on with another block, which takes over what the one in use holds. */
  #use(block: PooledBuffer): void {
    const old = this.#block;
    if (block === old) return;
    block.bytes.set(old.bytes.subarray(0, this.#fill));
    // What a write rounds up to shows zeros.
    block.bytes.fill(0, this.#fill);
    this.#block = block;
    if (old !== this.#small) old.drop();
  }

  /** Moves pending entries into the block until it is full. */
  #gather(): void {
    const bytes = this.#block.bytes;
    const taken = Math.min(bytes.length - this.#fill, this.#pendingBytes);
    this.#entries.take(taken, bytes, this.#fill);
    this.#fill += taken;
    this.#pendingBytes -= taken;
    this.#dirty = true;
  }

  /** Moves the partly filled last block to the front and zeroes the rest. */
  #keepTail(): void {
    const whole = roundDown(this.#fill, this.#unit);
    if (whole === 0) return;
    const bytes = this.#block.bytes;
    bytes.copyWithin(0, whole, this.#fill);
    bytes.fill(0, this.#fill - whole, this.#fill);
    this.#position += whole;
    this.#fill -= whole;
  }

  /** Gives all memory back. */
  [Symbol.dispose](): void {
    this.#entries.release();
    this.#block.drop();
    this.#small.drop();
  }
}
