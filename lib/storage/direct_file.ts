import { setImmediate } from "node:timers";
import {
  engine,
  FLAGS,
  OPERATION,
  type Operation,
  OperationError,
} from "../engine/mod.ts";
import { native, systemError } from "../native/mod.ts";
import {
  BufferPool,
  type FrozenBuffer,
  type Loan,
  type PooledBuffer,
} from "../pool/mod.ts";
import { alignDown, alignUp, checkInteger } from "./alignment.ts";
import type { Capabilities } from "./capabilities.ts";
import { closeDescriptor } from "./descriptor.ts";
import {
  type DirectFileOptions,
  type OpenRequest,
  openRequest,
} from "./direct_file_options.ts";
import { closedError, operationFailure } from "./errors.ts";
import {
  type FileCounters,
  fileCounters,
  type FileStats,
} from "./file_stats.ts";
import { lendRange } from "./lend_range.ts";
import { type OpenedFile, openFile } from "./open_file.ts";
import { pathString } from "./paths.ts";
import { probeFile } from "./probe.ts";
import type {
  BufferRange,
  Durability,
  StorageFile,
  WriteOptions,
} from "./storage.ts";
import { drive, driveSync, step, type Twin } from "./twin.ts";
import { countPages, type DirectProof, findUncached } from "./verify_direct.ts";

/** What the filesystem records of a file (`statx(2)`). */
export interface FileStat {
  /** The size in bytes. */
  readonly size: number;
  /** Last change of the contents: microseconds since the Unix epoch. */
  readonly mtimeMicros: number;
  /** Allocated units of 512 bytes. */
  readonly blocks: number;
  /** The preferred unit of buffered I/O, in bytes. */
  readonly blockSize: number;
  /** Kind and permission bits. */
  readonly mode: number;
  /** The number of the inode. */
  readonly inode: number;
  /** How many names it has; 0 after it was removed. */
  readonly links: number;
  /** The device, as `"major:minor"`. */
  readonly device: string;
}

/** What {@linkcode DirectFile.readAt} may be told. */
export interface ReadAtOptions {
  /** Ends the wait for a place in the pool. */
  signal?: AbortSignal;
}

/** An operation as this class sees it. */
interface Kind {
  readonly code: number;
  /** The system call, as errors name it. */
  readonly syscall: string;
  readonly counter: "reads" | "writes" | "syncs" | "resizes";
}

const READ: Kind = { code: OPERATION.READ, syscall: "read", counter: "reads" };
const WRITE: Kind = {
  code: OPERATION.WRITE,
  syscall: "write",
  counter: "writes",
};
const SYNC_DATA: Kind = {
  code: OPERATION.SYNC_DATA,
  syscall: "fdatasync",
  counter: "syncs",
};
const SYNC_FULL: Kind = {
  code: OPERATION.SYNC_FULL,
  syscall: "fsync",
  counter: "syncs",
};
const TRUNCATE: Kind = {
  code: OPERATION.TRUNCATE,
  syscall: "ftruncate",
  counter: "resizes",
};
const ALLOCATE: Kind = {
  code: OPERATION.ALLOCATE,
  syscall: "fallocate",
  counter: "resizes",
};

/** The flags of a write by the durability that is asked for. */
const WRITE_FLAGS: Readonly<Record<Durability, number>> = {
  none: 0,
  data: FLAGS.DSYNC,
  full: FLAGS.SYNC,
};

/** The unit of the page cache, or less of one. */
const PAGE_BYTES = 4096;
/** The longest block of the pool: what {@linkcode DirectFile.readAt} can give at most. */
const MAX_READ_BYTES = 512 * 1024 * 1024;
/** A tail that is longer is cut off the block, a shorter one filled with zeros: about as dear. */
const MAX_ZEROED_BYTES = 16 * 1024;

/**
 * A file whose bytes go between pooled buffers and the device without a copy and, in the direct tier, without the page cache.
 *
 * Operations name their positions, so any number may be in flight. A buffer is lent while its operation runs: nobody can touch it then.
 * {@linkcode DirectFile.capabilities} tells which tier the file got, why, and what positions and lengths must be a multiple of.
 *
 * Opening checks the permissions of `Deno.open`: the path goes through Deno, the library sees the descriptor only.
 *
 * @example Writing and reading a block
 * ```ts
 * import { BufferPool, DirectFile } from "@basalt/io";
 * import { assertEquals } from "@std/assert";
 *
 * const dir = Deno.makeTempDirSync();
 * {
 *   await using file = await DirectFile.open(`${dir}/blocks`, { read: true, write: true, createNew: true });
 *   using block = await BufferPool.default().acquire(4096);
 *   block.bytes.fill(7);
 *   await file.write(block, 0, { durability: "data" });
 *
 *   using part = await file.readAt(1000, 3);
 *   assertEquals([...part.bytes], [7, 7, 7]);
 * }
 * Deno.removeSync(dir, { recursive: true });
 * ```
 */
export class DirectFile implements StorageFile, Disposable, AsyncDisposable {
  /** Where it was opened. */
  readonly path: string;
  /** What the file can do, and why; fixed at opening. */
  readonly capabilities: Capabilities;

  readonly #file: number;
  readonly #request: OpenRequest;
  readonly #counters: FileCounters = fileCounters();
  /** `FLAGS.DONTCACHE` in the uncached tier, else 0. */
  readonly #tierFlags: number;
  #pool: BufferPool | undefined;
  /** Set when closing begins: nothing starts after that. */
  #closing: Promise<void> | undefined;
  /** Whether the descriptor is gone. */
  #closed = false;
  /** The page that a cut at no multiple of it left in the page cache, by its position: the kernel zeroes its rest there. */
  #cutPage: number | undefined;
  /** Called when the last operation in flight is over. */
  #idle: (() => void) | undefined;

  private constructor(
    path: string,
    request: OpenRequest,
    opened: OpenedFile,
    pool: BufferPool | undefined,
  ) {
    this.path = path;
    this.capabilities = opened.capabilities;
    this.#request = request;
    this.#file = opened.file;
    this.#pool = pool;
    this.#tierFlags = opened.capabilities.tier === "uncached"
      ? FLAGS.DONTCACHE
      : 0;
  }

  /**
   * Opens a regular file, or a block device, whose size is fixed: a write behind its end is `NoSpace`.
   *
   * @throws {TypeError} If options contradict each other, or the path holds a NUL byte.
   * @throws {RangeError} If `mode` has other bits than those of permissions.
   * @throws {Deno.errors.NotCapable} If `Deno.open` would not be permitted.
   * @throws {Deno.errors.NotFound} If there is no such file, and none is to be made; other errors of `open(2)` likewise by their class.
   * @throws {Deno.errors.IsADirectory} If it is a directory.
   * @throws {Unsupported} If it is another thing than a regular file or a block device, or `direct: "require"` is not possible: nothing is left behind.
   */
  static open(
    path: string | URL,
    options: DirectFileOptions = {},
  ): Promise<DirectFile> {
    return drive(DirectFile.#open(path, options));
  }

  /** The twin of {@linkcode DirectFile.open} that blocks. */
  static openSync(
    path: string | URL,
    options: DirectFileOptions = {},
  ): DirectFile {
    return driveSync(DirectFile.#open(path, options));
  }

  static *#open(
    where: string | URL,
    options: DirectFileOptions,
  ): Twin<DirectFile> {
    const path = pathString("open file", where);
    const request = openRequest(options);
    const opened = yield* openFile(path, request);
    return new DirectFile(path, request, opened, options.pool);
  }

  /** Fills a range of `buffer` from `position`. Resolves to the bytes read: fewer than asked only at the end of the file. */
  read(
    buffer: PooledBuffer,
    position: number,
    range: BufferRange = {},
  ): Promise<number> {
    return this.#transfer(READ, buffer, position, range);
  }

  /** The twin of {@linkcode DirectFile.read} that blocks. */
  readSync(
    buffer: PooledBuffer,
    position: number,
    range: BufferRange = {},
  ): number {
    return this.#transferSync(READ, buffer, position, range);
  }

  /**
   * Writes a range of `buffer` at `position`, all of it. Resolves to the bytes written.
   *
   * @throws {NoSpace} If the disk or the quota is full, with the bytes that were written.
   */
  write(
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    options: WriteOptions = {},
  ): Promise<number> {
    return this.#transfer(WRITE, buffer, position, options);
  }

  /** The twin of {@linkcode DirectFile.write} that blocks. */
  writeSync(
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    options: WriteOptions = {},
  ): number {
    return this.#transferSync(WRITE, buffer, position, options);
  }

  /**
   * Reads any range: rounded out to what the file asks for and cut to what was asked for, without a copy.
   *
   * The buffer that it resolves to is the caller's. It is shorter than `length` only at the end of the file, and empty behind it; no byte beyond what was read can be reached through it.
   *
   * @param length Bytes, from 1 to 512 MiB less the rounding.
   * @throws {PoolLimit} If the pool's limit leaves no room, as the pool's `atLimit` says.
   *
   * @example At the end of a file
   * ```ts
   * import { DirectFile } from "@basalt/io";
   * import { assertEquals } from "@std/assert";
   *
   * const path = Deno.makeTempFileSync();
   * Deno.writeFileSync(path, new Uint8Array(600).fill(1));
   * {
   *   using file = DirectFile.openSync(path);
   *   using rest = file.readAtSync(100, 600);
   *   assertEquals(rest.length, 500);
   * }
   * Deno.removeSync(path);
   * ```
   */
  readAt(
    position: number,
    length: number,
    options: ReadAtOptions = {},
  ): Promise<PooledBuffer> {
    return drive(this.#readAt(position, length, options));
  }

  /** The twin of {@linkcode DirectFile.readAt} that blocks. */
  readAtSync(position: number, length: number): PooledBuffer {
    return driveSync(this.#readAt(position, length, {}));
  }

  /** Makes everything that was written durable: `fdatasync(2)` for `"data"` (if not told otherwise), `fsync(2)` for `"full"`. */
  // deno-lint-ignore require-await -- a wrong durability rejects, too
  async sync(durability: Exclude<Durability, "none"> = "data"): Promise<void> {
    return this.#command(this.#syncKind(durability));
  }

  /** The twin of {@linkcode DirectFile.sync} that blocks. */
  syncSync(durability: Exclude<Durability, "none"> = "data"): void {
    this.#commandSync(this.#syncKind(durability));
  }

  /** Sets the size in bytes, which may be any; new bytes are zeros (`ftruncate(2)`). */
  truncate(length: number): Promise<void> {
    return this.#command(TRUNCATE, length);
  }

  /** The twin of {@linkcode DirectFile.truncate} that blocks. */
  truncateSync(length: number): void {
    this.#commandSync(TRUNCATE, length);
  }

  /**
   * Allocates disk space for a range of any position and length, without changing what reading gives; the size grows to its end (`fallocate(2)`).
   *
   * @throws {NoSpace} If there is not as much.
   * @throws {Deno.errors.NotSupported} If the filesystem cannot.
   */
  preallocate(position: number, length: number): Promise<void> {
    return this.#command(ALLOCATE, position, length);
  }

  /** The twin of {@linkcode DirectFile.preallocate} that blocks. */
  preallocateSync(position: number, length: number): void {
    this.#commandSync(ALLOCATE, position, length);
  }

  /** The size in bytes. */
  // deno-lint-ignore require-await -- the kernel knows it: nothing to wait for
  async size(): Promise<number> {
    return this.sizeSync();
  }

  /** The twin of {@linkcode DirectFile.size} that blocks. */
  sizeSync(): number {
    return this.statSync().size;
  }

  /** What the filesystem records of the file. */
  // deno-lint-ignore require-await -- as for the size
  async stat(): Promise<FileStat> {
    return this.statSync();
  }

  /** The twin of {@linkcode DirectFile.stat} that blocks. */
  statSync(): FileStat {
    this.#checkOpen("statx");
    const probe = probeFile(this.#file, this.path);
    return {
      size: probe.sizeBytes,
      mtimeMicros: probe.mtimeMicros,
      blocks: probe.blocks,
      blockSize: probe.blockBytes,
      mode: probe.mode,
      inode: probe.inode,
      links: probe.links,
      device: `${probe.deviceMajor}:${probe.deviceMinor}`,
    };
  }

  /**
   * Proves that reading bypasses the page cache: reads a block that is not in it, and looks whether it is now (`cachestat(2)`, Linux 6.5).
   *
   * The counts are of the whole file. Pages that others left in the cache by reading or writing it in another way are counted, but prove nothing.
   *
   * @throws {Unsupported} If the kernel has no `cachestat(2)`.
   *
   * @example Looking for oneself
   * ```ts
   * import { DirectFile } from "@basalt/io";
   * import { assertEquals } from "@std/assert";
   *
   * const path = Deno.makeTempFileSync();
   * Deno.writeFileSync(path, new Uint8Array(8192));
   * {
   *   using file = DirectFile.openSync(path, { direct: "never" });
   *   const proof = file.verifyDirectSync();
   *   assertEquals(proof.direct, false);
   *   console.log(`${proof.cachedPages} pages in the cache: ${proof.reason}`);
   * }
   * Deno.removeSync(path);
   * ```
   */
  verifyDirect(): Promise<DirectProof> {
    return drive(this.#verifyDirect());
  }

  /** The twin of {@linkcode DirectFile.verifyDirect} that blocks. */
  verifyDirectSync(): DirectProof {
    return driveSync(this.#verifyDirect());
  }

  /** What the file did since it was opened; may be asked after closing, too. */
  stats(): FileStats {
    return { ...this.#counters };
  }

  /** Blocks until no operation of this file is in flight (of this isolate, in fact); their promises settle in later turns. */
  settleSync(): void {
    if (this.#counters.inFlight > 0) engine().settleSync();
  }

  /** Ends the file after its operations in flight; nothing may start meanwhile. Closing twice does nothing. */
  close(): Promise<void> {
    return this.#closing ??= this.#finish();
  }

  /** The twin of {@linkcode DirectFile.close} that blocks until the operations in flight are over; their promises settle afterwards. */
  closeSync(): void {
    if (this.#closed) return;
    this.#closing ??= Promise.resolve();
    this.settleSync();
    this.#end();
  }

  /** Closes the file, as {@linkcode DirectFile.closeSync} does. */
  [Symbol.dispose](): void {
    this.closeSync();
  }

  /** Closes the file, as {@linkcode DirectFile.close} does. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #finish(): Promise<void> {
    if (this.#counters.inFlight > 0) {
      await new Promise<void>((resolve) => this.#idle = resolve);
      // One turn later all who wait for those operations have heard of them.
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    this.#end();
  }

  #end(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#cutPage !== undefined) {
      // Clean after a sync; what is dirty stays, so nothing can be lost, and nothing depends on it.
      native().basalt_file_drop_cached(this.#file, this.#cutPage);
    }
    closeDescriptor(this.#file);
  }

  *#readAt(
    position: number,
    length: number,
    options: ReadAtOptions,
  ): Twin<PooledBuffer> {
    this.#checkMay(READ);
    const unit = this.capabilities.readOffsetAlignment;
    const action = `read '${this.path}'`;
    checkInteger({ action, name: "position" }, position);
    const first = alignDown(position, unit);
    const skipped = position - first;
    const most = Math.min(
      MAX_READ_BYTES - skipped,
      alignDown(Number.MAX_SAFE_INTEGER, unit) - position,
    );
    checkInteger({ action, name: "length" }, length, 1, most);
    const rounded = alignUp(skipped + length, unit);
    const pool = this.#pool ??= BufferPool.default();
    let buffer = yield* step(
      () => pool.acquire(rounded, options),
      () => pool.acquireSync(rounded),
    );
    try {
      const got = yield* step(
        () => this.read(buffer, first),
        () => this.readSync(buffer, first),
      );
      buffer = bounded(buffer, got);
      const end = Math.min(got, skipped + length);
      if (end <= skipped) buffer.truncate(0);
      else {
        if (skipped > 0) buffer.splitTo(skipped).drop();
        buffer.truncate(end - skipped);
      }
      return buffer;
    } catch (error) {
      buffer.drop();
      throw error;
    }
  }

  *#verifyDirect(): Twin<DirectProof> {
    this.#checkMay(READ);
    const { tier, readOffsetAlignment } = this.capabilities;
    const count = (position: number, length: number) =>
      countPages(this.#file, this.path, position, length);
    const proof = (direct: boolean, reason: string): DirectProof => ({
      direct,
      reason,
      ...count(0, 0),
    });
    // Asked first, so that a kernel without cachestat fails before anything is read.
    count(0, 0);
    const size = this.sizeSync();
    if (size === 0) {
      return proof(false, "the file is empty: there is no block to read");
    }
    const unit = Math.max(4096, readOffsetAlignment);
    const position = findUncached(this.#file, this.path, size, unit);
    const buffer = yield* step(
      () => this.readAt(position ?? 0, unit),
      () => this.readAtSync(position ?? 0, unit),
    );
    buffer.drop();
    if (position === undefined) {
      return proof(
        false,
        "every block that was looked at is in the page cache already: another way of reading or writing left it there",
      );
    }
    const { cachedPages } = count(position, unit);
    const what =
      `the block at ${position} was not in the page cache, and after reading it`;
    if (cachedPages > 0) return proof(false, `${what} is`);
    if (tier !== "direct") {
      return proof(
        false,
        `${what} is not there any more, but the tier is ${tier}`,
      );
    }
    return proof(true, `${what} still is not`);
  }

  /** A read or a write. Lends the range while it runs. */
  async #transfer(
    kind: Kind,
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    range: WriteOptions,
  ): Promise<number> {
    const flags = this.#flags(kind, range);
    const loan = this.#lend(kind, buffer, position, range);
    this.#counters.inFlight++;
    try {
      return await this.#submit(kind, {
        code: kind.code,
        flags,
        file: this.#file,
        loan,
        position,
        length: loan.length,
      });
    } finally {
      loan.end();
      this.#over();
    }
  }

  #transferSync(
    kind: Kind,
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    range: WriteOptions,
  ): number {
    const flags = this.#flags(kind, range);
    const loan = this.#lend(kind, buffer, position, range);
    try {
      return this.#runSync(kind, {
        code: kind.code,
        flags,
        file: this.#file,
        loan,
        position,
        length: loan.length,
      });
    } finally {
      loan.end();
    }
  }

  /** An operation without memory. */
  async #command(kind: Kind, position = 0, length = 0): Promise<void> {
    this.#checkCommand(kind, position, length);
    this.#counters.inFlight++;
    try {
      await this.#submit(kind, this.#commandOf(kind, position, length));
    } finally {
      this.#over();
    }
  }

  #commandSync(kind: Kind, position = 0, length = 0): void {
    this.#checkCommand(kind, position, length);
    this.#runSync(kind, this.#commandOf(kind, position, length));
  }

  #commandOf({ code }: Kind, position: number, length: number): Operation {
    return {
      code,
      flags: 0,
      file: this.#file,
      loan: undefined,
      position,
      length,
    };
  }

  async #submit(kind: Kind, operation: Operation): Promise<number> {
    this.#counters[kind.counter]++;
    try {
      return this.#moved(kind, await engine().submit(operation));
    } catch (error) {
      throw this.#failed(kind, operation, error);
    }
  }

  #runSync(kind: Kind, operation: Operation): number {
    this.#counters[kind.counter]++;
    try {
      return this.#moved(kind, engine().runSync(operation));
    } catch (error) {
      throw this.#failed(kind, operation, error);
    }
  }

  /** Counts the bytes that an operation moved. */
  #moved(kind: Kind, bytes: number): number {
    if (kind === READ) this.#counters.bytesRead += bytes;
    else if (kind === WRITE) this.#counters.bytesWritten += bytes;
    return bytes;
  }

  /** Counts a failure; gives what to throw. */
  #failed(kind: Kind, operation: Operation, error: unknown): unknown {
    this.#counters.errors++;
    if (error instanceof OperationError) this.#moved(kind, error.transferred);
    return operationFailure(error, kind.syscall, this.path, operation.length);
  }

  /** One operation less in flight. */
  #over(): void {
    if (--this.#counters.inFlight === 0) this.#idle?.();
  }

  /** Checks everything about a read or write, then lends its range. */
  #lend(
    kind: Kind,
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    range: BufferRange,
  ): Loan {
    this.#checkMay(kind);
    return lendRange(
      kind === READ ? "read" : "write",
      this.path,
      this.capabilities,
      buffer,
      position,
      range,
    );
  }

  #checkCommand(kind: Kind, position: number, length: number): void {
    this.#checkMay(kind);
    const action = `${kind.syscall} '${this.path}'`;
    if (kind === TRUNCATE) {
      checkInteger({ action, name: "length" }, position);
      const page = alignDown(position, PAGE_BYTES);
      if (page < position && this.capabilities.tier === "direct") {
        this.#cutPage = Math.min(this.#cutPage ?? page, page);
      }
    } else if (kind === ALLOCATE) {
      checkInteger({ action, name: "position" }, position);
      const most = Number.MAX_SAFE_INTEGER - position;
      checkInteger({ action, name: "length" }, length, 1, most);
    }
  }

  #checkMay(kind: Kind): void {
    const { syscall } = kind;
    this.#checkOpen(syscall);
    const needed = kind === READ
      ? "read"
      : kind.counter === "syncs"
      ? undefined
      : "write";
    if (needed !== undefined && !this.#request[needed]) {
      const advice = `the file was not opened with '${needed}: true'`;
      throw systemError("EBADF", syscall, this.path, advice);
    }
  }

  #checkOpen(syscall: string): void {
    if (this.#closing !== undefined) throw closedError(syscall, this.path);
  }

  #syncKind(durability: Exclude<Durability, "none">): Kind {
    if (durability === "data") return SYNC_DATA;
    if (durability === "full") return SYNC_FULL;
    throw this.#wrongDurability("sync", '"data" or "full"', durability);
  }

  #flags(kind: Kind, { durability = "none" }: WriteOptions): number {
    if (kind === READ) return this.#tierFlags;
    const flags = WRITE_FLAGS[durability];
    if (flags !== undefined) return flags | this.#tierFlags;
    const right = '"none", "data" or "full"';
    throw this.#wrongDurability("write", right, durability);
  }

  #wrongDurability(action: string, right: string, value: unknown): TypeError {
    const shown = typeof value === "string" ? `"${value}"` : typeof value;
    return new TypeError(
      `Cannot ${action} '${this.path}' as 'durability' must be ${right}: received ${shown}`,
    );
  }
}

/** Sees to it that nothing behind the first `length` bytes can be reached through a buffer: an earlier owner's bytes may lie there. */
function bounded(buffer: PooledBuffer, length: number): PooledBuffer {
  const tail = buffer.capacity - length;
  if (tail > MAX_ZEROED_BYTES && length > 0) {
    const head = buffer.splitTo(length);
    buffer.drop();
    return head;
  }
  buffer.truncate(length);
  if (tail > 0) {
    buffer.resize(length + tail);
    buffer.truncate(length);
  }
  return buffer;
}
