import { type BatchLayout, layoutOf } from "../../codec/mod.ts";
import type { FrozenBuffer } from "../../pool/mod.ts";
import { MessageBatch } from "../read/message_batch.ts";
import type { WriteBlock } from "./_write_block.ts";

/** Batches that were written and are still in memory. */
interface HotBlock {
  /** The block, shared by all that read it. */
  readonly buffer: FrozenBuffer;
  /** The offset of its first message. */
  readonly firstOffset: number;
  /** The offset of the message after its last. */
  readonly nextOffset: number;
  /** Where its batches begin in the block, in bytes. */
  readonly start: number;
  /** Where they end. */
  readonly end: number;
  /** Where they begin in the `.log`, in bytes. */
  readonly position: number;
  /** Bytes of pooled memory. */
  readonly bytes: number;
  /** Where its messages lie. The first reader finds them for all. */
  layout: BatchLayout | undefined;
}

/** Dropped blocks are removed from the list this many at a time. */
const DROPPED = 64;

/**
 * Keeps the blocks that were written last in memory, for tails of the same isolate.
 *
 * Blocks are frozen, so any number of tails share one. The oldest blocks are dropped above
 * `maxBytes`, and all when the pool is short.
 */
export class HotTail {
  readonly #maxBytes: number;
  /** The blocks, from `#first`. Those before were dropped. */
  #blocks: HotBlock[] = [];
  #first = 0;
  #bytes = 0;

  /** @param maxBytes Bytes of pooled memory to keep; 0 for none. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes of pooled memory that are kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Takes the next block that was written to the file. */
  push(block: WriteBlock): void {
    const bytes = block.buffer.capacity;
    if (bytes > this.#maxBytes) {
      block.buffer.drop();
      this.clear();
      return;
    }
    const { firstOffset, nextOffset, prefix, fill, position } = block;
    this.#blocks.push({
      buffer: block.buffer.freeze(),
      firstOffset,
      nextOffset,
      start: prefix,
      end: fill,
      position: position + prefix,
      bytes,
      layout: undefined,
    });
    this.#bytes += bytes;
    while (this.#bytes > this.#maxBytes) {
      const old = this.#blocks[this.#first++]!;
      this.#bytes -= old.bytes;
      old.buffer.drop();
    }
    if (this.#first >= DROPPED) this.#compact();
  }

  #compact(): void {
    this.#blocks.splice(0, this.#first);
    this.#first = 0;
  }

  /**
   * Returns the messages of a block from `offset`, as a batch that holds the block. Returns
   * `undefined` if no block has that offset, or if the block ends after the offset `bound`.
   */
  read(offset: number, bound: number): MessageBatch | undefined {
    const block = this.#find(offset);
    if (block === undefined || block.nextOffset > bound) return undefined;
    const { buffer, start, end, position, firstOffset } = block;
    const count = block.nextOffset - firstOffset;
    block.layout ??= layoutOf(buffer.bytes.subarray(start, end), count);
    const batch = new MessageBatch({
      ...block.layout,
      buffer: buffer.retain(),
      start,
      end,
      position,
      firstOffset,
    });
    const first = offset - firstOffset;
    return first === 0 ? batch : batch.narrow(first, count);
  }

  /** Returns the block with the message at `offset`. */
  #find(offset: number): HotBlock | undefined {
    const blocks = this.#blocks;
    let low = this.#first;
    let high = blocks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (blocks[middle]!.nextOffset <= offset) low = middle + 1;
      else high = middle;
    }
    const block = blocks[low];
    return block !== undefined && block.firstOffset <= offset
      ? block
      : undefined;
  }

  /** Drops all blocks with a message at or after `offset`. */
  dropFrom(offset: number): void {
    this.#compact();
    const count = this.#blocks.findIndex((block) => block.nextOffset > offset);
    if (count < 0) return;
    for (const block of this.#blocks.splice(count)) {
      this.#bytes -= block.bytes;
      block.buffer.drop();
    }
  }

  /**
   * Drops all blocks. Their memory stays until its readers are done. Returns whether there was a
   * block.
   */
  clear(): boolean {
    this.#compact();
    const blocks = this.#blocks.splice(0);
    for (const block of blocks) block.buffer.drop();
    this.#bytes = 0;
    return blocks.length > 0;
  }
}
