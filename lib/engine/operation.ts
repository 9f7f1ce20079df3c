import type { Loan } from "../pool/mod.ts";

/** What an operation does: the opcodes of `rust/src/engine/entry.rs`. */
export const OPERATION = {
  /** `preadv2(2)` into the loan; short only at the end of the file. */
  READ: 1,
  /** `pwritev2(2)` of the whole loan. */
  WRITE: 2,
  /** `fdatasync(2)`. */
  SYNC_DATA: 3,
  /** `fsync(2)`. */
  SYNC_FULL: 4,
  /** `fallocate(2)` with mode 0: space for a range; the size grows to its end. */
  ALLOCATE: 5,
  /** `ftruncate(2)`: the position is the new size. */
  TRUNCATE: 6,
} as const;

/** How an operation goes about it; a kernel or filesystem that lacks a flag answers `EOPNOTSUPP`. */
export const FLAGS = {
  /** `RWF_DSYNC`: a write completes when its bytes survive a power cut. Linux 4.7. */
  DSYNC: 1,
  /** `RWF_SYNC`: so do all other attributes. Linux 4.7. */
  SYNC: 2,
  /** `RWF_DONTCACHE`: pages are dropped from the page cache when done. Linux 6.14. */
  DONTCACHE: 4,
} as const;

/** One operation on one file. */
export interface Operation {
  /** One of {@linkcode OPERATION}. */
  code: number;
  /** {@linkcode FLAGS}, added up; 0 for what is neither a read nor a write. */
  flags: number;
  /** The handle of an adopted file (`basalt_file_adopt`). */
  file: number;
  /** The memory of a read or write. Whoever submits the operation ends the loan, after the completion. */
  loan: Loan | undefined;
  /** Bytes from the beginning of the file; the new size for `TRUNCATE`. */
  position: number;
  /** Bytes: how much of the loan to move, or to allocate. */
  length: number;
}

/** Words of an entry. */
export const ENTRY_WORDS = 12;
/** Words of a completion: tag, status, bytes transferred, 0. */
export const COMPLETION_WORDS = 4;

/** Refuses what the words of an entry cannot say: they would be cut without a word. */
export function checkOperation(operation: Operation): void {
  const { code, loan, position, length } = operation;
  if (!Number.isSafeInteger(position) || position < 0) {
    throw new RangeError(
      `Cannot start operation as 'position' must be an integer from 0 to 2^53 - 1: received ${position}`,
    );
  }
  if (!Number.isSafeInteger(length) || length < 0) {
    throw new RangeError(
      `Cannot start operation as 'length' must be an integer from 0 to 2^53 - 1: received ${length}`,
    );
  }
  if (code !== OPERATION.READ && code !== OPERATION.WRITE) return;
  if (loan === undefined) {
    throw new TypeError(
      "Cannot start operation as 'loan' is missing: a read or write needs memory",
    );
  }
  if (length > loan.length) {
    throw new RangeError(
      `Cannot start operation as 'length' must be at most the ${loan.length} bytes of the loan: received ${length}`,
    );
  }
}

/** Writes an operation as the words that `rust/src/engine/entry.rs` reads. */
export function encodeOperation(
  entry: Uint32Array,
  operation: Operation,
  tag: number,
): void {
  const { loan, position, length } = operation;
  entry[0] = operation.code | operation.flags << 8;
  entry[1] = operation.file;
  entry[6] = position;
  entry[7] = position / 0x1_0000_0000;
  entry[8] = tag;
  if (loan === undefined) {
    entry[2] =
      entry[3] =
      entry[4] =
      entry[5] =
      entry[9] =
        0;
    entry[10] = length;
    entry[11] = length / 0x1_0000_0000;
  } else {
    entry[2] = loan.poolId;
    entry[3] = loan.slot;
    entry[4] = loan.start;
    entry[5] = length;
    entry[9] = loan.generation;
    entry[10] = entry[11] = 0;
  }
}
