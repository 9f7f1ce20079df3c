import { type BatchLayout, layoutOf } from "../../codec/mod.ts";
import type { FrozenBuffer } from "../../pool/mod.ts";
import { MessageBatch } from "../message_batch.ts";
import type { WriteBlock } from "./write_block.ts";

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
  /** Where its messages lie: found by the first reader, shared by all. */
  layout: BatchLayout | undefined;
}

/** Blocks that were given up are taken out of the list this many at a time. */
const DROPPED = 64;

/**
 * Keeps what was written last in memory, so that tails of the same isolate need not read it from
 * the disk.
 *
 * Blocks are frozen: any number of tails share one. The oldest go first, when there are more than
 * `maxBytes`, and all when the pool is short.
 */
export class HotTail {
  readonly #maxBytes: number;
  /** The blocks from `#first`; what is before it was given up. */
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

  /** Takes a block that is in the file. It follows the last one. */
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
   * Returns messages from `offset`, as a batch that holds their block; `undefined` if they are not
   * in memory, or their block goes beyond `bound`.
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

  /** Gives up what begins at or after `offset`. */
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
   * Gives all memory up; what is being read stays until its readers are done. Returns whether there
   * was any.
   */
  clear(): boolean {
    this.#compact();
    const blocks = this.#blocks.splice(0);
    for (const block of blocks) block.buffer.drop();
    this.#bytes = 0;
    return blocks.length > 0;
  }
}
