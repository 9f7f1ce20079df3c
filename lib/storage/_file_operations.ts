import {
  checkChoice,
  checkInteger,
  roundDown,
  type Step,
  stepInPlace,
} from "../base/mod.ts";
import { engine, FLAGS, OPERATION, type OperationKind } from "../engine/mod.ts";
import { native, systemError } from "../native/mod.ts";
import {
  BufferPool,
  type FrozenBuffer,
  type Loan,
  type PooledBuffer,
} from "../pool/mod.ts";
import type { Capabilities } from "./capabilities.ts";
import type { Descriptor } from "./_descriptor.ts";
import type { OpenRequest } from "./direct_file_options.ts";
import { closedError } from "./errors.ts";
import {
  type FileOperation,
  fileOperation,
  type OperationOwner,
} from "./_file_operation.ts";
import { type FileCounters, fileCounters } from "./file_stats.ts";
import type { FileSteps } from "./file_steps.ts";
import { lendRange } from "./lend_range.ts";
import type { OpenedFile } from "./_open_file.ts";
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

/** No options, as one object for all calls. */
const NOTHING = {};

/** The unit of the page cache, or less of one. */
const PAGE_BYTES = 4096;

/**
 * Makes the operations of an open file, counts them, and closes the file after the last one.
 *
 * Making an operation checks the arguments and lends the memory. After that only the library checks
 * them, for memory safety.
 */
export class FileOperations implements FileSteps, OperationOwner {
  readonly descriptor: Descriptor;
  readonly capabilities: Capabilities;
  readonly counters: FileCounters = fileCounters();

  readonly #pool: BufferPool | undefined;
  readonly #access: Pick<OpenRequest, "read" | "write">;
  /** `FLAGS.DONTCACHE` in the uncached tier, else 0. */
  readonly #tierFlags: number;
  /**
   * Position of the page that a truncation left in the page cache: the kernel zeroes the rest of
   * the page there.
   */
  #cutPage: number | undefined;
  /** Whether closing has begun: nothing may start after that. */
  #isClosing = false;
  /** Whether the descriptor is gone. */
  #isClosed = false;
  /** Called when the descriptor is gone. */
  readonly #whenClosed: (() => void)[] = [];
  /** Called when the last operation in flight is over. */
  #whenIdle: (() => void) | undefined;

  /** Makes the operations of a file that was opened for reading, writing or both. */
  constructor(
    { capabilities, descriptor }: OpenedFile,
    access: Pick<OpenRequest, "read" | "write">,
    pool: BufferPool | undefined,
  ) {
    this.descriptor = descriptor;
    this.capabilities = capabilities;
    this.#access = access;
    this.#pool = pool;
    this.#tierFlags = capabilities.tier === "uncached" ? FLAGS.DONTCACHE : 0;
  }

  /** Where the file was opened. */
  get path(): string {
    return this.descriptor.path;
  }

  /** Where blocks for reading come from. */
  get pool(): BufferPool {
    return this.#pool ?? BufferPool.default();
  }

  /** The library's number of the file. */
  get file(): number {
    return this.descriptor.file;
  }

  renamed(path: string): void {
    this.descriptor.path = path;
  }

  /** Throws if the file may not be read. */
  checkReadable(): void {
    this.#checkMay("read", "read");
  }

  /** Throws if the file may not be written. */
  checkWritable(): void {
    this.#checkMay("write", "write");
  }

  #checkMay(access: "read" | "write", syscall: string): void {
    this.openFor(syscall);
    if (this.#access[access]) return;
    const advice = `the file was not opened with '${access}: true'`;
    throw systemError("EBADF", syscall, this.path, advice);
  }

  /** Returns the descriptor; throws if closing has begun. */
  openFor(syscall: string): Descriptor {
    if (this.#isClosing) throw closedError(syscall, this.path);
    return this.descriptor;
  }

  read(
    buffer: PooledBuffer,
    position: number,
    range: BufferRange = NOTHING,
  ): FileOperation<number> {
    this.checkReadable();
    const { path, capabilities } = this;
    const loan = lendRange("read", path, capabilities, buffer, position, range);
    return this.#moving(OPERATION.READ, loan, position, this.#tierFlags);
  }

  /** Makes a read into memory that is lent, and was checked. */
  readInto(
    loan: Loan,
    start: number,
    position: number,
    length: number,
  ): FileOperation<number> {
    const { READ } = OPERATION;
    const reading = this.#moving<number>(READ, loan, position, this.#tierFlags);
    reading.start = start;
    reading.length = length;
    return reading;
  }

  write(
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    options: WriteOptions = NOTHING,
  ): FileOperation<number> {
    const { durability = "none" } = options;
    const flags = WRITE_FLAGS[durability];
    if (typeof flags !== "number") {
      const action = `write '${this.path}'`;
      checkChoice(action, "durability", durability, DURABILITIES);
    }
    this.checkWritable();
    const { path, capabilities: found } = this;
    const loan = lendRange("write", path, found, buffer, position, options);
    return this.#moving(
      OPERATION.WRITE,
      loan,
      position,
      flags | this.#tierFlags,
    );
  }

  seal(buffer: PooledBuffer): FileOperation<void> {
    this.checkWritable();
    const loan = buffer.pool.lend(buffer, 0, buffer.length, "write");
    return this.#moving(OPERATION.SEAL, loan, 0, 0);
  }

  /** Makes an operation on the whole of a loan. */
  #moving<T>(
    op: OperationKind,
    loan: Loan,
    position: number,
    flags: number,
  ): FileOperation<T> {
    return fileOperation(this, op, position, loan.length, flags, loan);
  }

  sync(
    durability: Exclude<Durability, "none"> = "data",
    isEnded: boolean = this.#isClosing,
  ): FileOperation<void> {
    this.checkSync(durability);
    const { SYNC_DATA, SYNC_FULL } = OPERATION;
    const op = durability === "data" ? SYNC_DATA : SYNC_FULL;
    if (isEnded) throw closedError(op.syscall, this.path);
    return fileOperation(this, op);
  }

  /** Makes the sync that follows the writes of a batch, also while `close` waits for them. */
  syncAfter(durability: Exclude<Durability, "none">): FileOperation<void> {
    return this.sync(durability, this.#isClosed);
  }

  /** Throws if a sync cannot have a durability. */
  checkSync(durability: Durability): void {
    checkChoice(`sync '${this.path}'`, "durability", durability, SYNCS);
  }

  truncate(length: number): FileOperation<void> {
    this.#checkMay("write", "ftruncate");
    checkInteger(`ftruncate '${this.path}'`, "length", length);
    const page = roundDown(length, PAGE_BYTES);
    if (page < length && this.capabilities.tier === "direct") {
      this.#cutPage = Math.min(this.#cutPage ?? page, page);
    }
    return fileOperation(this, OPERATION.TRUNCATE, length);
  }

  preallocate(
    position: number,
    length: number,
    { zeroed = false }: PreallocateOptions = NOTHING,
  ): FileOperation<boolean> {
    this.#checkMay("write", "fallocate");
    const action = `fallocate '${this.path}'`;
    checkInteger(action, "position", position);
    const most = Number.MAX_SAFE_INTEGER - position;
    checkInteger(action, "length", length, 1, most);
    // Where zeros are refused, the library allocates without them, as part of one operation: a
    // caller that blocks until it is over must not meet a second one.
    const flags = zeroed ? FLAGS.ZEROED : 0;
    return fileOperation(this, OPERATION.ALLOCATE, position, length, flags);
  }

  size(): Step<number> {
    return stepInPlace("statx", () => this.openFor("statx").probe().size);
  }

  close(): Step<void> {
    const closeSync = () => this.#closeSync();
    return {
      kind: "close",
      begin: (resolve) => this.#close(resolve),
      runSync: closeSync,
      settleSync: closeSync,
    };
  }

  #close(resolve: () => void): void {
    if (this.#isClosed) return resolve();
    this.#whenClosed.push(resolve);
    if (this.#isClosing) return;
    this.#isClosing = true;
    if (this.counters.inFlight === 0) this.#end();
    // One turn later, all callers know the outcome of those operations.
    else this.#whenIdle = () => setImmediate(() => this.#end());
  }

  #closeSync(): void {
    if (this.#isClosed) return;
    this.#isClosing = true;
    this.settleSync();
    // Again, because a batch has a sync after its writes. Nothing else starts any more.
    this.settleSync();
    this.#end();
  }

  #end(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#cutPage !== undefined) {
      // The kernel keeps a page that is not synced, so no bytes are lost.
      native().basalt_file_drop_cached(this.file, this.#cutPage);
    }
    this.descriptor[Symbol.dispose]();
    for (const tell of this.#whenClosed.splice(0)) tell();
  }

  ended(): void {
    if (this.counters.inFlight === 0) this.#whenIdle?.();
  }

  /** Blocks until nothing of this isolate is in flight, and the callers know it. */
  settleSync(): void {
    if (this.counters.inFlight > 0) engine().settleSync();
  }
}
