import { begin, checkChoice, checkInteger, type Step } from "../base/mod.ts";
import type { FrozenBuffer, PooledBuffer } from "../pool/mod.ts";
import {
  type BufferRange,
  type Capabilities,
  type Durability,
  isNoSpaceCode,
  type PreallocateOptions,
  type StorageFile,
  type WriteOptions,
} from "../storage/mod.ts";
import {
  closedError,
  failure,
  type FileSteps,
  fileSteps,
  lendRange,
  type OpenRequest,
} from "../storage/parts.ts";
import { blocksOf } from "./_contents.ts";
import { type FileUnit, type Inode, sizeUnit, zeroUnits } from "./_inode.ts";
import type { Machine, Task } from "./_machine.ts";
import { absolute } from "./_names.ts";
import {
  MAX_FILE_BYTES,
  noSpace,
  readTask,
  repeated,
  type Transfer,
  writeTask,
} from "./_transfers.ts";
import { abandon } from "./_unit_list.ts";

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
  #path: string;
  /** The capabilities, and their reasons, from the options of the disk. */
  readonly capabilities: Capabilities;
  readonly #machine: Machine;
  readonly #inode: Inode;
  readonly #request: OpenRequest;
  #inFlight = 0;
  /** Set when closing begins: no operation may begin after that. */
  #isClosing = false;
  #isClosed = false;
  /** Called when the file is closed. */
  readonly #whenClosed: (() => void)[] = [];

  readonly #steps: FileSteps = {
    read: (...args) => this.#step(this.#reading(...args)),
    write: (...args) => this.#step(this.#writing(...args)),
    sync: (durability) => this.#step(this.#syncing(durability)),
    truncate: (length) => this.#step(this.#truncating(length)),
    preallocate: (...args) => this.#step(this.#preallocating(...args)),
    size: () => this.#step(this.#sizing()),
    renamed: (path) => this.#path = path,
    close: () => ({
      kind: "close",
      begin: (resolve) => this.#beginClose(resolve),
      runSync: () => this.closeSync(),
      settleSync: () => this.closeSync(),
    }),
  };

  /** @ignore Opens a handle of a file. */
  constructor(
    machine: Machine,
    inode: Inode,
    path: string,
    request: OpenRequest,
  ) {
    this.#path = path;
    this.capabilities = machine.settings.capabilities;
    this.#machine = machine;
    this.#inode = inode;
    this.#request = request;
    inode.handles++;
    machine.open.add(inode);
  }

  /** The path that was opened. */
  get path(): string {
    return this.#path;
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
    return begin(() => this.#steps.read(buffer, position, range));
  }

  /** Sync version of {@linkcode SimulatedFile.read}. */
  readSync(
    buffer: PooledBuffer,
    position: number,
    range?: BufferRange,
  ): number {
    return this.#steps.read(buffer, position, range).runSync();
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
    return begin(() => this.#steps.write(buffer, position, options));
  }

  /** Sync version of {@linkcode SimulatedFile.write}. */
  writeSync(
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    options?: WriteOptions,
  ): number {
    return this.#steps.write(buffer, position, options).runSync();
  }

  /** Makes all writes durable that completed before it begins. */
  sync(durability?: Exclude<Durability, "none">): Promise<void> {
    return begin(() => this.#steps.sync(durability));
  }

  /** Sync version of {@linkcode SimulatedFile.sync}. */
  syncSync(durability?: Exclude<Durability, "none">): void {
    this.#steps.sync(durability).runSync();
  }

  /** Sets the size in bytes; new bytes are zeros. */
  truncate(length: number): Promise<void> {
    return begin(() => this.#steps.truncate(length));
  }

  /** Sync version of {@linkcode SimulatedFile.truncate}. */
  truncateSync(length: number): void {
    this.#steps.truncate(length).runSync();
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
    return begin(() => this.#steps.preallocate(position, length, options));
  }

  /** Sync version of {@linkcode SimulatedFile.preallocate}. */
  preallocateSync(
    position: number,
    length: number,
    options?: PreallocateOptions,
  ): boolean {
    return this.#steps.preallocate(position, length, options).runSync();
  }

  /** Returns the size in bytes. */
  size(): Promise<number> {
    return begin(() => this.#steps.size());
  }

  /** Sync version of {@linkcode SimulatedFile.size}. */
  sizeSync(): number {
    return this.#steps.size().runSync();
  }

  /** Returns the bytes that the disk has left for contents. */
  freeBytes(): number {
    this.#checkOpen("fstatfs");
    return this.#machine.freeBlocks() * this.#machine.settings.blockBytes;
  }

  /** Returns whether the path where it was opened still leads to this file. */
  isAtPath(): boolean {
    return this.#machine.names.get(absolute(this.path)) === this.#inode;
  }

  /**
   * Takes the exclusive lock of the file without waiting. Returns whether no other open file held
   * it.
   */
  lock(): boolean {
    this.#checkOpen("flock");
    const inode = this.#inode;
    return this.#machine.runSync({
      kind: "lock",
      path: inode.path,
      owner: this,
      effect: () => (inode.lockedBy ??= this) === this,
      fail: (code) => failure(code, "flock", this.path),
    });
  }

  /** Returns whether the file still has a name. */
  isNamed(): boolean {
    this.#checkOpen("statx");
    return this.#machine.names.get(this.#inode.path) === this.#inode;
  }

  /**
   * Completes the operations of this file that are in flight; their promises are resolved when it
   * returns.
   */
  settleSync(): void {
    this.#machine.scheduler.settleOwn(this);
  }

  /**
   * Closes the file after its operations in flight. No operation may start meanwhile. Closing twice
   * does nothing, and neither does closing after a crash.
   */
  close(): Promise<void> {
    return new Promise((resolve) => this.#beginClose(resolve));
  }

  /** Sync version of {@linkcode SimulatedFile.close}. */
  closeSync(): void {
    this.#isClosing = true;
    this.settleSync();
    this.#end();
  }

  /** Closes the file, as {@linkcode SimulatedFile.closeSync} does. */
  [Symbol.dispose](): void {
    this.closeSync();
  }

  /** Closes the file, as {@linkcode SimulatedFile.close} does. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #end(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#inode.lockedBy === this) this.#inode.lockedBy = undefined;
    if (--this.#inode.handles === 0) this.#machine.open.delete(this.#inode);
    for (const tell of this.#whenClosed.splice(0)) tell();
  }

  /** @ignore The operations as steps. */
  get [fileSteps](): FileSteps {
    return this.#steps;
  }

  #step<T>(task: Task<T>): Step<T> {
    return {
      kind: task.kind,
      begin: (resolve, reject) => {
        this.#inFlight++;
        this.#machine.begin(this.#counted(task), resolve, reject);
      },
      runSync: () => this.#machine.runSync(task),
      settleSync: () => this.settleSync(),
    };
  }

  #beginClose(resolve: () => void): void {
    if (this.#isClosed) return resolve();
    this.#whenClosed.push(resolve);
    this.#isClosing = true;
    if (this.#inFlight === 0) this.#end();
  }

  /** Returns a task that counts as in flight until it, and any task that follows, is over. */
  #counted<T>(task: Task<T>): Task<T> {
    return {
      ...task,
      follow: (outcome) => {
        const following = task.follow?.(outcome);
        return following === undefined ? undefined : this.#counted(following);
      },
      release: () => {
        task.release?.();
        if (--this.#inFlight === 0 && this.#isClosing) this.#end();
      },
    };
  }

  #reading(
    buffer: PooledBuffer,
    position: number,
    range?: BufferRange,
  ): Task<number> {
    return readTask(this.#transfer("read", buffer, position, range));
  }

  #writing(
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    options: WriteOptions = {},
  ): Task<number> {
    const { durability = "none" } = options;
    const choices = ["none", "data", "full"];
    checkChoice(`write '${this.path}'`, "durability", durability, choices);
    return writeTask(
      this.#transfer("write", buffer, position, options),
      durability,
    );
  }

  #syncing(durability: Exclude<Durability, "none"> = "data"): Task<void> {
    const choices = ["data", "full"];
    checkChoice(`sync '${this.path}'`, "durability", durability, choices);
    const syscall = durability === "data" ? "fdatasync" : "fsync";
    this.#checkOpen(syscall);
    const units = this.#inode.syncable();
    return {
      kind: "sync",
      path: this.#inode.path,
      details: { durability },
      owner: this,
      effect: () => this.#inode.settle(units),
      fail: (code) => {
        abandon(units);
        return failure(code, syscall, this.path);
      },
    };
  }

  #truncating(length: number): Task<void> {
    this.#checkMay("ftruncate", "write");
    const action = `ftruncate '${this.path}'`;
    checkInteger(action, "length", length);
    return repeated(this.#machine, {
      kind: "truncate",
      path: this.#inode.path,
      details: { length },
      owner: this,
      effect: () => {
        if (length > MAX_FILE_BYTES) {
          throw failure("EFBIG", "ftruncate", this.path);
        }
        this.#inode.apply([sizeUnit("truncate", length)]);
      },
      fail: (code) => failure(code, "ftruncate", this.path),
    });
  }

  #preallocating(
    position: number,
    length: number,
    { zeroed = false }: PreallocateOptions = {},
  ): Task<boolean> {
    this.#checkMay("fallocate", "write");
    const action = `fallocate '${this.path}'`;
    checkInteger(action, "position", position);
    const most = Number.MAX_SAFE_INTEGER - position;
    checkInteger(action, "length", length, 1, most);
    const { settings } = this.#machine;
    const inode = this.#inode;
    const end = position + length;
    const units = zeroed && settings.writesZeros
      ? this.#zeroing(position, length)
      : undefined;
    return repeated(this.#machine, {
      kind: "preallocate",
      path: inode.path,
      details: { position, length },
      owner: this,
      ...(units === undefined ? {} : { writes: { inode, units } }),
      effect: () => {
        if (end > MAX_FILE_BYTES) {
          throw noSpace("fallocate", this.path, length, 0, "EFBIG");
        }
        this.#checkSpace(position, length);
        inode.apply(units ?? [sizeUnit("preallocate", length, position)]);
        return units !== undefined;
      },
      fail: (code) => {
        // A device may have any part of zeros that it failed to write.
        if (code === "EIO" && units !== undefined) inode.doubt(units);
        return isNoSpaceCode(code)
          ? noSpace("fallocate", this.path, length, 0, code)
          : failure(code, "fallocate", this.path);
      },
    });
  }

  /** Returns the units of zeros that the device writes; none if they do not fit. */
  #zeroing(position: number, length: number): FileUnit[] {
    const { blockBytes, sizeBytes } = this.#machine.settings;
    const end = position + length;
    if (end > MAX_FILE_BYTES || length > sizeBytes) return [];
    const units = zeroUnits(position, length, blockBytes);
    if (end > this.#inode.current.size) units.push(sizeUnit("size", end));
    return units;
  }

  #checkSpace(position: number, length: number): void {
    const { current } = this.#inode;
    let free = this.#machine.freeBlocks();
    for (const block of blocksOf(position, length, current.blockBytes)) {
      if (!current.isAllocated(block) && free-- === 0) {
        throw noSpace("fallocate", this.path, length, 0);
      }
    }
  }

  #sizing(): Task<number> {
    this.#checkOpen("statx");
    return {
      kind: "size",
      path: this.#inode.path,
      owner: this,
      effect: () => this.#inode.current.size,
      fail: (code) => failure(code, "statx", this.path),
    };
  }

  #transfer(
    kind: "read" | "write",
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    range: BufferRange = {},
  ): Transfer {
    this.#checkMay(kind, kind);
    const { path, capabilities } = this;
    return {
      machine: this.#machine,
      inode: this.#inode,
      owner: this,
      loan: lendRange(kind, path, capabilities, buffer, position, range),
      position,
    };
  }

  #checkMay(syscall: string, needed: "read" | "write"): void {
    this.#checkOpen(syscall);
    if (this.#request[needed]) return;
    const advice = `the file was not opened with '${needed}: true'`;
    throw failure("EBADF", syscall, this.path, advice);
  }

  #checkOpen(syscall: string): void {
    if (this.#isClosing) throw closedError(syscall, this.path);
  }
}
