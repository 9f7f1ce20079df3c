import {
  BATCH_HEADER_BYTES,
  MAX_BATCH_BYTES,
  RECORD_BYTES,
  SEAL_CONTEXT_BYTES,
} from "../../codec/mod.ts";
import {
  type BufferPool,
  type PooledBuffer,
  PoolLimitError,
} from "../../pool/mod.ts";
import { BackpressureError } from "./backpressure_error.ts";
import {
  CHECKPOINT_BYTES,
  MAX_GATHERED_BYTES,
  MAX_OFFSET,
  roundUp,
} from "../layout.ts";
import type { SegmentState } from "../segment_state.ts";
import { SparseIndex } from "../sparse_index.ts";
import type { AppenderClock } from "./appender.ts";
import { checkExpected } from "./offset_conflict_error.ts";
import { type FlatPayloads, payloadBatch } from "./payload_batch.ts";
import {
  type AppendOptions,
  type ExpectOptions,
  prepareMessage,
} from "./prepared_message.ts";
import { WriteBlock } from "./_write_block.ts";

/** Options of {@linkcode WriteMemory}. */
export interface WriteMemoryOptions {
  /** Where blocks come from. */
  pool: BufferPool;
  /** Bytes of a block at most, unless a batch needs a larger one. */
  blockBytes: number;
  /** Bytes of batches that may wait in memory. */
  bufferBytes: number;
  /** A segment ends before it would exceed this many bytes. */
  segmentBytes: number;
  /** The offset of the first message of the segment to which messages go. */
  firstOffset: number;
  /** The state of that segment. */
  state: SegmentState;
  /** Whether another segment follows it. */
  hasNext: boolean;
  /** The physical block of the disk. */
  physicalBlock: number;
  /** The clock and the randomness of the storage. */
  clock: Pick<AppenderClock, "now" | "random">;
  /** Called when a block was begun. */
  onBlock(): void;
}

/** Bytes of the smallest block, for a log that gets a message now and then. */
const LEAST_BLOCK_BYTES = 16 * 1024;
/** Random bytes from which the ids of one block's messages are drawn. */
const SEED_BYTES = 32;
/** Random bytes are drawn this many at a time, because a call costs more than the bytes. */
const RANDOM_BYTES = 1024;

/** The smallest and the largest producer time of a batch. */
interface TimeSpan {
  min: number;
  max: number;
}

/** Upper bound of the span of producer times in a batch, in microseconds: 32 bits store them. */
const MAX_TIME_SPAN_MICROS = 2 ** 32 - 1;

/**
 * Holds the messages of a log that no flush has taken, in blocks.
 *
 * A payload is copied once, to its final position after room for its header. Single messages gather
 * in an open batch. A batch that was appended as one stays one. The memory decides where a segment
 * ends. The files follow when a flush reaches a block of the next segment.
 */
export class WriteMemory {
  readonly #options: WriteMemoryOptions;
  #finished: WriteBlock[] = [];
  #open: WriteBlock | undefined;
  /** Producer times in the open batch; `undefined` if none is given. */
  #times: TimeSpan | undefined;
  /** A block for the next message, from a call that waited for the pool. */
  #spare: PooledBuffer | undefined;
  /** The first offset of the segment to which messages go. */
  #segmentOffset: number;
  /** Where that segment's data ends before the open block. */
  #end: number;
  /** The offset of the first message after that. */
  #nextOffset: number;
  /** Chooses which batches of that segment get an index entry. */
  #index: SparseIndex;
  /** The append time of the last block: times never decrease. */
  #lastMicros: number;
  /** Random bytes; those from `#seedStart` are not used yet. */
  #random = new Uint8Array(0);
  #seedStart = 0;
  /** Bytes of the next block. */
  #blockBytes: number;
  /** Bytes of the block that the pool refused; 0 once a block was begun. */
  #refusedBytes = 0;
  /** Bytes of finished blocks since the log was opened. */
  #finishedBytes = 0;
  /** Bytes of those that are in the file. */
  #writtenBytes = 0;

  constructor(options: WriteMemoryOptions) {
    const { firstOffset, state } = options;
    this.#options = options;
    this.#segmentOffset = firstOffset;
    this.#nextOffset = state.nextOffset;
    this.#end = state.end;
    this.#index = new SparseIndex(state.indexedPosition);
    this.#lastMicros = state.lastTimestamp;
    this.#blockBytes = this.#leastBlockBytes;
  }

  /** The offset that the next message gets. */
  get nextOffset(): number {
    return this.#open?.nextOffset ?? this.#nextOffset;
  }

  /** Where the data of the segment to which messages go ends, in bytes. */
  get end(): number {
    return this.#open?.end ?? this.#end;
  }

  /** Bytes of batches that were appended since the log was opened. */
  get appendedBytes(): number {
    return this.#finishedBytes + (this.#open?.byteLength ?? 0);
  }

  /**
   * How far the clock is behind the last timestamp, in microseconds. Until it has caught up, all
   * messages get that timestamp.
   */
  get clockBehindMicros(): number {
    return Math.max(0, this.#lastMicros - this.#options.clock.now());
  }

  /** Bytes of batches that are in memory and not in the file. */
  get pendingBytes(): number {
    return this.appendedBytes - this.#writtenBytes;
  }

  /** The last of the blocks that no flush has taken; `undefined` if there is none. */
  get lastFull(): WriteBlock | undefined {
    return this.#finished.at(-1);
  }

  /** Bytes of the next block, or of a larger one that the pool refused. */
  get nextBlockBytes(): number {
    return Math.max(this.#blockBytes, this.#refusedBytes);
  }

  /** Appends a message and returns its offset. */
  append(payload: Uint8Array | string, options?: AppendOptions): number {
    if (options === undefined) {
      const offset = this.#open === undefined ? -1 : this.#open.add(payload);
      if (offset >= 0) return offset;
    }
    checkExpected(options?.expect, this.nextOffset);
    const message = prepareMessage(payload, options);
    const { frameBytes, originTimestamp } = message;
    const block = this.#gathering(frameBytes, originTimestamp);
    block.addPrepared(message);
    return block.nextOffset - 1;
  }

  /** Appends a batch and returns the offset of its first message. */
  appendBatch(
    payloads: readonly (Uint8Array | string)[] | FlatPayloads,
    options?: ExpectOptions,
  ): number {
    const first = this.nextOffset;
    checkExpected(options?.expect, first);
    const batch = payloadBatch(payloads);
    this.#checkOffsets(batch.count);
    const block = this.#blockFor(batch.frameBytes, batch.count);
    this.#openBatch(block, BATCH_HEADER_BYTES + batch.frameBytes, false);
    batch.addTo(block);
    block.endBatch();
    return first;
  }

  /** Finishes the open block with the current time, for the flush that begins. */
  finish(nowMicros?: number): void {
    const block = this.#open;
    if (block === undefined) return;
    const micros = nowMicros ?? this.#options.clock.now();
    this.#lastMicros = Math.max(micros, this.#lastMicros);
    block.finish(this.#lastMicros, this.#seed());
    this.#finished.push(block);
    this.#finishedBytes += block.byteLength;
    this.#end = block.end;
    this.#nextOffset = block.nextOffset;
    this.#open = undefined;
    if (8 * block.fill < this.#blockBytes) {
      this.#blockBytes = Math.max(this.#blockBytes / 2, this.#leastBlockBytes);
    }
  }

  #seed(): Uint8Array<ArrayBuffer> {
    if (this.#seedStart === this.#random.length) {
      // Blocks that are not sealed yet use the old array.
      this.#random = this.#options.clock.random(new Uint8Array(RANDOM_BYTES));
      this.#seedStart = 0;
    }
    const start = this.#seedStart;
    this.#seedStart += SEED_BYTES;
    return this.#random.subarray(start, this.#seedStart);
  }

  /**
   * Finishes the open block and lets the next message begin another segment. Returns the first
   * offset of that segment.
   */
  endSegment(): number {
    this.finish();
    if (this.#end > 0) this.#beginSegment();
    return this.#segmentOffset;
  }

  #beginSegment(): void {
    this.#segmentOffset = this.#nextOffset;
    this.#end = 0;
    this.#index = new SparseIndex(undefined);
  }

  /** Takes the finished blocks, in order, for a flush to write. */
  take(): WriteBlock[] {
    const blocks = this.#finished;
    this.#finished = [];
    return blocks;
  }

  /** Notes that a block that was taken is in the file. */
  written(block: WriteBlock): void {
    this.#writtenBytes += block.byteLength;
  }

  /** Whether a block of at least `bytes` is kept for the next message. */
  hasSpare(bytes: number): boolean {
    return this.#spare !== undefined && this.#spare.length >= bytes;
  }

  /** Keeps a block for the next message, in place of an earlier one. */
  offer(buffer: PooledBuffer): void {
    this.#spare?.drop();
    this.#spare = buffer;
  }

  /** Drops what is in memory. */
  discard(): void {
    for (const block of this.take()) block.buffer.drop();
    this.#open?.buffer.drop();
    this.#open = undefined;
    this.#spare?.drop();
    this.#spare = undefined;
  }

  get #leastBlockBytes(): number {
    const { blockBytes, physicalBlock } = this.#options;
    return roundUp(Math.min(blockBytes, LEAST_BLOCK_BYTES), physicalBlock);
  }

  /** Returns a block whose open batch has room for a message. */
  #gathering(frameBytes: number, time: number | undefined): WriteBlock {
    const open = this.#open;
    this.#checkOffsets(1);
    if (open?.fits(frameBytes, 1, true) && this.#joinTimes(time)) return open;
    const block = this.#blockFor(frameBytes, 1);
    const isPlain = time === undefined && this.#isPlain(block.nextOffset);
    const maxBytes = Math.max(
      MAX_GATHERED_BYTES,
      BATCH_HEADER_BYTES + frameBytes,
    );
    this.#openBatch(block, maxBytes, isPlain);
    this.#times = time === undefined ? undefined : { min: time, max: time };
    return block;
  }

  /** Adds a producer time to the open batch. Returns `false` if the time needs another batch. */
  #joinTimes(time: number | undefined): boolean {
    const times = this.#times;
    // A batch has producer times for all of its messages or for none.
    if (time === undefined || times === undefined) return time === times;
    const min = Math.min(time, times.min);
    const max = Math.max(time, times.max);
    if (max - min > MAX_TIME_SPAN_MICROS) return false;
    this.#times = { min, max };
    return true;
  }

  #openBatch(block: WriteBlock, maxBytes: number, isPlain: boolean): void {
    block.openBatch(maxBytes, this.#index.takes(block.end), isPlain);
  }

  /** Whether offsets suffice for any block that begins at `offset`. */
  #isPlain(offset: number): boolean {
    return offset < MAX_OFFSET - 2 * MAX_BATCH_BYTES;
  }

  #checkOffsets(count: number): void {
    if (this.nextOffset + count <= MAX_OFFSET) return;
    throw new RangeError(
      `Cannot append as offsets end at ${MAX_OFFSET}: the next is ${this.nextOffset}`,
    );
  }

  /**
   * Returns the open block if it has room for a batch of `frameBytes`, or else begins one. If it
   * throws, nothing has changed.
   *
   * @throws {BackpressureError} If there is no room in memory.
   */
  #blockFor(frameBytes: number, count: number): WriteBlock {
    const size = BATCH_HEADER_BYTES + frameBytes;
    const { blockBytes, bufferBytes, physicalBlock, segmentBytes } =
      this.#options;
    const { pendingBytes } = this;
    if (pendingBytes > 0 && pendingBytes + size > bufferBytes) {
      throw this.#pressure(size);
    }
    const open = this.#open;
    if (open !== undefined) {
      open.limit = this.#limitOf(open, size);
      if (open.fits(frameBytes, count, false)) {
        open.endBatch();
        return open;
      }
    }
    const end = this.end;
    const isNext = end > 0 && end + size > segmentBytes;
    if (isNext && !this.#options.hasNext) {
      throw new RangeError(
        `Cannot append as the segment ends at ${segmentBytes} bytes: it has ${end}, the message ${size}`,
      );
    }
    const prefix = isNext ? 0 : end % physicalBlock;
    const buffer = this.#acquire(
      prefix + size + count * RECORD_BYTES + SEAL_CONTEXT_BYTES,
    );
    if (open !== undefined) {
      // The block was full before a flush took it, so the next one is larger.
      const most = Math.max(blockBytes, this.#blockBytes);
      this.#blockBytes = Math.min(2 * this.#blockBytes, most);
    }
    this.finish();
    if (isNext) this.#beginSegment();
    const block = this.#open = new WriteBlock(buffer, {
      segmentOffset: this.#segmentOffset,
      position: this.#end - prefix,
      prefix,
      firstOffset: this.#nextOffset,
    });
    block.limit = this.#limitOf(block, size);
    this.#refusedBytes = 0;
    this.#options.onBlock();
    return block;
  }

  /** Returns the limit of a block. A batch of `size` bytes always fits into an empty one. */
  #limitOf(block: WriteBlock, size: number): number {
    const { bufferBytes, segmentBytes } = this.#options;
    const inBuffer = block.fill + bufferBytes -
      (this.#finishedBytes + block.byteLength - this.#writtenBytes);
    const inSegment = segmentBytes - block.position;
    const inCheckpoint = block.prefix + CHECKPOINT_BYTES;
    const limit = Math.min(inBuffer, inSegment, inCheckpoint);
    return block.count === 0 ? Math.max(limit, block.prefix + size) : limit;
  }

  #acquire(leastBytes: number): PooledBuffer {
    const { pool, physicalBlock } = this.#options;
    const most = Math.max(leastBytes, this.#blockBytes);
    const bytes = roundUp(most, physicalBlock);
    const spare = this.#spare;
    if (spare !== undefined) {
      this.#spare = undefined;
      if (spare.length >= leastBytes) return spare;
      // It is too small, and its memory may be needed for the larger one.
      spare.drop();
    }
    try {
      return pool.acquireSync(bytes);
    } catch (error) {
      if (!(error instanceof PoolLimitError)) throw error;
      this.#refusedBytes = bytes;
      throw this.#pressure(bytes, error);
    }
  }

  #pressure(requestedBytes: number, cause?: PoolLimitError): BackpressureError {
    const { pendingBytes } = this;
    const { bufferBytes } = this.#options;
    const fields = { requestedBytes, pendingBytes, bufferBytes, cause };
    return new BackpressureError(fields);
  }
}
