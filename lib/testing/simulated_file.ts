import { begin } from "../base/mod.ts";
import type { FrozenBuffer, PooledBuffer } from "../pool/mod.ts";
import type {
  BufferRange,
  Capabilities,
  Durability,
  PreallocateOptions,
  StorageFile,
  WriteOptions,
} from "../storage/mod.ts";
import { type FileSteps, fileSteps } from "../storage/parts.ts";
import type { FileOperations } from "./_file_operations.ts";
import { absolute } from "./_names.ts";

/**
 * An open file of a `SimulatedDisk`. It lends memory, checks arguments and throws errors as a real
 * file does.
 *
 * Operations that do not block complete in later turns of the event loop, in an order that the
 * disk's seed decides.
 *
 * @example What a power cut leaves of a write without durability
 * ```ts
 * import { BufferPool } from "@basalt/io";
 * import { SimulatedDisk } from "@basalt/io/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const disk = new SimulatedDisk({ seed: 1 });
 * using pool = new BufferPool({ limitBytes: 1 << 20 });
 * using buffer = pool.acquireSync(4096);
 * const file = disk.openSync("/file", { write: true, createNew: true });
 * file.writeSync(buffer, 0);
 * disk.syncDirectorySync("/");
 * assertEquals(file.sizeSync(), 4096);
 * assertEquals(disk.crash("none").openSync("/file", { read: true }).sizeSync(), 0);
 * ```
 */
export class SimulatedFile implements StorageFile, Disposable, AsyncDisposable {
  /** The capabilities, and their reasons, from the options of the disk. */
  readonly capabilities: Capabilities;
  readonly #file: FileOperations;

  /** @ignore Opens a handle of a file. */
  constructor(file: FileOperations) {
    this.#file = file;
    this.capabilities = file.machine.settings.capabilities;
  }

  /** The path that was opened. */
  get path(): string {
    return this.#file.path;
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

  /** Sync version of {@linkcode SimulatedFile.read}. */
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
   * @throws {NoSpaceError} If the disk is full, with the bytes that were written.
   */
  write(
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    options?: WriteOptions,
  ): Promise<number> {
    return begin(() => this.#file.write(buffer, position, options));
  }

  /** Sync version of {@linkcode SimulatedFile.write}. */
  writeSync(
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    options?: WriteOptions,
  ): number {
    return this.#file.write(buffer, position, options).runSync();
  }

  /** Makes all writes durable that completed before it begins. */
  sync(durability?: Exclude<Durability, "none">): Promise<void> {
    return begin(() => this.#file.sync(durability));
  }

  /** Sync version of {@linkcode SimulatedFile.sync}. */
  syncSync(durability?: Exclude<Durability, "none">): void {
    this.#file.sync(durability).runSync();
  }

  /** Sets the size in bytes; new bytes are zeros. */
  truncate(length: number): Promise<void> {
    return begin(() => this.#file.truncate(length));
  }

  /** Sync version of {@linkcode SimulatedFile.truncate}. */
  truncateSync(length: number): void {
    this.#file.truncate(length).runSync();
  }

  /**
   * Takes space for a range of any position and length; the size grows to its end. Without
   * `zeroed`, the contents do not change.
   *
   * Resolves to whether zeros were written: with `zeroed`, if the disk has the option
   * `writesZeros`.
   *
   * @throws {NoSpaceError} If there is not enough space.
   */
  preallocate(
    position: number,
    length: number,
    options?: PreallocateOptions,
  ): Promise<boolean> {
    return begin(() => this.#file.preallocate(position, length, options));
  }

  /** Sync version of {@linkcode SimulatedFile.preallocate}. */
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

  /** Sync version of {@linkcode SimulatedFile.size}. */
  sizeSync(): number {
    return this.#file.size().runSync();
  }

  /** Returns the bytes that the disk has left for contents. */
  freeBytes(): number {
    const { machine } = this.#file;
    this.#file.checkOpen("fstatfs");
    return machine.freeBlocks() * machine.settings.blockBytes;
  }

  /** Returns whether the path where it was opened still leads to this file. */
  isAtPath(): boolean {
    const { machine, inode } = this.#file;
    return machine.names.get(absolute(this.path)) === inode;
  }

  /**
   * Takes the exclusive lock of the file without waiting. Returns whether no other open file held
   * it.
   */
  lock(): boolean {
    return this.#file.lock();
  }

  /** Returns whether the file still has a name. */
  isNamed(): boolean {
    const { machine, inode } = this.#file;
    this.#file.checkOpen("statx");
    return machine.names.get(inode.path) === inode;
  }

  /**
   * Completes the operations of this file that are in flight; their promises are resolved when it
   * returns.
   */
  settleSync(): void {
    this.#file.settleSync();
  }

  /**
   * Closes the file after its operations in flight. No operation may start meanwhile. Closing twice
   * does nothing, and neither does closing after a crash.
   */
  close(): Promise<void> {
    return begin(() => this.#file.close());
  }

  /** Sync version of {@linkcode SimulatedFile.close}. */
  closeSync(): void {
    this.#file.close().runSync();
  }

  /** Closes the file, as {@linkcode SimulatedFile.closeSync} does. */
  [Symbol.dispose](): void {
    this.closeSync();
  }

  /** Closes the file, as {@linkcode SimulatedFile.close} does. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** @ignore The operations as steps. */
  get [fileSteps](): FileSteps {
    return this.#file;
  }
}
