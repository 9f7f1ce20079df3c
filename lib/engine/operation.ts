import type { Loan } from "../pool/mod.ts";

/** A kind of operation. */
export interface OperationKind {
  /** The opcode of `rust/src/engine/entry.rs`. */
  readonly code: number;
  /** The system call, as errors name it. */
  readonly syscall: string;
  /** What it counts as. */
  readonly counter: "reads" | "writes" | "syncs" | "resizes";
}

/** Every kind of operation. */
export const OPERATION = {
  /** `preadv2(2)` into the loan; short only at the end of the file. */
  READ: { code: 1, syscall: "read", counter: "reads" },
  /** `pwritev2(2)` of the whole loan. */
  WRITE: { code: 2, syscall: "write", counter: "writes" },
  /** `fdatasync(2)`. */
  SYNC_DATA: { code: 3, syscall: "fdatasync", counter: "syncs" },
  /** `fsync(2)`. */
  SYNC_FULL: { code: 4, syscall: "fsync", counter: "syncs" },
  /** `fallocate(2)`: space for a range; the size grows to its end. */
  ALLOCATE: { code: 5, syscall: "fallocate", counter: "resizes" },
  /** `ftruncate(2)`: the position is the new size. */
  TRUNCATE: { code: 6, syscall: "ftruncate", counter: "resizes" },
  /**
   * Seals the write block that is the loan, on a thread of the library. The last 80 bytes of the
   * loan are the context of `basalt_seal`.
   */
  SEAL: { code: 7, syscall: "write", counter: "writes" },
} as const satisfies Record<string, OperationKind>;

/**
 * Modifiers of an operation. A kernel or filesystem that lacks one fails it with `EOPNOTSUPP`.
 */
export const FLAGS = {
  /** `RWF_DSYNC`: a write completes when its bytes survive a power cut. Linux 4.7. */
  DSYNC: 1,
  /** `RWF_SYNC`: so do all other attributes. Linux 4.7. */
  SYNC: 2,
  /** `RWF_DONTCACHE`: pages are dropped from the page cache when done. Linux 6.14. */
  DONTCACHE: 4,
  /**
   * `FALLOC_FL_WRITE_ZEROES`: zeros are written to the space, if kernel (Linux 6.17), filesystem
   * and device can. Then the operation transfers 1, else 0.
   */
  ZEROED: 8,
} as const;

/**
 * One operation on one file, from the caller's arguments to its outcome.
 *
 * The same record is filled in by the file, encoded for the library, kept while the operation is in
 * flight, and given back with the outcome. The engine checks nothing of it: the file has checked
 * the arguments, and the library checks what memory safety depends on.
 */
export abstract class PendingOperation {
  /** What it does. */
  op: OperationKind = OPERATION.READ;
  /** {@linkcode FLAGS} that suit the operation, added up. */
  flags = 0;
  /** The handle of an adopted file (`basalt_file_adopt`). */
  file = 0;
  /** The memory of a read or write. The engine does not end the loan. */
  loan: Loan | undefined;
  /** The first byte of the loan to move; 0 without one. */
  start = 0;
  /** Bytes from the beginning of the file; the new size for `TRUNCATE`. */
  position = 0;
  /** Bytes to move, or to allocate. */
  length = 0;

  /** The outcome: 0, a negated `errno`, or one of `STATUS`. */
  status = 0;
  /** The outcome: bytes read or written, also by an operation that failed after some. */
  transferred = 0;

  /**
   * Called once when an operation in flight is over, in a turn of its own or within a call that
   * blocks until it is over (`Engine.settleSync`). Must not throw.
   */
  abstract completed(): void;
}

/** Words of an entry. */
export const ENTRY_WORDS = 12;
/** Words of a completion: tag, status, bytes transferred, 0. */
export const COMPLETION_WORDS = 4;

/**
 * Writes an operation as the words that `rust/src/engine/entry.rs` reads.
 *
 * @param at The index of the entry's first word.
 */
export function encodeOperation(
  words: Uint32Array,
  at: number,
  operation: PendingOperation,
  tag: number,
): void {
  const { loan, position, length } = operation;
  words[at] = operation.op.code | operation.flags << 8;
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
    words[at + 5] = length;
    words[at + 9] = loan.generation;
    words[at + 10] = words[at + 11] = 0;
  }
}
