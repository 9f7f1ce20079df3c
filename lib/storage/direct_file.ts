import { begin, drive, driveSync, type Task } from "../base/mod.ts";
import type { FrozenBuffer, PooledBuffer } from "../pool/mod.ts";
import type { Capabilities } from "./capabilities.ts";
import {
  type DirectFileOptions,
  openRequest,
  type ReadAtOptions,
  type ReadManyOptions,
  type WriteItem,
} from "./direct_file_options.ts";
import { FileOperations } from "./_file_operations.ts";
import type { FileStats } from "./file_stats.ts";
import { type FileSteps, fileSteps } from "./file_steps.ts";
import { openFile } from "./_open_file.ts";
import { pathString } from "./paths.ts";
import type { FileStat } from "./probe.ts";
import { readRange, readRanges, writeRanges } from "./_ranges.ts";
import type { FileRange } from "./read_plan.ts";

import type {
  BufferRange,
  Durability,
  PreallocateOptions,
  StorageFile,
  WriteOptions,
} from "./storage.ts";
import { type DirectProof, proveDirect } from "./verify_direct.ts";

/**
 * A file whose bytes go between pooled buffers and the device without a copy and, in the direct
 * tier, without the page cache.
 *
 * Operations name their positions, so any number may be in flight. A buffer is lent while its
 * operation runs, and cannot be used meanwhile. {@linkcode DirectFile.capabilities} has the tier of
 * the file, the reason for it, and what positions and lengths must be a multiple of.
 *
 * Opening needs the permissions of `Deno.open`: Deno opens the path, and the library sees only the
 * descriptor.
 *
 * @example Writing and reading a block
 * ```ts
 * import { BufferPool, DirectFile } from "@basalt/io";
 * import { assertEquals } from "@std/assert";
 *
 * const dir = Deno.makeTempDirSync();
 * {
 *   await using file = await DirectFile.open(`${dir}/blocks`, {
 *     read: true,
 *     write: true,
 *     createNew: true,
 *   });
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
  /** What the file can do, and why; fixed at opening. */
  readonly capabilities: Capabilities;

  readonly #file: FileOperations;

  /** @ignore */
  private constructor(file: FileOperations) {
    this.capabilities = file.capabilities;
    this.#file = file;
  }

  /** Where it was opened. */
  get path(): string {
    return this.#file.path;
  }

  /**
   * Opens a regular file or a block device. A block device has a fixed size: a write beyond its end
   * is `NoSpaceError`.
   *
   * @throws {TypeError} If options contradict each other, or the path holds a NUL byte.
   * @throws {RangeError} If `mode` has other bits than those of permissions.
   * @throws {Deno.errors.NotCapable} If `Deno.open` would not be permitted.
   * @throws {Deno.errors.NotFound} If there is no such file and `create` is not set; other errors
   *   of `open(2)` likewise by their class.
   * @throws {Deno.errors.IsADirectory} If it is a directory.
   * @throws {UnsupportedError} If it is neither a regular file nor a block device, or
   *   `direct: "require"` is not possible. No file is left behind.
   */
  static open(
    path: string | URL,
    options: DirectFileOptions = {},
  ): Promise<DirectFile> {
    return drive(DirectFile.#opening(path, options));
  }

  /** Sync version of {@linkcode DirectFile.open}. */
  static openSync(
    path: string | URL,
    options: DirectFileOptions = {},
  ): DirectFile {
    return driveSync(DirectFile.#opening(path, options));
  }

  static *#opening(
    where: string | URL,
    options: DirectFileOptions,
  ): Task<DirectFile> {
    const path = pathString("open file", where);
    const request = openRequest(options);
    const opened = yield* openFile(path, request);
    return new DirectFile(new FileOperations(opened, request, options.pool));
  }

  /**
   * Fills a range of `buffer` from `position`. Resolves to the bytes read: fewer than asked only at
   * the end of the file.
   */
  read(
    buffer: PooledBuffer,
    position: number,
    range?: BufferRange,
  ): Promise<number> {
    return begin(() => this.#file.read(buffer, position, range));
  }

  /** Sync version of {@linkcode DirectFile.read}. */
  readSync(
    buffer: PooledBuffer,
    position: number,
    range?: BufferRange,
  ): number {
    return this.#file.read(buffer, position, range).runSync();
  }

  /**
   * Writes a range of `buffer` at `position`, all of it. Resolves to the bytes written.
   *
   * @throws {NoSpaceError} If the disk or the quota is full, with the bytes that were written.
   */
  write(
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    options?: WriteOptions,
  ): Promise<number> {
    return begin(() => this.#file.write(buffer, position, options));
  }

  /** Sync version of {@linkcode DirectFile.write}. */
  writeSync(
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    options?: WriteOptions,
  ): number {
    return this.#file.write(buffer, position, options).runSync();
  }

  /**
   * Reads any range without a copy, by reading the aligned range around it.
   *
   * The caller owns the resulting buffer. It is shorter than `length` only at the end of the file,
   * and empty beyond the end. No byte outside the range can be reached through it.
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
   * using file = DirectFile.openSync(path);
   * using rest = file.readAtSync(100, 600);
   * assertEquals(rest.length, 500);
   * Deno.removeSync(path);
   * ```
   */
  readAt(
    position: number,
    length: number,
    options: ReadAtOptions = {},
  ): Promise<PooledBuffer> {
    return drive(readRange(this.#file, position, length, options));
  }

  /** Sync version of {@linkcode DirectFile.readAt}. */
  readAtSync(position: number, length: number): PooledBuffer {
    return driveSync(readRange(this.#file, position, length));
  }

  /**
   * Reads many ranges of any position and length at once, into one block of the pool. Neighbouring
   * ranges share a read.
   *
   * The frozen buffers come in the order of `ranges`. Each is shorter than its range only at the
   * end of the file, and empty beyond the end. They share the block, which returns to the pool when
   * all of them are dropped.
   *
   * @param ranges Where to read; they may overlap. The aligned ranges, including the gaps that are
   *   read, are at most 512 MiB together.
   * @throws {PoolLimitError} If the pool's limit leaves no room, as the pool's `atLimit` says.
   *
   * @example Two records and the bytes between them, with one read
   * ```ts
   * import { DirectFile } from "@basalt/io";
   * import { assertEquals } from "@std/assert";
   *
   * const path = Deno.makeTempFileSync();
   * Deno.writeTextFileSync(path, "first, something else, second");
   * using file = DirectFile.openSync(path);
   * const records = await file.readMany([{ position: 23, length: 6 }, { position: 0, length: 5 }]);
   * const text = new TextDecoder();
   * assertEquals(records.map((each) => text.decode(each.bytes)), ["second", "first"]);
   * assertEquals(file.stats().reads, 1);
   * records.forEach((each) => each.drop());
   * Deno.removeSync(path);
   * ```
   */
  readMany(
    ranges: readonly FileRange[],
    options: ReadManyOptions = {},
  ): Promise<FrozenBuffer[]> {
    return drive(readRanges(this.#file, ranges, options));
  }

  /** Sync version of {@linkcode DirectFile.readMany}: one call, 128 reads in flight. */
  readManySync(
    ranges: readonly FileRange[],
    options: Omit<ReadManyOptions, "signal"> = {},
  ): FrozenBuffer[] {
    return driveSync(readRanges(this.#file, ranges, options));
  }

  /**
   * Writes many ranges at once, in any order. Where ranges of the file overlap, either may win.
   * Resolves to the bytes written, when all are.
   *
   * One sync after the last write makes them durable. If a write fails, the others still complete,
   * but none is known to be durable.
   *
   * @throws {NoSpaceError} If the disk or the quota is full, with the bytes that the first failed
   *   write has written.
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
    return drive(writeRanges(this.#file, items, options));
  }

  /** Sync version of {@linkcode DirectFile.writeMany}: one call, 128 writes in flight. */
  writeManySync(
    items: readonly WriteItem[],
    options: Pick<WriteOptions, "durability"> = {},
  ): number {
    return driveSync(writeRanges(this.#file, items, options));
  }

  /**
   * Makes everything that was written durable: `fdatasync(2)` for `"data"`, the default, `fsync(2)`
   * for `"full"`.
   */
  sync(durability?: Exclude<Durability, "none">): Promise<void> {
    return begin(() => this.#file.sync(durability));
  }

  /** Sync version of {@linkcode DirectFile.sync}. */
  syncSync(durability?: Exclude<Durability, "none">): void {
    this.#file.sync(durability).runSync();
  }

  /** Sets the size in bytes, which may be any; new bytes are zeros (`ftruncate(2)`). */
  truncate(length: number): Promise<void> {
    return begin(() => this.#file.truncate(length));
  }

  /** Sync version of {@linkcode DirectFile.truncate}. */
  truncateSync(length: number): void {
    this.#file.truncate(length).runSync();
  }

  /**
   * Allocates disk space for a range of any position and length; the size grows to its end
   * (`fallocate(2)`). Without `zeroed`, the contents do not change.
   *
   * Resolves to whether zeros were written: with `zeroed`, where kernel (Linux 6.17), filesystem
   * and device can (`FALLOC_FL_WRITE_ZEROES`). Elsewhere the space is allocated all the same.
   *
   * @throws {NoSpaceError} If there is not enough space.
   * @throws {Deno.errors.NotSupported} If the filesystem cannot.
   */
  preallocate(
    position: number,
    length: number,
    options?: PreallocateOptions,
  ): Promise<boolean> {
    return begin(() => this.#file.preallocate(position, length, options));
  }

  /** Sync version of {@linkcode DirectFile.preallocate}. */
  preallocateSync(
    position: number,
    length: number,
    options?: PreallocateOptions,
  ): boolean {
    return this.#file.preallocate(position, length, options).runSync();
  }

  /** Returns the size in bytes. */
  size(): Promise<number> {
    return begin(() => this.#file.size());
  }

  /** Sync version of {@linkcode DirectFile.size}. */
  sizeSync(): number {
    return this.#file.size().runSync();
  }

  /**
   * Takes the exclusive lock of the file (`flock(2)`) without waiting. Returns whether no other
   * open file held it.
   *
   * It ends when the file is closed, or with the process.
   *
   * @example Two open files, one lock
   * ```ts
   * import { DirectFile } from "@basalt/io";
   * import { assertEquals } from "@std/assert";
   *
   * const path = Deno.makeTempFileSync();
   * {
   *   using first = DirectFile.openSync(path);
   *   using second = DirectFile.openSync(path);
   *   assertEquals([first.lock(), second.lock()], [true, false]);
   * }
   * Deno.removeSync(path);
   * ```
   */
  lock(): boolean {
    return this.#file.openFor("flock").lock();
  }

  /** Returns whether the file still has a name: it was not removed, and no other replaced it. */
  isNamed(): boolean {
    return this.#file.openFor("statx").probe().links > 0;
  }

  /** Returns what the filesystem records about the file. */
  stat(): Promise<FileStat> {
    return new Promise((resolve) => resolve(this.statSync()));
  }

  /** Sync version of {@linkcode DirectFile.stat}. */
  statSync(): FileStat {
    return this.#file.openFor("statx").stat();
  }

  /**
   * Proves that reading bypasses the page cache: reads a block that is not cached, and checks that
   * it still is not (`cachestat(2)`, Linux 6.5).
   *
   * The counts are those of the whole file. They include pages that other readers and writers left
   * in the cache, which prove nothing.
   *
   * @throws {UnsupportedError} If the kernel has no `cachestat(2)`.
   *
   * @example A file in the page cache
   * ```ts
   * import { DirectFile } from "@basalt/io";
   * import { assertEquals } from "@std/assert";
   *
   * const path = Deno.makeTempFileSync();
   * Deno.writeFileSync(path, new Uint8Array(8192));
   * using file = DirectFile.openSync(path, { direct: "never" });
   * const proof = file.verifyDirectSync();
   * assertEquals(proof.direct, false);
   * console.log(`${proof.cachedPages} pages in the cache: ${proof.reason}`);
   * Deno.removeSync(path);
   * ```
   */
  verifyDirect(): Promise<DirectProof> {
    return drive(proveDirect(this.#file));
  }

  /** Sync version of {@linkcode DirectFile.verifyDirect}. */
  verifyDirectSync(): DirectProof {
    return driveSync(proveDirect(this.#file));
  }

  /** Returns the counters since the file was opened, also after it was closed. */
  stats(): FileStats {
    return { ...this.#file.counters };
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
   * using file = DirectFile.openSync(path);
   * const free = file.freeBytes();
   * if (free !== undefined && free < 64 * 2 ** 20) console.log("the disk is nearly full");
   * Deno.removeSync(path);
   * ```
   */
  freeBytes(): number | undefined {
    const descriptor = this.#file.openFor("fstatfs");
    // The name of a block device lies on a filesystem, its bytes do not.
    if (this.capabilities.filesystem === "none") return undefined;
    return descriptor.freeBytes();
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
   * Deno.removeSync(path);
   * assertEquals(file.isAtPath(), false);
   * ```
   */
  isAtPath(): boolean {
    return this.#file.openFor("statx").isAtPath();
  }

  /**
   * Blocks until the operations in flight have completed, those of the whole isolate. Their
   * promises are resolved when it returns.
   */
  settleSync(): void {
    this.#file.settleSync();
  }

  /**
   * Closes the file after its operations in flight. No operation may start meanwhile. Closing twice
   * does nothing.
   */
  close(): Promise<void> {
    return begin(() => this.#file.close());
  }

  /** Sync version of {@linkcode DirectFile.close}. */
  closeSync(): void {
    this.#file.close().runSync();
  }

  /** Closes the file, as {@linkcode DirectFile.closeSync} does. */
  [Symbol.dispose](): void {
    this.closeSync();
  }

  /** Closes the file, as {@linkcode DirectFile.close} does. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** @ignore The operations as steps. */
  get [fileSteps](): FileSteps {
    return this.#file;
  }
}
