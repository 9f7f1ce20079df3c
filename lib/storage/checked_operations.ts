import { checkChoice, checkInteger, roundDown } from "../base/mod.ts";
import {
  FLAGS,
  OPERATION,
  type OperationKind,
  type PendingOperation,
  takeOperation,
} from "../engine/mod.ts";
import { systemError } from "../native/mod.ts";
import type { FrozenBuffer, Loan, PooledBuffer } from "../pool/mod.ts";
import type { Capabilities } from "./capabilities.ts";
import type { OpenRequest } from "./direct_file_options.ts";
import { closedError } from "./errors.ts";
import { lendRange } from "./lend_range.ts";
import type { OpenedFile } from "./open_file.ts";
import type {
  BufferRange,
  Durability,
  PreallocateOptions,
  WriteOptions,
} from "./storage.ts";

/** The flags of a write by the durability that is asked for. */
const WRITE_FLAGS: Readonly<Record<Durability, number>> = {
  none: 0,
  data: FLAGS.DSYNC,
  full: FLAGS.SYNC,
};

/** The durabilities of a write, and of a sync. */
const DURABILITIES = Object.keys(WRITE_FLAGS);
const SYNCS = DURABILITIES.slice(1);

/** The unit of the page cache, or less of one. */
const PAGE_BYTES = 4096;

/**
 * Makes the operations of an open file from its callers' arguments: checks them, and lends the
 * memory. Nothing after it checks them again, but for what memory safety depends on.
 */
export class CheckedOperations {
  /** Where the file was opened. */
  path: string;
  /** The library's number of the file. */
  readonly file: number;
  readonly capabilities: Capabilities;
  /** Whether closing has begun: nothing may start after that. */
  isClosing = false;

  readonly #access: Pick<OpenRequest, "read" | "write">;
  /** `FLAGS.DONTCACHE` in the uncached tier, else 0. */
  readonly #tierFlags: number;
  /**
   * The page that a cut at no multiple of it left in the page cache, by its position: the kernel
   * zeroes its rest there.
   */
  cutPage: number | undefined;

  constructor(
    path: string,
    access: Pick<OpenRequest, "read" | "write">,
    { capabilities, file }: OpenedFile,
  ) {
    this.path = path;
    this.file = file;
    this.capabilities = capabilities;
    this.#access = access;
    this.#tierFlags = capabilities.tier === "uncached" ? FLAGS.DONTCACHE : 0;
  }

  /** Throws if the file may not be read. */
  checkReadable(): void {
    this.checkOpen("read");
    if (!this.#access.read) throw this.#notOpenFor("read", "read");
  }

  /** Throws if the file may not be changed. */
  checkWritable(syscall: string): void {
    this.checkOpen(syscall);
    if (!this.#access.write) throw this.#notOpenFor("write", syscall);
  }

  /** Throws if closing has begun. */
  checkOpen(syscall: string): void {
    if (this.isClosing) throw closedError(syscall, this.path);
  }

  #notOpenFor(access: "read" | "write", syscall: string): Error {
    const advice = `the file was not opened with '${access}: true'`;
    return systemError("EBADF", syscall, this.path, advice);
  }

  /** Makes the record of a read into memory that is lent, and was checked. */
  readingInto(
    loan: Loan,
    start: number,
    position: number,
    length: number,
  ): PendingOperation {
    const { READ } = OPERATION;
    const operation = this.#make(READ, this.#tierFlags, loan, position, length);
    operation.start = start;
    return operation;
  }

  /** Checks a read and lends its memory. */
  reading(
    buffer: PooledBuffer,
    position: number,
    range: BufferRange,
  ): PendingOperation {
    this.checkReadable();
    const { path, capabilities } = this;
    const loan = lendRange("read", path, capabilities, buffer, position, range);
    return this.readingInto(loan, 0, position, loan.length);
  }

  /** Checks a write and lends its memory. */
  writing(
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    options: WriteOptions,
  ): PendingOperation {
    const flags = this.#writeFlags(options);
    this.checkWritable("write");
    const { path, capabilities: found } = this;
    const loan = lendRange("write", path, found, buffer, position, options);
    return this.#make(OPERATION.WRITE, flags, loan, position, loan.length);
  }

  /** Lends a whole block to be sealed. */
  sealing(buffer: PooledBuffer): PendingOperation {
    this.checkWritable("write");
    const loan = buffer.pool.lend(buffer, 0, buffer.length, "write");
    return this.#make(OPERATION.SEAL, 0, loan, 0, loan.length);
  }

  #writeFlags({ durability = "none" }: WriteOptions): number {
    const flags = WRITE_FLAGS[durability];
    if (flags === undefined) {
      checkChoice(
        `write '${this.path}'`,
        "durability",
        durability,
        DURABILITIES,
      );
    }
    return flags | this.#tierFlags;
  }

  /** Checks a sync. */
  syncing(
    durability: Exclude<Durability, "none">,
    isClosed: boolean = this.isClosing,
  ): PendingOperation {
    const kind = this.syncKind(durability);
    if (isClosed) throw closedError(kind.syscall, this.path);
    return this.#make(kind, 0, undefined, 0, 0);
  }

  /** Checks a change of size. */
  truncating(length: number): PendingOperation {
    this.checkWritable("ftruncate");
    const action = `ftruncate '${this.path}'`;
    checkInteger(action, "length", length);
    const page = roundDown(length, PAGE_BYTES);
    if (page < length && this.capabilities.tier === "direct") {
      this.cutPage = Math.min(this.cutPage ?? page, page);
    }
    return this.#make(OPERATION.TRUNCATE, 0, undefined, length, 0);
  }

  /** Checks a allocation. */
  allocating(
    position: number,
    length: number,
    { zeroed = false }: PreallocateOptions,
  ): PendingOperation {
    this.checkWritable("fallocate");
    const action = `fallocate '${this.path}'`;
    checkInteger(action, "position", position);
    const most = Number.MAX_SAFE_INTEGER - position;
    checkInteger(action, "length", length, 1, most);
    // One operation also where zeros are refused: a caller that blocks until it is over must not
    // meet a second one.
    const flags = zeroed ? FLAGS.ZEROED : 0;
    return this.#make(OPERATION.ALLOCATE, flags, undefined, position, length);
  }

  /** Fills in a record. */
  #make(
    kind: OperationKind,
    flags: number,
    loan: Loan | undefined,
    position: number,
    length: number,
  ): PendingOperation {
    const operation = takeOperation();
    operation.kind = kind;
    operation.flags = flags;
    operation.file = this.file;
    operation.loan = loan;
    operation.start = 0;
    operation.position = position;
    operation.length = length;
    return operation;
  }

  /** The kind of a sync by its durability. */
  syncKind(durability: Exclude<Durability, "none">): OperationKind {
    if (durability === "data") return OPERATION.SYNC_DATA;
    checkChoice(`sync '${this.path}'`, "durability", durability, SYNCS);
    return OPERATION.SYNC_FULL;
  }
}
