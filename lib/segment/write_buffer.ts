import { HEADER_BYTES } from "../codec/mod.ts";
import { type BufferPool, type PooledBuffer, PoolLimit } from "../pool/mod.ts";
import { Backpressure } from "./backpressure.ts";
import { Chunk, Records } from "./chunk.ts";
import { EntryQueue } from "./entry_queue.ts";
import {
  CHECKPOINT_BYTES,
  MAX_OFFSET,
  MAX_SEGMENT_BYTES,
  roundDown,
  roundUp,
} from "./layout.ts";
import type { PayloadBatch } from "./payload_batch.ts";
import type { PreparedMessage } from "./prepared_message.ts";
import type { Timeline } from "./timeline.ts";

/** What all write buffers of a log share. */
export interface WriteBufferShared {
  /** Where blocks come from. */
  pool: BufferPool;
  /** Bytes of a block; a larger message gets a larger one. */
  blockBytes: number;
  /** Bytes of messages that may wait in memory. */
  bufferBytes: number;
  /** Bytes of messages that do. */
  pendingBytes(): number;
  /** The physical block of the disk. */
  physicalBlock: number;
  /** The append times. */
  timeline: Timeline;
  /** Fills a view with random bytes. */
  random(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>;
}

/** Where a write buffer begins. */
export interface WriteBufferStart {
  /** The offset of the segment's first message. */
  baseOffset: number;
  /** The offset of the next message. */
  nextOffset: number;
  /** Where the segment's data ends, in bytes. */
  end: number;
  /** What the file holds from the last multiple of the physical block to `end`. */
  tail: Uint8Array;
}

/** More messages than a chunk can have. */
const MANY_MESSAGES = 2 * CHECKPOINT_BYTES / HEADER_BYTES;

/**
 * The messages of one segment that are in memory and not yet handed to a flush.
 *
 * A payload is copied once, to its final place behind room for its header. The partly filled last block of the file is the only other copy: each chunk begins with it.
 */
export class WriteBuffer {
  /** The offset of the segment's first message. */
  readonly baseOffset: number;
  /** The index entries of what was sealed, for the index to take. */
  readonly entries: EntryQueue = new EntryQueue();

  readonly #shared: WriteBufferShared;
  readonly #seed = new Uint8Array(32);
  readonly #records = new Records();
  /** The partly filled last block of what was sealed; its first `#tailLength` bytes. */
  readonly #tail: Uint8Array<ArrayBuffer>;
  #tailLength: number;
  #sealed: Chunk[] = [];
  #open: Chunk | undefined;
  /** Blocks acquired ahead for a batch, so that it is appended whole or not at all. */
  #spare: PooledBuffer[] = [];
  /** Where the data ends before the open chunk. */
  #end: number;
  /** The offset of the message that follows it there. */
  #nextOffset: number;

  constructor(shared: WriteBufferShared, start: WriteBufferStart) {
    this.#shared = shared;
    this.#tail = new Uint8Array(shared.physicalBlock);
    this.#tail.set(start.tail);
    this.#tailLength = start.tail.length;
    this.baseOffset = start.baseOffset;
    this.#nextOffset = start.nextOffset;
    this.#end = start.end;
  }

  /** The offset that the next message gets. */
  get nextOffset(): number {
    return this.#open?.nextOffset ?? this.#nextOffset;
  }

  /** Where the segment's data ends, in bytes, with all that is in memory. */
  get end(): number {
    return this.#open?.end ?? this.#end;
  }

  /** Whether a whole block waits to be written. */
  get full(): boolean {
    return this.#sealed.length > 0;
  }

  /**
   * Appends a message that is nothing but its payload, where that is a matter of a copy; answers its offset, or -1 with nothing
   * changed where something must be looked at first: then it is for {@linkcode WriteBuffer.append}.
   */
  add(payload: Uint8Array | string): number {
    const chunk = this.#open;
    return chunk === undefined ? -1 : chunk.add(payload);
  }

  /** The same for a batch of payloads, all or none; answers the first one's offset. */
  addAll(payloads: readonly (Uint8Array | string)[]): number {
    const chunk = this.#open;
    return chunk === undefined ? -1 : chunk.addAll(payloads);
  }

  /** Lets {@linkcode WriteBuffer.add} and `addAll` take so many bytes of messages, if the open chunk has room; 0 for none. */
  ease(bytes: number): void {
    const scarce = this.nextOffset > MAX_OFFSET - MANY_MESSAGES;
    this.#open?.ease(scarce ? 0 : bytes);
  }

  /**
   * Refuses `size` bytes of messages that would be too many to wait in memory; if none wait, any size is taken.
   *
   * @throws {Backpressure} If so.
   */
  checkRoom(size: number): void {
    const pendingBytes = this.#shared.pendingBytes();
    if (pendingBytes === 0) return;
    if (pendingBytes + size > this.#shared.bufferBytes) {
      throw this.#pressure(size);
    }
  }

  /**
   * Appends a message in memory and answers its offset. When it throws, nothing has changed.
   *
   * @throws {RangeError} If there are no offsets any more.
   * @throws {Backpressure} If the pool has no room for another block.
   */
  append(message: PreparedMessage): number {
    this.#checkOffsets(1);
    const offset = this.nextOffset;
    this.#room(message.size).addPrepared(message);
    return offset;
  }

  /** Appends the messages `[first, end)` of a batch, for which there must be room: see {@linkcode WriteBuffer.reserve}. */
  appendBatch(batch: PayloadBatch, first: number, end: number): void {
    while (first < end) {
      const chunk = this.#room(HEADER_BYTES + batch.lengths[first]!);
      first = batch.fill(chunk, first, end);
    }
  }

  /**
   * Makes sure that the messages `[first, end)` of a batch can be appended without another block; acquires what is missing.
   *
   * @throws {RangeError} If there are not as many offsets any more.
   * @throws {Backpressure} If the pool has no room; nothing is kept then.
   */
  reserve(batch: PayloadBatch, first: number, end: number): void {
    this.#checkOffsets(end - first);
    if (this.#open !== undefined && this.#open.room >= batch.size) return;
    try {
      for (const bytes of this.#blocksFor(batch, first, end)) {
        this.#spare.push(this.#acquire(bytes));
      }
    } catch (error) {
      this.dropSpare();
      throw error;
    }
  }

  /** Bytes of each block that the messages `[first, end)` of a batch need beside the open chunk. */
  #blocksFor(
    { lengths, size }: PayloadBatch,
    first: number,
    end: number,
  ): number[] {
    const { physicalBlock } = this.#shared;
    const usual = this.#blockFor(0);
    const whole = end - first === lengths.length;
    // What fits into one block, wherever it begins, needs no other: nor a look at each message.
    if (whole && size <= Math.min(usual - physicalBlock, CHECKPOINT_BYTES)) {
      return [usual];
    }
    const wanted: number[] = [];
    const start = this.end;
    let length = 0;
    let room = this.#open?.room ?? -1;
    for (let i = first; i < end; i++) {
      const size = HEADER_BYTES + lengths[i]!;
      if (size > room) {
        const bytes = this.#blockFor(size);
        wanted.push(bytes);
        // Exactly what `#room` will find, so that each block is there when its turn comes.
        const tail = (start + length) % physicalBlock;
        room = Math.min(bytes - tail, Math.max(size, CHECKPOINT_BYTES));
      }
      room -= size;
      length += size;
    }
    return wanted;
  }

  /** Gives back what {@linkcode WriteBuffer.reserve} acquired and the messages did not need. */
  dropSpare(): void {
    for (const buffer of this.#spare) buffer.drop();
    this.#spare = [];
  }

  /** Hands over the chunks that are sealed, for a flush to write; what was appended after sealing is for the next one. */
  take(): Chunk[] {
    const chunks = this.#sealed;
    this.#sealed = [];
    return chunks;
  }

  /** Drops what is in memory: after the log was poisoned. */
  discard(): void {
    this.dropSpare();
    for (const chunk of this.take()) chunk.buffer.drop();
    this.#open?.buffer.drop();
    this.#open = undefined;
  }

  #checkOffsets(count: number): void {
    if (this.nextOffset + count <= MAX_OFFSET) return;
    throw new RangeError(
      `Cannot append as offsets end at ${MAX_OFFSET}: the next is ${this.nextOffset}`,
    );
  }

  /** The open chunk with room for `size` bytes, made if there is none. */
  #room(size: number): Chunk {
    if (this.#open !== undefined && this.#open.room >= size) {
      return this.#open;
    }
    const bytes = this.#blockFor(size);
    const spare = this.#spare[0];
    // Acquired before anything changes: when it fails, the message was never there.
    const buffer = spare !== undefined && spare.length >= bytes
      ? this.#spare.shift()!
      : this.#acquire(bytes);
    this.seal();
    buffer.bytes.set(this.#tail.subarray(0, this.#tailLength));
    return this.#open = new Chunk(
      buffer,
      this.#end - this.#tailLength,
      this.#tailLength,
      this.#nextOffset,
      this.#records,
    );
  }

  /** Bytes of the block that a chunk beginning with a message of `size` bytes needs. */
  #blockFor(size: number): number {
    const { blockBytes, physicalBlock } = this.#shared;
    // The partly filled block before it is at most one physical block.
    const least = roundUp(size, physicalBlock) + physicalBlock;
    return Math.max(roundUp(blockBytes, physicalBlock), least);
  }

  #acquire(bytes: number): PooledBuffer {
    try {
      return this.#shared.pool.acquireSync(bytes);
    } catch (error) {
      if (!(error instanceof PoolLimit)) throw error;
      throw this.#pressure(bytes, error);
    }
  }

  #pressure(requestedBytes: number, cause?: PoolLimit): Backpressure {
    const { bufferBytes } = this.#shared;
    const pendingBytes = this.#shared.pendingBytes();
    return new Backpressure({
      requestedBytes,
      pendingBytes,
      bufferBytes,
      ...(cause === undefined ? {} : { cause }),
    });
  }

  /** Stamps what was appended: headers, checksums, index entries. */
  seal(): void {
    const chunk = this.#open;
    if (chunk === undefined) return;
    const { physicalBlock, random, timeline } = this.#shared;
    chunk.seal(
      {
        baseOffset: this.baseOffset,
        timestamp: timeline.stamp(),
        seed: random(this.#seed),
      },
      this.entries,
      physicalBlock,
    );
    const tailStart = roundDown(chunk.end, physicalBlock);
    // A tail that began before this chunk does not happen: a chunk begins at a multiple of the physical block.
    this.#tailLength = chunk.end - tailStart;
    this.#tail.set(
      chunk.bytes.subarray(tailStart - chunk.position, chunk.fill),
    );
    this.#sealed.push(chunk);
    this.#end = chunk.end;
    this.#nextOffset = chunk.nextOffset;
    this.#open = undefined;
  }
}

/** Whether a message of `size` bytes may follow `end` bytes in a segment that should not exceed `segmentBytes`. */
export function fits(end: number, size: number, segmentBytes: number): boolean {
  return end === 0 || end + size <= Math.min(segmentBytes, MAX_SEGMENT_BYTES);
}
