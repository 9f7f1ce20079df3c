import { inPlace, type Step, type Task } from "../base/mod.ts";
import type { FrozenBuffer, PooledBuffer } from "../pool/mod.ts";
import type { Capabilities } from "./capabilities.ts";
import {
  callbacksOfFile,
  type FileCallbacks,
  type Reject,
} from "./file_callbacks.ts";
import type {
  BufferRange,
  Durability,
  PreallocateOptions,
  StorageFile,
  WriteOptions,
} from "./storage.ts";

/** Nothing said: an options object that is not made anew for each call. */
const NOTHING = {};

/**
 * Gives each operation of a {@linkcode StorageFile} once, as a task: with promises or blocking.
 *
 * Where the file is one of this library, a caller that blocks can finish the task while an
 * operation is in flight (`Driver.finishSync`).
 */
export class TaskFile {
  /** The file. */
  readonly file: StorageFile;
  readonly #own: FileCallbacks | undefined;

  /** Wraps an open file, which the caller still closes. */
  constructor(file: StorageFile) {
    this.file = file;
    this.#own = callbacksOfFile(file);
  }

  /** Where the file was opened. */
  get path(): string {
    return this.file.path;
  }

  /** Takes a new path for the open file; returns whether the file goes on under it. */
  renamed(path: string): boolean {
    if (this.#own?.renamed === undefined) return false;
    this.#own.renamed(path);
    return true;
  }

  /**
   * Takes the exclusive lock of the file without waiting; returns whether no other open file held
   * it.
   *
   * @throws {Deno.errors.NotSupported} If the storage cannot lock files.
   */
  lock(): boolean {
    return this.#able("lock");
  }

  /**
   * Returns whether the file still has a name.
   *
   * @throws {Deno.errors.NotSupported} If the storage cannot tell.
   */
  isNamed(): boolean {
    return this.#able("isNamed");
  }

  #able(method: "lock" | "isNamed"): boolean {
    const { file } = this;
    if (file[method] !== undefined) return file[method]();
    throw new Deno.errors.NotSupported(
      `Cannot use '${this.path}': files of this storage have no '${method}'`,
    );
  }

  /** What the file can do, and why. */
  get capabilities(): Capabilities {
    return this.file.capabilities;
  }

  /** Fills a range of `buffer` from `position`; returns the bytes read. */
  *read(
    buffer: PooledBuffer,
    position: number,
    range: BufferRange = NOTHING,
  ): Task<number> {
    return (yield this.#step<number>(
      "read",
      (resolve, reject) =>
        this.#own!.read(buffer, position, range, resolve, reject),
      () => this.file.read(buffer, position, range),
      () => this.file.readSync(buffer, position, range),
    )) as number;
  }

  /**
   * Fills a range of `buffer` from `position` in place, also when driven with promises: for a block
   * or two, which take less than the way through a ring or a thread.
   */
  readNow(
    buffer: PooledBuffer,
    position: number,
    range?: BufferRange,
  ): Task<number> {
    return inPlace("read", () => this.file.readSync(buffer, position, range));
  }

  /** Writes a range of `buffer` at `position`; returns the bytes written. */
  *write(
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    options: WriteOptions = NOTHING,
  ): Task<number> {
    return (yield this.#step<number>(
      "write",
      (resolve, reject) =>
        this.#own!.write(buffer, position, options, resolve, reject),
      () => this.file.write(buffer, position, options),
      () => this.file.writeSync(buffer, position, options),
    )) as number;
  }

  /**
   * Writes a range of `buffer` at `position` in place, also when driven with promises: for a block
   * or two that need not be durable yet.
   */
  writeNow(
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    options?: BufferRange,
  ): Task<number> {
    return inPlace(
      "write",
      () => this.file.writeSync(buffer, position, options),
    );
  }

  /** Whether {@linkcode TaskFile.seal} can be used. */
  get seals(): boolean {
    return this.#own?.seal !== undefined;
  }

  /**
   * Starts sealing the write block that `buffer` is, on a thread of the library. One of both
   * functions is called when that is over.
   */
  seal(buffer: PooledBuffer, resolve: () => void, reject: Reject): void {
    this.#own!.seal!(buffer, resolve, reject);
  }

  /** Makes everything that was written durable. */
  *sync(durability: Exclude<Durability, "none"> = "data"): Task<void> {
    yield this.#step<void>(
      "sync",
      (resolve, reject) => this.#own!.sync(durability, resolve, reject),
      () => this.file.sync(durability),
      () => this.file.syncSync(durability),
    );
  }

  /** Sets the size in bytes; new bytes are zeros. */
  *truncate(length: number): Task<void> {
    yield this.#step<void>(
      "truncate",
      (resolve, reject) => this.#own!.truncate(length, resolve, reject),
      () => this.file.truncate(length),
      () => this.file.truncateSync(length),
    );
  }

  /**
   * Sets the size in bytes in place, also when driven with promises: where only a block or two are
   * freed.
   */
  truncateNow(length: number): Task<void> {
    return inPlace("truncate", () => this.file.truncateSync(length));
  }

  /** Allocates disk space for a range; returns whether zeros were written. */
  *preallocate(
    position: number,
    length: number,
    options: PreallocateOptions = NOTHING,
  ): Task<boolean> {
    return (yield this.#step<boolean>(
      "preallocate",
      (resolve, reject) =>
        this.#own!.preallocate(position, length, options, resolve, reject),
      () => this.file.preallocate(position, length, options),
      () => this.file.preallocateSync(position, length, options),
    )) as boolean;
  }

  /** Returns the size in bytes. */
  *size(): Task<number> {
    return (yield this.#step<number>(
      "size",
      (resolve, reject) => this.#own!.size(resolve, reject),
      () => this.file.size(),
      () => this.file.sizeSync(),
    )) as number;
  }

  /**
   * Returns the bytes that an unprivileged user can still allocate there; `undefined` where
   * unknown.
   */
  freeBytes(): number | undefined {
    return this.file.freeBytes?.();
  }

  /** Returns whether its path still leads to this file; `true` where the storage does not tell. */
  isAtPath(): boolean {
    return this.file.isAtPath?.() ?? true;
  }

  /**
   * Blocks until no operation of this file is in flight, and all of them have told that they are
   * over.
   */
  settleSync(): void {
    this.file.settleSync();
  }

  /** Ends the file after its operations in flight. */
  *close(): Task<void> {
    yield this.#step<void>(
      "close",
      (resolve, reject) => this.#own!.close(resolve, reject),
      () => this.file.close(),
      () => this.file.closeSync(),
      () => this.file.closeSync(),
    );
  }

  /** One operation in the forms that the file has. */
  #step<T>(
    kind: string,
    begin: (resolve: (value: T) => void, reject: Reject) => void,
    run: () => Promise<T>,
    runSync: () => T,
    settleSync: () => void = () => this.file.settleSync(),
  ): Step<unknown> {
    const step: Step<T> = this.#own === undefined
      ? { kind, run, runSync }
      : { kind, begin, runSync, settleSync };
    return step as Step<unknown>;
  }
}
