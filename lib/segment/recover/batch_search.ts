import type { Task } from "../../base/mod.ts";
import {
  BATCH_HEADER_BYTES,
  batchBaseOffsetAt,
  findBatch,
  FRAME_HEADER_BYTES,
  MAX_BATCH_BYTES,
} from "../../codec/mod.ts";
import { acquire, type BufferPool } from "../../pool/mod.ts";
import type { TaskFile } from "../../storage/mod.ts";
import { BlockReader } from "../read/block_reader.ts";
import { MAX_OFFSET, roundDown, roundUp } from "../layout.ts";
import type { BatchPlace } from "../read/segment_scan.ts";

/** Which batches {@linkcode findBatchAfter} looks for. */
export interface BatchRange {
  /**
   * The largest offset that a message may have.
   *
   * @default {the one that messages without payload would reach}
   */
  maxOffset?: number | undefined;
  /** Upper bound of the end of a batch, in bytes. Default: the current size of the file. */
  bound?: number;
}

/** A search for a valid batch in damaged bytes. */
interface Search {
  log: TaskFile;
  pool: BufferPool;
  /** No batch ends after this position. */
  size: number;
  /** The smallest and the largest offset of a message. */
  offsets: readonly [min: number, max: number];
}

/** Returns the first valid batch that begins before `to`, from the position of `blocks`. */
function* findFirst(
  search: Search,
  blocks: BlockReader,
  to: number,
): Task<BatchPlace | undefined> {
  // The end of the last header that counts.
  const end = Math.min(search.size, to + BATCH_HEADER_BYTES - 1);
  while (blocks.position + BATCH_HEADER_BYTES <= end) {
    const piece = yield* blocks.next(end);
    using buffer = piece.buffer;
    const bytes = buffer.bytes.subarray(piece.start, piece.end);
    const found = yield* findIn(search, bytes, piece.position);
    if (found !== undefined || piece.last) return found;
    // A header across the end is seen whole in the next piece.
    const rest = Math.max(0, bytes.length - BATCH_HEADER_BYTES + 1);
    blocks.keep(piece, piece.start + rest, BATCH_HEADER_BYTES);
  }
  return undefined;
}

/** Returns the first valid batch in bytes that begin at `position` of the file. */
function* findIn(
  search: Search,
  bytes: Uint8Array<ArrayBuffer>,
  position: number,
): Task<BatchPlace | undefined> {
  for (let at = 0; at <= bytes.length;) {
    const found = findBatch(bytes, at, ...search.offsets);
    // A batch that ends after these bytes, or where the search gave up, is read by itself.
    const { beyond } = found;
    const isBeyondValid = beyond !== undefined &&
      (yield* isBatch(search, position + beyond.position, beyond.length));
    const valid = isBeyondValid ? beyond.position : found.position;
    if (valid !== undefined) {
      const offset = batchBaseOffsetAt(bytes, valid);
      return { position: position + valid, offset };
    }
    if (beyond === undefined) return undefined;
    at = beyond.position + 1;
  }
  return undefined;
}

/**
 * Whether a valid batch of `length` bytes begins at `position`.
 *
 * A batch is never longer than a writer makes it.
 */
function* isBatch(
  { log, pool, size, offsets }: Search,
  position: number,
  length: number,
): Task<boolean> {
  if (position + length > size || length > MAX_BATCH_BYTES) return false;
  const isValid = (bytes: Uint8Array<ArrayBuffer>) =>
    findBatch(bytes, 0, ...offsets).position === 0;
  return (yield* readAt(log, pool, position, length, isValid)) ?? false;
}

/**
 * Reads `length` bytes from `position` and returns what `use` makes of them; `undefined` if the
 * file ends before.
 */
export function* readAt<T>(
  file: TaskFile,
  pool: BufferPool,
  position: number,
  length: number,
  use: (bytes: Uint8Array<ArrayBuffer>) => T,
): Task<T | undefined> {
  const unit = file.capabilities.readOffsetAlignment;
  const start = roundDown(position, unit);
  const end = position - start + length;
  using buffer = yield* acquire(pool, roundUp(end, unit));
  const read = yield* file.read(buffer, start);
  if (read < end) return undefined;
  return use(buffer.bytes.subarray(position - start, end));
}

/**
 * Returns the first valid batch with an offset from `minOffset` that begins in `[from, to)` of a
 * `.log`; it may end after `to`.
 */
export function* findBatchAfter(
  log: TaskFile,
  pool: BufferPool,
  from: number,
  to: number,
  minOffset: number,
  options: BatchRange = {},
): Task<BatchPlace | undefined> {
  const size = options.bound ?? (yield* log.size());
  const maxOffset = options.maxOffset ??
    minOffset + Math.ceil(size / FRAME_HEADER_BYTES);
  const offsets = [minOffset, Math.min(maxOffset, MAX_OFFSET)] as const;
  const blocks = new BlockReader(log, pool, from);
  try {
    return yield* findFirst({ log, pool, size, offsets }, blocks, to);
  } finally {
    yield* blocks.close();
  }
}
