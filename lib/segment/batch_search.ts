import type { Task } from "../base/mod.ts";
import {
  BATCH_HEADER_BYTES,
  batchBaseOffsetAt,
  findBatch,
  FRAME_HEADER_BYTES,
  MAX_BATCH_BYTES,
} from "../codec/mod.ts";
import { acquire, type BufferPool } from "../pool/mod.ts";
import type { TaskFile } from "../storage/mod.ts";
import { BlockReader } from "./block_reader.ts";
import { MAX_OFFSET, roundDown, roundUp } from "./layout.ts";

/** What lies so much farther is not read on the way. */
const JUMP_BYTES = 2 * 1024 * 1024;

/** Where a batch is. */
export interface BatchPlace {
  /** Where it begins in the `.log`, in bytes. */
  position: number;
  /** The offset of its first message. */
  offset: number;
}

/** Which batches {@linkcode findBatchAfter} looks for. */
export interface BatchRange {
  /**
   * The offset that a message may have at most.
   *
   * @default {the one that messages without payload would reach}
   */
  maxOffset?: number | undefined;
  /** Where a batch ends at the latest, in bytes. Default: the size of the file now. */
  bound?: number;
}

/** What a {@linkcode BatchSearch} looks for, and where. */
export interface BatchSearchOptions {
  /** The `.log`. */
  log: TaskFile;
  /** Where memory comes from. */
  pool: BufferPool;
  /** Reads the log; it is at or before the first position asked for. */
  blocks: BlockReader;
  /** Batches with offsets from this one count. */
  minOffset: number;
  /** The size of the `.log`, in bytes. */
  size: number;
  /** Where the last range ends. */
  to: number;
  /**
   * Batches with offsets above this one do not count.
   *
   * @default {the one that messages without payload would reach}
   */
  maxOffset?: number | undefined;
}

/** Looks for valid batches in damaged bytes, range after range, and reads each byte once. */
export class BatchSearch {
  readonly #options: BatchSearchOptions;
  readonly #offsets: readonly [min: number, max: number];
  /** Where the last header that counts ends. */
  readonly #end: number;

  constructor(options: BatchSearchOptions) {
    const { minOffset, size, to } = options;
    const maxOffset = options.maxOffset ??
      minOffset + Math.ceil(size / FRAME_HEADER_BYTES);
    this.#options = options;
    this.#offsets = [minOffset, Math.min(maxOffset, MAX_OFFSET)];
    this.#end = Math.min(size, to + BATCH_HEADER_BYTES - 1);
  }

  /**
   * Returns the first valid batch that begins in `[from, to)`; it may end after `to`.
   *
   * The next range must not lie before this one.
   */
  *first(from: number, to: number): Task<BatchPlace | undefined> {
    const { blocks } = this.#options;
    const end = Math.min(this.#end, to + BATCH_HEADER_BYTES - 1);
    while (from + BATCH_HEADER_BYTES <= end) {
      if (from - blocks.position > JUMP_BYTES) blocks.restart(from);
      const piece = yield* blocks.next(this.#end);
      using buffer = piece.buffer;
      const { position } = piece;
      const length = Math.min(piece.end - piece.start, end - position);
      const bytes = buffer.bytes.subarray(piece.start, piece.start + length);
      const found = from < position + length
        ? yield* this.#find(bytes, from - position, position)
        : undefined;
      // A header across the end is seen whole in the next piece.
      const rest = Math.max(from - position, length - BATCH_HEADER_BYTES + 1);
      const keep = Math.min(piece.start + rest, piece.end);
      blocks.keep(piece, keep, BATCH_HEADER_BYTES);
      if (found !== undefined || piece.last) return found;
      from = position + rest;
    }
    return undefined;
  }

  /**
   * Returns the first valid batch at or after `start` in bytes that begin at `position` of the
   * file.
   */
  *#find(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    position: number,
  ): Task<BatchPlace | undefined> {
    for (let at = start; at <= bytes.length;) {
      const found = findBatch(bytes, at, ...this.#offsets);
      // It ends after these bytes, or the search gave up there: read it by itself.
      const { beyond } = found;
      const isBeyondValid = beyond !== undefined &&
        (yield* this.#isBatch(position + beyond.position, beyond.length));
      const valid = isBeyondValid ? beyond.position : found.position;
      if (valid !== undefined) {
        return {
          position: position + valid,
          offset: batchBaseOffsetAt(bytes, valid),
        };
      }
      if (beyond === undefined) return undefined;
      at = beyond.position + 1;
    }
    return undefined;
  }

  /**
   * Whether a valid batch of `length` bytes begins at `position`.
   *
   * Longer ones than are written are not looked for.
   */
  *#isBatch(position: number, length: number): Task<boolean> {
    const { log, pool, size } = this.#options;
    if (position + length > size || length > MAX_BATCH_BYTES) return false;
    const unit = log.capabilities.readOffsetAlignment;
    const start = roundDown(position, unit);
    const end = position - start + length;
    using buffer = yield* acquire(pool, roundUp(end, unit));
    const read = yield* log.read(buffer, start);
    const bytes = buffer.bytes.subarray(0, Math.min(read, end));
    if (bytes.length < end) return false;
    const at = position - start;
    return findBatch(bytes, at, ...this.#offsets).position === at;
  }
}

/**
 * Whether a valid batch with an offset above `offset` begins in `[from, to)` of a `.log`; it may
 * end after `to`.
 */
export function* hasBatchAfter(
  log: TaskFile,
  pool: BufferPool,
  from: number,
  to: number,
  offset: number,
): Task<boolean> {
  return (yield* findBatchAfter(log, pool, from, to, offset + 1)) !== undefined;
}

/**
 * Returns the first valid batch with an offset from `minOffset` that begins in `[from, to)` of a
 * `.log`.
 */
export function* findBatchAfter(
  log: TaskFile,
  pool: BufferPool,
  from: number,
  to: number,
  minOffset: number,
  options: BatchRange = {},
): Task<BatchPlace | undefined> {
  const { maxOffset, bound } = options;
  const size = bound ?? (yield* log.size());
  const blocks = new BlockReader(log, pool, from);
  try {
    const search = { log, pool, blocks, minOffset, size, to, maxOffset };
    return yield* new BatchSearch(search).first(from, to);
  } finally {
    yield* blocks.close();
  }
}
