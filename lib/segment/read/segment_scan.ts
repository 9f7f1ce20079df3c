import type { Task } from "../../base/mod.ts";
import {
  BATCH_HEADER_BYTES,
  BatchScan,
  FRAME_HEADER_BYTES,
  type StopReason,
} from "../../codec/mod.ts";
import type { BufferPool, PooledBuffer } from "../../pool/mod.ts";
import type { TaskFile } from "../../storage/mod.ts";
import {
  acquireIfRoom,
  BlockReader,
  type BlockReaderOptions,
  type Piece,
} from "./block_reader.ts";
import { MessageBatch } from "./message_batch.ts";

/** The place of a batch. */
export interface BatchPlace {
  /** Where it begins in the `.log`, or will begin, in bytes. */
  position: number;
  /** The offset of its first message. */
  offset: number;
}

/** Where a scan gave no messages, and why. */
export interface ScanStop extends BatchPlace {
  /** The reason; `"end"` if everything up to the bound was read. */
  reason: StopReason;
}

/** Where a scan begins. */
export interface ScanStart extends BatchPlace {
  /** What an index claims about the batch. Left out if the place is certain. */
  claim?: IndexClaim;
}

/** An index entry that a scan has to prove (`docs/format.md#index-seek`). */
export interface IndexClaim {
  /** The append time of the batch, in microseconds. */
  timestamp: number;
  /** The offset of the segment's first message: the scan begins there if the claim is wrong. */
  firstOffset: number;
}

/** How a {@linkcode SegmentScan} reads. */
export interface SegmentScanOptions extends BlockReaderOptions {
  /** The earliest append time that the first batch may have, in microseconds. Default: `0`. */
  minTimestamp?: number;
  /**
   * Whether {@linkcode SegmentScan.blocks} keeps the bytes of a bad batch, for a caller that goes
   * on from there. Otherwise the next call reads them again.
   *
   * @default {false}
   */
  keepBad?: boolean;
}

/**
 * Reads a `.log` from the start of a batch, block by block, and verifies every batch. End it with
 * {@linkcode SegmentScan.close}.
 */
export class SegmentScan {
  /** Reads the file; its next piece begins with the next batch. */
  readonly blocks: BlockReader;
  readonly #keepBad: boolean;
  readonly #arrays: PooledArrays;
  /** The results of the last block. */
  #scan: BatchScan | undefined;
  /** Number of messages in the last block. */
  #lastCount = 0;
  #offset: number;
  #lastTimestamp: number;
  /** The claim that the first batch has to prove. */
  #claim: IndexClaim | undefined;

  constructor(
    file: TaskFile,
    pool: BufferPool,
    { position, offset, claim }: ScanStart,
    options: SegmentScanOptions = {},
  ) {
    this.blocks = new BlockReader(file, pool, position, options);
    this.#keepBad = options.keepBad ?? false;
    this.#arrays = new PooledArrays(pool);
    this.#offset = offset;
    this.#claim = claim;
    this.#lastTimestamp = claim?.timestamp ?? options.minTimestamp ?? 0;
  }

  /** Where the next batch begins, in bytes. */
  get position(): number {
    return this.blocks.position;
  }

  /** The offset of the next message. */
  get offset(): number {
    return this.#offset;
  }

  /**
   * The append time of the last batch, in microseconds. Before the first batch, the earliest time
   * that it may have.
   */
  get lastTimestamp(): number {
    return this.#lastTimestamp;
  }

  /**
   * Reads the next batches that end at or before `bound`. Returns their messages, or why there are
   * none.
   */
  *next(bound: number): Task<MessageBatch | ScanStop> {
    for (;;) {
      let reason: StopReason = "end";
      if (this.position < bound) {
        const piece = yield* this.blocks.next(bound);
        const batch = this.#take(piece, bound);
        if (batch !== undefined && this.#isAsClaimed(batch)) return batch;
        // The rest of the batch is in the next block, or was written meanwhile.
        const hasMore = batch === undefined &&
          this.#isPartial(this.position, bound) &&
          (!piece.last || piece.bound < bound);
        if (hasMore) continue;
        batch?.drop();
        reason = this.#scan!.stop;
      }
      const claim = this.#claim;
      if (claim === undefined) {
        return { reason, position: this.position, offset: this.#offset };
      }
      this.restart({ position: 0, offset: claim.firstOffset });
    }
  }

  /** Goes on at another place. Nothing that was read before is used. */
  restart({ position, offset, claim }: ScanStart): void {
    this.#offset = offset;
    this.#claim = claim;
    this.#lastTimestamp = claim?.timestamp ?? 0;
    this.blocks.restart(position);
  }

  /** Gives memory back and waits for the reads in flight. Returned batches stay valid. */
  close(): Task<void> {
    this.#arrays.drop();
    return this.blocks.close();
  }

  /** Whether the first batch proves the claim of the index. */
  #isAsClaimed(batch: MessageBatch): boolean {
    const claim = this.#claim;
    if (claim === undefined) return true;
    if (batch.batch(0).timestamp !== claim.timestamp) return false;
    this.#claim = undefined;
    return true;
  }

  /**
   * Returns the messages of the valid batches of a piece. If there are none, it drops the piece and
   * returns `undefined`.
   */
  #take(piece: Piece, bound: number): MessageBatch | undefined {
    const { buffer, start, end, position, last } = piece;
    using unused = new DisposableStack();
    unused.use(buffer);
    const bytes = buffer.bytes.subarray(start, end);
    // Each block gets arrays of its own, which its messages keep.
    const capacity = capacityFor(this.#lastCount, bytes.length);
    const scan = this.#scan = new BatchScan(capacity, this.#arrays.allocate);
    scan.run(bytes, 0, this.#offset, this.#lastTimestamp);
    const { count, batchCount } = scan;
    const firstOffset = this.#offset;
    const next = position + scan.end;
    this.#offset += count;
    this.#lastTimestamp = scan.lastTimestamp;
    const isPartial = this.#isPartial(next, bound);
    const isGood = scan.stop === "end" || isPartial;
    if (isGood && !last || this.#keepBad) {
      const needed = isPartial ? scan.neededBytes : 0;
      this.blocks.keep(piece, start + scan.end, needed);
    } else this.blocks.restart(next);
    if (count === 0) {
      this.#arrays.drop();
      return undefined;
    }
    this.#lastCount = count;
    unused.move();
    return new MessageBatch({
      buffer,
      start,
      end: start + scan.end,
      position,
      firstOffset,
      starts: scan.starts.subarray(0, count),
      lengths: scan.lengths.subarray(0, count),
      batchStarts: scan.batchStarts.subarray(0, batchCount),
      batchFirsts: scan.batchFirsts.subarray(0, batchCount),
      arrays: this.#arrays.take(),
    });
  }

  /** Whether the last scan ended at `position`, in a batch that may end at or before `bound`. */
  #isPartial(position: number, bound: number): boolean {
    const { stop, neededBytes } = this.#scan!;
    return stop === "partial" && position + neededBytes <= bound;
  }
}

/**
 * Returns for how many messages of a block to make room: some more than in the last block, because
 * growing takes a copy.
 */
function capacityFor(lastCount: number, bytes: number): number {
  const wanted = Math.max(1024, lastCount + (lastCount >> 3));
  const most = Math.floor((bytes - BATCH_HEADER_BYTES) / FRAME_HEADER_BYTES);
  return Math.max(1, Math.min(wanted, most));
}

/**
 * Makes arrays in memory of a pool, so that a reader makes no garbage. If the pool has no room, it
 * makes plain arrays.
 */
class PooledArrays {
  readonly #pool: BufferPool;
  readonly #buffers: (PooledBuffer | undefined)[] = [];

  constructor(pool: BufferPool) {
    this.#pool = pool;
  }

  /**
   * Makes an array of zeros. Earlier ones stay valid until {@linkcode PooledArrays.take} or
   * {@linkcode PooledArrays.drop}.
   */
  readonly allocate = (words: number): Uint32Array<ArrayBuffer> => {
    const buffer = acquireIfRoom(this.#pool, 4 * words, { zeroed: true });
    this.#buffers.push(buffer);
    if (buffer === undefined) return new Uint32Array(words);
    // The resize zeroes the rest, so that no byte of an earlier owner can be reached.
    buffer.resize(buffer.capacity);
    const { bytes } = buffer;
    return new Uint32Array(bytes.buffer, bytes.byteOffset, words);
  };

  /**
   * Returns the memory of the last array, for the caller to drop, if it belongs to the pool. Gives
   * the others back.
   */
  take(): PooledBuffer | undefined {
    const last = this.#buffers.pop();
    this.drop();
    return last;
  }

  /** Gives all memory back. */
  drop(): void {
    for (const buffer of this.#buffers.splice(0)) buffer?.drop();
  }
}
