import { inPlace, step, type Task } from "../base/mod.ts";
import type { FrozenBuffer, PooledBuffer } from "../pool/mod.ts";
import type { Capabilities } from "./capabilities.ts";
import {
  type FileTasks,
  type SealWriteOptions,
  tasksOfFile,
} from "./own_tasks.ts";
import type {
  BufferRange,
  Durability,
  PreallocateOptions,
  StorageFile,
  WriteOptions,
} from "./storage.ts";

/**
 * Gives each operation of a {@linkcode StorageFile} once, as a task: with promises or blocking.
 *
 * Where the file is one of this library, a caller that blocks can finish the task while an
 * operation is in flight (`Driver.finishSync`).
 */
export class TaskFile {
  /** The file. */
  readonly file: StorageFile;
  readonly #own: FileTasks | undefined;

  /** Wraps an open file, which the caller still closes. */
  constructor(file: StorageFile) {
    this.file = file;
    this.#own = tasksOfFile(file);
  }

  /** Where the file was opened. */
  get path(): string {
    return this.file.path;
  }

  /** What the file can do, and why. */
  get capabilities(): Capabilities {
    return this.file.capabilities;
  }

  /** Fills a range of `buffer` from `position`; returns the bytes read. */
  read(
    buffer: PooledBuffer,
    position: number,
    range?: BufferRange,
  ): Task<number> {
    if (this.#own !== undefined) {
      return this.#own.read(buffer, position, range);
    }
    const { file } = this;
    return step(
      () => file.read(buffer, position, range),
      () => file.readSync(buffer, position, range),
      "read",
    );
  }

  /**
   * Fills a range of `buffer` from `position` in place, also when driven with promises: for a block or two,
   * which take less than the way through a ring or a thread.
   */
  readNow(
    buffer: PooledBuffer,
    position: number,
    range?: BufferRange,
  ): Task<number> {
    const { file } = this;
    return inPlace("read", () => file.readSync(buffer, position, range));
  }

  /** Writes a range of `buffer` at `position`; returns the bytes written. */
  write(
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    options?: WriteOptions,
  ): Task<number> {
    if (this.#own !== undefined) {
      return this.#own.write(buffer, position, options);
    }
    const { file } = this;
    return step(
      () => file.write(buffer, position, options),
      () => file.writeSync(buffer, position, options),
      "write",
    );
  }

  /**
   * Whether {@linkcode TaskFile.sealAndWrite} can be used: the file writes by threads of the
   * library.
   */
  get seals(): boolean {
    return this.#own?.sealAndWrite !== undefined;
  }

  /**
   * Seals the write block that `buffer` is, then writes its beginning at `position`; returns the
   * bytes written. A block whose operation was begun is sealed, also if the write failed.
   */
  sealAndWrite(
    buffer: PooledBuffer,
    position: number,
    options: SealWriteOptions,
  ): Task<number> {
    return this.#own!.sealAndWrite!(buffer, position, options);
  }

  /** Makes everything that was written durable. */
  sync(durability?: Exclude<Durability, "none">): Task<void> {
    if (this.#own !== undefined) return this.#own.sync(durability);
    const { file } = this;
    return step(
      () => file.sync(durability),
      () => file.syncSync(durability),
      "sync",
    );
  }

  /** Sets the size in bytes; new bytes are zeros. */
  truncate(length: number): Task<void> {
    if (this.#own !== undefined) return this.#own.truncate(length);
    const { file } = this;
    return step(
      () => file.truncate(length),
      () => file.truncateSync(length),
      "truncate",
    );
  }

  /** Allocates disk space for a range; returns whether zeros were written. */
  preallocate(
    position: number,
    length: number,
    options?: PreallocateOptions,
  ): Task<boolean> {
    if (this.#own !== undefined) {
      return this.#own.preallocate(position, length, options);
    }
    const { file } = this;
    return step(
      () => file.preallocate(position, length, options),
      () => file.preallocateSync(position, length, options),
      "preallocate",
    );
  }

  /** Returns the size in bytes. */
  size(): Task<number> {
    if (this.#own !== undefined) return this.#own.size();
    const { file } = this;
    return step(() => file.size(), () => file.sizeSync(), "size");
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
  close(): Task<void> {
    if (this.#own !== undefined) return this.#own.close();
    const { file } = this;
    return step(() => file.close(), () => file.closeSync(), "close");
  }
}
