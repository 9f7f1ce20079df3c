import {
  begunStep,
  drive,
  driveSync,
  inPlace,
  type Task,
} from "../base/mod.ts";
import { FLAGS } from "../engine/mod.ts";
import { native, systemError } from "../native/mod.ts";
import {
  acquire,
  BufferPool,
  type FrozenBuffer,
  type Loan,
  type PooledBuffer,
} from "../pool/mod.ts";
import { alignDown, alignUp, checkInteger } from "./alignment.ts";
import { isAtPath } from "./at_path.ts";
import type { Capabilities } from "./capabilities.ts";
import { closeDescriptor } from "./descriptor.ts";
import {
  type DirectFileOptions,
  type OpenRequest,
  openRequest,
} from "./direct_file_options.ts";
import { closedError } from "./errors.ts";
import {
  ALLOCATE,
  FileOperations,
  type Kind,
  READ,
  type Request,
  SEAL_WRITE,
  SYNC_DATA,
  SYNC_FULL,
  TRUNCATE,
  WRITE,
} from "./file_operations.ts";
import { type FileStat, fileStat } from "./file_stat.ts";
import type { FileStats } from "./file_stats.ts";
import { lendRange } from "./lend_range.ts";
import { type OpenedFile, openFile } from "./open_file.ts";
import { type FileTasks, fileTasks } from "./own_tasks.ts";
import { pathString } from "./paths.ts";
import { freeBytes, probeFile } from "./probe.ts";
import {
  type FileRange,
  MAX_READ_BYTES,
  planReads,
  type Run,
} from "./read_plan.ts";
import type {
  BufferRange,
  Durability,
  PreallocateOptions,
  StorageFile,
  WriteOptions,
} from "./storage.ts";
import { TaskFile } from "./task_file.ts";
import type {
  ReadAtOptions,
  ReadManyOptions,
  WriteItem,
} from "./transfer_options.ts";
import { countPages, type DirectProof, findUncached } from "./verify_direct.ts";

/** Nothing said: an options object that is not made anew for each call. */
const NOTHING = {};
/** About as many bytes as a disk moves in the time that another operation costs. */
const GAP_BYTES = 16 * 1024;

/** The flags of a write by the durability that is asked for. */
const WRITE_FLAGS: Readonly<Record<Durability, number>> = {
  none: 0,
  data: FLAGS.DSYNC,
  full: FLAGS.SYNC,
};

/** The unit of the page cache, or less of one. */
const PAGE_BYTES = 4096;
/** A tail that is longer is cut off the block, a shorter one filled with zeros: about as dear. */
const MAX_ZEROED_BYTES = 16 * 1024;

/**
 * A file whose bytes go between pooled buffers and the device without a copy and, in the direct
 * tier, without the page cache.
 *
 * Operations name their positions, so any number may be in flight. A buffer is lent while its
 * operation runs: nobody can touch it then.
 * {@linkcode DirectFile.capabilities} tells which tier the file got, why, and what positions and
 * lengths must be a multiple of.
 *
 * Opening checks the permissions of `Deno.open`: the path goes through Deno, the library sees the
 * descriptor only.
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
  readonly #operations: FileOperations;
  /** `FLAGS.DONTCACHE` in the uncached tier, else 0. */
  readonly #tierFlags: number;
  #pool: BufferPool | undefined;
  /** Set when closing begins: nothing starts after that. */
  #closing: Promise<void> | undefined;
  /** Whether the descriptor is gone. */
  #closed = false;
  /** Called when the descriptor is gone. */
  readonly #whenClosed: (() => void)[] = [];
  /** The operations as tasks, once they were asked for. */
  #tasks: FileTasks | undefined;
  /**
   * The page that a cut at no multiple of it left in the page cache, by its position: the kernel
   * zeroes its rest there.
   */
  #cutPage: number | undefined;

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
    this.#operations = new FileOperations(opened.file, path);
    this.#pool = pool;
    this.#tierFlags = opened.capabilities.tier === "uncached"
      ? FLAGS.DONTCACHE
      : 0;
  }

  /**
   * Opens a regular file, or a block device, whose size is fixed: a write behind its end is
   * `NoSpaceError`.
   *
   * @throws {TypeError} If options contradict each other, or the path holds a NUL byte.
   * @throws {RangeError} If `mode` has other bits than those of permissions.
   * @throws {Deno.errors.NotCapable} If `Deno.open` would not be permitted.
   * @throws {Deno.errors.NotFound} If there is no such file, and none is to be made; other errors
   *   of `open(2)` likewise by their class.
   * @throws {Deno.errors.IsADirectory} If it is a directory.
   * @throws {UnsupportedError} If it is another thing than a regular file or a block device, or `direct:
   *   "require"` is not possible: nothing is left behind.
   */
  static open(
    path: string | URL,
    options: DirectFileOptions = {},
  ): Promise<DirectFile> {
    return drive(DirectFile.#open(path, options));
  }

  /** The blocking version of {@linkcode DirectFile.open}. */
  static openSync(
    path: string | URL,
    options: DirectFileOptions = {},
  ): DirectFile {
    return driveSync(DirectFile.#open(path, options));
  }

  static *#open(
    where: string | URL,
    options: DirectFileOptions,
  ): Task<DirectFile> {
    const path = pathString("open file", where);
    const request = openRequest(options);
    const opened = yield* openFile(path, request);
    return new DirectFile(path, request, opened, options.pool);
  }

  /**
   * Fills a range of `buffer` from `position`. Resolves to the bytes read: fewer than asked only at
   * the end of the file.
   */
  read(
    buffer: PooledBuffer,
    position: number,
    range: BufferRange = NOTHING,
  ): Promise<number> {
    return this.#transfer(READ, buffer, position, range);
  }

  /** The blocking version of {@linkcode DirectFile.read}. */
  readSync(
    buffer: PooledBuffer,
    position: number,
    range: BufferRange = NOTHING,
  ): number {
    return this.#transferSync(READ, buffer, position, range);
  }

  /**
   * Writes a range of `buffer` at `position`, all of it. Resolves to the bytes written.
   *
   * @throws {NoSpaceError} If the disk or the quota is full, with the bytes that were written.
   */
  write(
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    options: WriteOptions = NOTHING,
  ): Promise<number> {
    return this.#transfer(WRITE, buffer, position, options);
  }

  /** The blocking version of {@linkcode DirectFile.write}. */
  writeSync(
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    options: WriteOptions = NOTHING,
  ): number {
    return this.#transferSync(WRITE, buffer, position, options);
  }

  /**
   * Reads any range: rounded out to what the file asks for and cut to what was asked for, without a
   * copy.
   *
   * The buffer that it resolves to is the caller's. It is shorter than `length` only at the end of
   * the file, and empty behind it; no byte beyond what was read can be reached through it.
   *
   * @param length Bytes, from 1 to 512 MiB less the rounding.
   * @throws {PoolLimitError} If the pool's limit leaves no room, as the pool's `atLimit` says.
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

  /** The blocking version of {@linkcode DirectFile.readAt}. */
  readAtSync(position: number, length: number): PooledBuffer {
    return driveSync(this.#readAt(position, length, {}));
  }

  /**
   * Reads many ranges at once, of any position and length: rounded out to what the file asks for,
   * neighbours by one read, all into one block of the pool.
   *
   * The frozen buffers come in the order of `ranges`. Each is shorter than its range only at the
   * end of the file, and empty behind it.
   * They share the block: it goes back to the pool when all of them are dropped.
   *
   * @param ranges Where to read; they may overlap. Rounded out, with what is read for nothing, at
   *   most 512 MiB together.
   * @throws {PoolLimitError} If the pool's limit leaves no room, as the pool's `atLimit` says.
   *
   * @example Two records and the bytes between them, with one read
   * ```ts
   * import { DirectFile } from "@basalt/io";
   * import { assertEquals } from "@std/assert";
   *
   * const path = Deno.makeTempFileSync();
   * Deno.writeTextFileSync(path, "first, something else, second");
   * {
   *   using file = DirectFile.openSync(path);
   *   const records = await file.readMany([{ position: 23, length: 6 }, { position: 0, length: 5 }]);
   *   const text = new TextDecoder();
   *   assertEquals(records.map((each) => text.decode(each.bytes)), ["second", "first"]);
   *   assertEquals(file.stats().reads, 1);
   *   records.forEach((each) => each.drop());
   * }
   * Deno.removeSync(path);
   * ```
   */
  readMany(
    ranges: readonly FileRange[],
    options: ReadManyOptions = {},
  ): Promise<FrozenBuffer[]> {
    return drive(this.#readMany(ranges, options));
  }

  /** The blocking version of {@linkcode DirectFile.readMany}: one call, 128 reads in flight. */
  readManySync(
    ranges: readonly FileRange[],
    options: Omit<ReadManyOptions, "signal"> = {},
  ): FrozenBuffer[] {
    return driveSync(this.#readMany(ranges, options));
  }

  /**
   * Writes many ranges at once, in any order; ranges of the file that overlap end up as either.
   * Resolves to the bytes written, when all are.
   *
   * Durability is had by one sync after the last write. If a write fails the others are done all
   * the same, and nothing is known to be durable.
   *
   * @throws {NoSpaceError} If the disk or the quota is full, with the bytes that the first write without
   *   room has written.
   *
   * @example Blocks that become durable together
   * ```ts
   * import { BufferPool, DirectFile } from "@basalt/io";
   * import { assertEquals } from "@std/assert";
   *
   * const dir = Deno.makeTempDirSync();
   * {
   *   using file = DirectFile.openSync(`${dir}/blocks`, { write: true, createNew: true });
   *   using block = BufferPool.default().acquireSync(4096, { zeroed: true }).freeze();
   *   const items = [0, 8192, 16384].map((position) => ({ buffer: block, position }));
   *   assertEquals(await file.writeMany(items, { durability: "data" }), 12288);
   *   assertEquals(file.sizeSync(), 20480);
   * }
   * Deno.removeSync(dir, { recursive: true });
   * ```
   */
  writeMany(
    items: readonly WriteItem[],
    options: Pick<WriteOptions, "durability"> = {},
  ): Promise<number> {
    return drive(this.#writeMany(items, options));
  }

  /** The blocking version of {@linkcode DirectFile.writeMany}: one call, 128 writes in flight. */
  writeManySync(
    items: readonly WriteItem[],
    options: Pick<WriteOptions, "durability"> = {},
  ): number {
    return driveSync(this.#writeMany(items, options));
  }

  /**
   * Makes everything that was written durable: `fdatasync(2)` for `"data"` (if not told otherwise),
   * `fsync(2)` for `"full"`.
   */
  // deno-lint-ignore require-await -- a wrong durability rejects, too
  async sync(durability: Exclude<Durability, "none"> = "data"): Promise<void> {
    return this.#command(this.#syncKind(durability), 0);
  }

  /** The blocking version of {@linkcode DirectFile.sync}. */
  syncSync(durability: Exclude<Durability, "none"> = "data"): void {
    this.#commandSync(this.#syncKind(durability), 0);
  }

  /** Sets the size in bytes, which may be any; new bytes are zeros (`ftruncate(2)`). */
  truncate(length: number): Promise<void> {
    return this.#command(TRUNCATE, length);
  }

  /** The blocking version of {@linkcode DirectFile.truncate}. */
  truncateSync(length: number): void {
    this.#commandSync(TRUNCATE, length);
  }

  /**
   * Allocates disk space for a range of any position and length; the size grows to its end
   * (`fallocate(2)`). Without `zeroed` what reading gives is not changed.
   *
   * Resolves to whether zeros were written: with `zeroed`, where kernel (Linux 6.17), filesystem
   * and device can (`FALLOC_FL_WRITE_ZEROES`). Elsewhere the space
   * is allocated all the same.
   *
   * @throws {NoSpaceError} If there is not as much.
   * @throws {Deno.errors.NotSupported} If the filesystem cannot.
   */
  preallocate(
    position: number,
    length: number,
    options: PreallocateOptions = {},
  ): Promise<boolean> {
    return drive(this.#preallocate(position, length, options));
  }

  /** The blocking version of {@linkcode DirectFile.preallocate}. */
  preallocateSync(
    position: number,
    length: number,
    options: PreallocateOptions = {},
  ): boolean {
    return driveSync(this.#preallocate(position, length, options));
  }

  /** The size in bytes. */
  // deno-lint-ignore require-await -- the kernel knows it: nothing to wait for
  async size(): Promise<number> {
    return this.sizeSync();
  }

  /** The blocking version of {@linkcode DirectFile.size}. */
  sizeSync(): number {
    return this.statSync().size;
  }

  /** What the filesystem records of the file. */
  // deno-lint-ignore require-await -- as for the size
  async stat(): Promise<FileStat> {
    return this.statSync();
  }

  /** The blocking version of {@linkcode DirectFile.stat}. */
  statSync(): FileStat {
    this.#checkOpen("statx");
    return fileStat(probeFile(this.#file, this.path));
  }

  /**
   * Proves that reading bypasses the page cache: reads a block that is not in it, and looks whether
   * it is now (`cachestat(2)`, Linux 6.5).
   *
   * The counts are of the whole file. Pages that others left in the cache by reading or writing it
   * in another way are counted, but prove nothing.
   *
   * @throws {UnsupportedError} If the kernel has no `cachestat(2)`.
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

  /** The blocking version of {@linkcode DirectFile.verifyDirect}. */
  verifyDirectSync(): DirectProof {
    return driveSync(this.#verifyDirect());
  }

  /** What the file did since it was opened; may be asked after closing, too. */
  stats(): FileStats {
    return { ...this.#operations.counters };
  }

  /**
   * Returns how many bytes an unprivileged user can still allocate on the file's filesystem
   * (`fstatfs(2)`); `undefined` where that is not known.
   *
   * @example Room for another segment
   * ```ts
   * import { DirectFile } from "@basalt/io";
   *
   * const path = Deno.makeTempFileSync();
   * {
   *   using file = DirectFile.openSync(path);
   *   const free = file.freeBytes();
   *   if (free !== undefined && free < 64 * 2 ** 20) console.log("the disk is nearly full");
   * }
   * Deno.removeSync(path);
   * ```
   */
  freeBytes(): number | undefined {
    this.#checkOpen("fstatfs");
    // The name of a device lies on a filesystem, its bytes do not.
    if (this.capabilities.filesystem === "none") return undefined;
    return freeBytes(this.#file, this.path);
  }

  /**
   * Returns whether the path where it was opened still leads to this file: it was neither removed
   * nor replaced.
   *
   * @example A file that was removed
   * ```ts
   * import { DirectFile } from "@basalt/io";
   * import { assertEquals } from "@std/assert";
   *
   * const path = Deno.makeTempFileSync();
   * using file = DirectFile.openSync(path);
   * assertEquals(file.isAtPath(), true);
   * Deno.removeSync(path);
   * assertEquals(file.isAtPath(), false);
   * ```
   */
  isAtPath(): boolean {
    this.#checkOpen("statx");
    return isAtPath(this.#file, this.path);
  }

  /**
   * Blocks until the operations are over that are in flight (of this isolate, in fact); their
   * promises are resolved when it returns.
   */
  settleSync(): void {
    this.#operations.settleSync();
  }

  /**
   * Ends the file after its operations in flight; nothing may start meanwhile. Closing twice does
   * nothing.
   */
  close(): Promise<void> {
    return this.#closing ??= this.#finish();
  }

  /**
   * The blocking version of {@linkcode DirectFile.close}: it waits until the operations in flight
   * are over.
   */
  closeSync(): void {
    if (this.#closed) return;
    this.#closing ??= Promise.resolve();
    this.settleSync();
    // A batch has a sync that follows its writes; else nothing starts any more.
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
    if (this.#operations.counters.inFlight > 0) {
      await this.#operations.idle();
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
    for (const tell of this.#whenClosed.splice(0)) tell();
  }

  /** @internal The operations as tasks. */
  get [fileTasks](): FileTasks {
    return this.#tasks ??= {
      read: (buffer, position, range = NOTHING) =>
        this.#transferring(READ, buffer, position, range),
      write: (buffer, position, options = NOTHING) =>
        this.#transferring(WRITE, buffer, position, options),
      sealAndWrite: (buffer, position, options) =>
        this.#transferring(SEAL_WRITE, buffer, position, options),
      sync: (durability = "data") =>
        this.#commanding("sync", () => this.#syncKind(durability), 0),
      truncate: (length) =>
        this.#commanding("truncate", () => TRUNCATE, length),
      preallocate: (position, length, options = NOTHING) =>
        this.#preallocate(position, length, options),
      size: () => inPlace("size", () => this.sizeSync()),
      close: () =>
        begunStep({
          kind: "close",
          begin: (resolve, reject) => this.#beginClose(resolve, reject),
          runSync: () => this.closeSync(),
          settleSync: () => this.closeSync(),
        }),
    };
  }

  #beginClose(resolve: () => void, reject: (error: unknown) => void): void {
    if (this.#closed) return resolve();
    this.#whenClosed.push(resolve);
    this.close().catch(reject);
  }

  *#readAt(
    position: number,
    length: number,
    options: ReadAtOptions,
  ): Task<PooledBuffer> {
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
    let buffer = yield* acquire(pool, rounded, options);
    try {
      const got = yield* new TaskFile(this).read(buffer, first);
      const end = Math.min(got, skipped + length);
      // What lies ahead of the range was not asked for: without a range nothing stays reachable.
      if (end <= skipped) return bounded(buffer, 0);
      buffer = bounded(buffer, got);
      if (skipped > 0) buffer.splitTo(skipped).drop();
      buffer.truncate(end - skipped);
      return buffer;
    } catch (error) {
      buffer.drop();
      throw error;
    }
  }

  *#verifyDirect(): Task<DirectProof> {
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
    const buffer = yield* this.#readAt(position ?? 0, unit, {});
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

  *#readMany(
    ranges: readonly FileRange[],
    { gapBytes = GAP_BYTES, ...options }: ReadManyOptions,
  ): Task<FrozenBuffer[]> {
    this.#checkMay(READ);
    const action = `read '${this.path}'`;
    const { runs, runOf, bytes } = planReads(
      action,
      ranges,
      this.capabilities,
      gapBytes,
    );
    if (runs.length === 0) return [];
    const pool = this.#pool ??= BufferPool.default();
    const buffer = yield* acquire(pool, bytes, options);
    try {
      this.#checkMay(READ);
      const loan = pool.lend(buffer, 0, bytes, "write");
      let got: number[];
      try {
        got = yield* this.#operations.many(runs.map((run): Request => ({
          kind: READ,
          flags: this.#tierFlags,
          loan,
          ...run,
        })));
      } finally {
        loan.end();
      }
      clear(buffer, runs, got);
      const frozen = buffer.freeze();
      const parts = ranges.map(({ position, length }, i) => {
        const run = runs[runOf[i]!]!;
        const from = position - run.position;
        const to = Math.max(from, Math.min(from + length, got[runOf[i]!]!));
        return frozen.slice(run.start + from, run.start + to);
      });
      frozen.drop();
      return parts;
    } catch (error) {
      buffer.drop();
      throw error;
    }
  }

  *#writeMany(
    items: readonly WriteItem[],
    options: Pick<WriteOptions, "durability">,
  ): Task<number> {
    const { durability = "none" } = options;
    const whole = items.length > 1;
    // One write waits for itself; many wait for one sync, not each for its own.
    const flags = this.#flags(WRITE, whole ? NOTHING : options);
    const sync = whole && durability !== "none"
      ? this.#syncKind(durability)
      : undefined;
    this.#checkMay(WRITE);
    const requests: Request[] = [];
    try {
      for (const { buffer, position, ...range } of items) {
        const loan = this.#lend(WRITE, buffer, position, range);
        const { length } = loan;
        requests.push({ kind: WRITE, flags, loan, start: 0, position, length });
      }
      const written = yield* this.#operations.many(requests);
      if (sync !== undefined) {
        // `close` waits for this batch; `closeSync` has ended it.
        if (this.#closed) throw closedError(sync.syscall, this.path);
        yield* this.#operations.one(command(sync));
      }
      return written.reduce((sum, bytes) => sum + bytes, 0);
    } finally {
      for (const { loan } of requests) loan!.end();
    }
  }

  *#preallocate(
    position: number,
    length: number,
    { zeroed = false }: PreallocateOptions,
  ): Task<boolean> {
    this.#checkCommand(ALLOCATE, position, length);
    const request = command(ALLOCATE, position, length);
    if (zeroed) request.flags = FLAGS.ZEROED;
    // One operation also where zeros are refused: whoever blocks until it is over must not meet a
    // second one.
    return (yield* this.#operations.one(request)) === 1;
  }

  /** A read or a write as a task. Lends the range while it runs. */
  #transferring(
    kind: Kind,
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    range: WriteOptions,
  ): Task<number> {
    return begunStep({
      kind: kind.syscall,
      begin: (resolve, reject) =>
        this.#operations.start(
          this.#transferOf(kind, buffer, position, range),
          resolve,
          reject,
          true,
        ),
      runSync: () => this.#transferSync(kind, buffer, position, range),
      settleSync: () => this.settleSync(),
    });
  }

  /** An operation without memory as a task. */
  #commanding(name: string, kindOf: () => Kind, position: number): Task<void> {
    return begunStep<void>({
      kind: name,
      begin: (resolve, reject) => {
        const kind = kindOf();
        this.#checkCommand(kind, position, 0);
        const request = command(kind, position);
        this.#operations.start(request, () => resolve(), reject, false);
      },
      runSync: () => this.#commandSync(kindOf(), position),
      settleSync: () => this.settleSync(),
    });
  }

  /** A read or a write. Lends the range while it runs. */
  #transfer(
    kind: Kind,
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    range: WriteOptions,
  ): Promise<number> {
    // What is thrown here rejects the promise.
    return new Promise((resolve, reject) => {
      const request = this.#transferOf(kind, buffer, position, range);
      this.#operations.start(request, resolve, reject, true);
    });
  }

  #transferSync(
    kind: Kind,
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    range: WriteOptions,
  ): number {
    const request = this.#transferOf(kind, buffer, position, range);
    try {
      return this.#operations.runSync(request);
    } finally {
      request.loan!.end();
    }
  }

  #transferOf(
    kind: Kind,
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    range: WriteOptions,
  ): Request {
    const flags = this.#flags(kind, range);
    const loan = this.#lend(kind, buffer, position, range);
    const length = kind === SEAL_WRITE ? range.length! : loan.length;
    return { kind, flags, loan, start: 0, position, length };
  }

  /** An operation without memory; of a truncate `position` is the new size. */
  #command(kind: Kind, position: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#checkCommand(kind, position, 0);
      const request = command(kind, position);
      this.#operations.start(request, () => resolve(), reject, false);
    });
  }

  #commandSync(kind: Kind, position: number): void {
    this.#checkCommand(kind, position, 0);
    this.#operations.runSync(command(kind, position));
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
      kind === READ ? "read" : kind === WRITE ? "write" : "seal",
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

  #flags(kind: Kind, options: WriteOptions): number {
    if (kind === READ) return this.#tierFlags;
    const { durability = "none" } = options;
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

/** An operation without memory. */
function command(kind: Kind, position = 0, length = 0): Request {
  return { kind, flags: 0, loan: undefined, start: 0, position, length };
}

/**
 * Overwrites what lies between what was read: an earlier owner's bytes can be reached through any
 * view of the block.
 */
function clear(
  buffer: PooledBuffer,
  runs: readonly Run[],
  got: readonly number[],
): void {
  const { capacity, length } = buffer;
  buffer.resize(capacity);
  const { bytes } = buffer;
  let end = 0;
  runs.forEach((run, i) => {
    bytes.fill(0, end, run.start);
    end = run.start + got[i]!;
  });
  bytes.fill(0, end);
  buffer.truncate(length);
}

/**
 * Sees to it that nothing behind the first `length` bytes can be reached through a buffer: an
 * earlier owner's bytes may lie there.
 */
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
