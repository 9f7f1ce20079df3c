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
  /** `fallocate(2)`: space for a range; the size grows to its end. */
  ALLOCATE: 5,
  /** `ftruncate(2)`: the position is the new size. */
  TRUNCATE: 6,
  /**
   * Seals the write block that is the loan, then `pwritev2(2)` of its first `length` bytes. A thread
   * of the library does both. The last 80 bytes of the loan are the context of `basalt_seal`.
   */
  SEAL_WRITE: 7,
} as const;

/**
 * How an operation goes about it; a kernel or filesystem that lacks a flag answers `EOPNOTSUPP`.
 */
export const FLAGS = {
  /** `RWF_DSYNC`: a write completes when its bytes survive a power cut. Linux 4.7. */
  DSYNC: 1,
  /** `RWF_SYNC`: so do all other attributes. Linux 4.7. */
  SYNC: 2,
  /** `RWF_DONTCACHE`: pages are dropped from the page cache when done. Linux 6.14. */
  DONTCACHE: 4,
  /**
   * `FALLOC_FL_WRITE_ZEROES`: the space is zeros that are written, if kernel (Linux 6.17),
   * filesystem and device can; the operation gives 1 then, else 0.
   */
  ZEROED: 8,
} as const;

/** One operation on one file. */
export interface Operation {
  /** One of {@linkcode OPERATION}. */
  code: number;
  /** {@linkcode FLAGS} that suit the code, added up. */
  flags: number;
  /** The handle of an adopted file (`basalt_file_adopt`). */
  file: number;
  /**
   * The memory of a read or write. Whoever submits the operation ends the loan, after the
   * completion.
   */
  loan: Loan | undefined;
  /** The first byte of the loan to move; 0 without one. */
  start: number;
  /** Bytes from the beginning of the file; the new size for `TRUNCATE`. */
  position: number;
  /** Bytes to move, or to allocate. */
  length: number;
}

/** An operation, and who is told when it is over. */
export interface Flight extends Operation {
  /**
   * Called once, in a turn of its own or within a call that blocks until it is over
   * (`Engine.settleSync`); must not throw.
   *
   * It may start operations, run them in place, and settle others.
   *
   * @param status 0, or why it failed, negative.
   * @param transferred Bytes read or written, also by an operation that failed after some.
   */
  settle(status: number, transferred: number): void;
}

/** Words of an entry. */
export const ENTRY_WORDS = 12;
/** Words of a completion: tag, status, bytes transferred, 0. */
export const COMPLETION_WORDS = 4;

/** Refuses what the words of an entry cannot say: they would be cut without a word. */
export function checkOperation(operation: Operation): void {
  const { code, loan, start, position, length } = operation;
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
  const { READ, WRITE, SEAL_WRITE } = OPERATION;
  if (code !== READ && code !== WRITE && code !== SEAL_WRITE) return;
  if (loan === undefined) {
    throw new TypeError(
      "Cannot start operation as 'loan' is missing: a read or write needs memory",
    );
  }
  if (
    !Number.isSafeInteger(start) || start < 0 || length > loan.length - start
  ) {
    throw new RangeError(
      `Cannot start operation as 'start' and 'length' must lie within the ${loan.length} bytes of the loan: received ${start} and ${length}`,
    );
  }
}

/**
 * Writes an operation as the words that `rust/src/engine/entry.rs` reads.
 *
 * @param at The index of the entry's first word.
 */
export function encodeOperation(
  words: Uint32Array,
  at: number,
  operation: Operation,
  tag: number,
): void {
  const { loan, position, length } = operation;
  words[at] = operation.code | operation.flags << 8;
  words[at + 1] = operation.file;
  words[at + 6] = position;
  words[at + 7] = position / 0x1_0000_0000;
  words[at + 8] = tag;
  if (loan === undefined) {
    words[at + 2] =
      words[at + 3] =
      words[at + 4] =
      words[at + 5] =
      words[at + 9] =
        0;
    words[at + 10] = length;
    words[at + 11] = length / 0x1_0000_0000;
  } else {
    words[at + 2] = loan.poolId;
    words[at + 3] = loan.slot;
    words[at + 4] = loan.start + operation.start;
    const isSealed = operation.code === OPERATION.SEAL_WRITE;
    words[at + 5] = isSealed ? loan.length : length;
    words[at + 9] = loan.generation;
    words[at + 10] = isSealed ? length : 0;
    words[at + 11] = 0;
  }
}
