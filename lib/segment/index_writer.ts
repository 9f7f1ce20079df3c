import { INDEX_ENTRY_BYTES } from "../codec/mod.ts";
import type { BufferPool, PooledBuffer } from "../pool/mod.ts";
import { step, type StorageFile, type Twin } from "../storage/mod.ts";
import { roundDown, roundUp } from "./layout.ts";

/** Bytes of the block through which index entries reach the file. */
const BLOCK_BYTES = 64 * 1024;

/**
 * Writes the entries of an `.index` file, in whole physical blocks; the last one is written again as it fills.
 *
 * Entries wait in memory for a checkpoint: what the file holds always describes log bytes that are durable.
 */
export class IndexWriter implements Disposable {
  readonly #file: StorageFile;
  readonly #unit: number;
  /** Leased for the writer's life, so that a checkpoint never waits for memory. It begins with the file's partly filled last block. */
  readonly #block: PooledBuffer;
  /** Where the block's first byte goes. */
  #position: number;
  /** Bytes of the block that are in use. */
  #fill: number;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  /** Whether the block holds bytes that the file may not. */
  #dirty = false;

  /**
   * @param entries How many entries the file holds.
   * @param tail What the file holds from the last multiple of the physical block on.
   */
  constructor(
    file: StorageFile,
    pool: BufferPool,
    entries: number,
    tail: Uint8Array,
  ) {
    this.#file = file;
    this.#unit = file.capabilities.physicalBlock;
    this.#block = pool.acquireSync(Math.max(BLOCK_BYTES, 2 * this.#unit), {
      zeroed: true,
    });
    this.#block.bytes.set(tail);
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
    this.#pending.push(entries);
    this.#pendingBytes += entries.length;
  }

  /** Writes all entries, without a sync. When a write fails, they stay and the next call writes the same bytes. */
  *write(): Twin<void> {
    while (this.#pending.length > 0 || this.#dirty) {
      this.#gather();
      const length = roundUp(this.#fill, this.#unit);
      yield* step(
        () => this.#file.write(this.#block, this.#position, { length }),
        () => this.#file.writeSync(this.#block, this.#position, { length }),
      );
      this.#dirty = false;
      this.#keepTail();
    }
  }

  /** Copies pending entries into the block until it is full. */
  #gather(): void {
    const bytes = this.#block.bytes;
    let taken = 0;
    for (const entries of this.#pending) {
      const part = entries.subarray(0, bytes.length - this.#fill);
      bytes.set(part, this.#fill);
      this.#fill += part.length;
      this.#pendingBytes -= part.length;
      if (part.length < entries.length) {
        this.#pending[taken] = entries.subarray(part.length);
        break;
      }
      taken++;
    }
    this.#pending.splice(0, taken);
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

  /** Gives the block back. */
  [Symbol.dispose](): void {
    this.#block.drop();
  }
}
