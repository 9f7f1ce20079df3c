import { inPlace, type Task } from "../base/mod.ts";
import type { PooledBuffer } from "../pool/mod.ts";
import type { Capabilities } from "./capabilities.ts";
import {
  type FileSteps,
  type OperationArgs,
  type SteppedFile,
  stepsOfFile,
} from "./file_steps.ts";
import type { StorageFile } from "./storage.ts";

/**
 * Gives each operation of a file once, as a task: with promises or blocking.
 *
 * Where the file is one of this library, a caller that blocks can finish the task while an
 * operation is in flight (`Driver.finishSync`).
 */
export class TaskFile {
  readonly #file: StorageFile | SteppedFile;
  readonly #steps: FileSteps;

  /** Wraps an open file, which the caller still closes. */
  constructor(file: StorageFile | SteppedFile) {
    this.#file = file;
    this.#steps = stepsOfFile(file);
  }

  /** Where the file was opened. */
  get path(): string {
    return this.#file.path;
  }

  /** What the file can do, and why. */
  get capabilities(): Capabilities {
    return this.#file.capabilities;
  }

  /** Fills a range of `buffer` from `position`; returns the bytes read. */
  *read(...args: OperationArgs<"read">): Task<number> {
    return (yield this.#steps.read(...args)) as number;
  }

  /**
   * Fills a range of `buffer` from `position` in place, also when driven with promises. For one or
   * two blocks this takes less time than a ring or a thread.
   */
  readNow(...args: OperationArgs<"read">): Task<number> {
    return inPlace("read", () => this.#steps.read(...args).runSync());
  }

  /** Writes a range of `buffer` at `position`; returns the bytes written. */
  *write(...args: OperationArgs<"write">): Task<number> {
    return (yield this.#steps.write(...args)) as number;
  }

  /**
   * Writes a range of `buffer` at `position` in place, also when driven with promises: for one or
   * two blocks that need not be durable yet.
   */
  writeNow(...args: OperationArgs<"write">): Task<number> {
    return inPlace("write", () => this.#steps.write(...args).runSync());
  }

  /** Whether {@linkcode TaskFile.seal} can be used. */
  get seals(): boolean {
    return this.#steps.seal !== undefined;
  }

  /**
   * Starts sealing the write block that `buffer` is, on a thread of the library. One of both
   * functions is called when that is over.
   */
  seal(
    buffer: PooledBuffer,
    resolve: () => void,
    reject: (error: unknown) => void,
  ): void {
    this.#steps.seal!(buffer).begin!(resolve, reject);
  }

  /** Makes everything that was written durable. */
  *sync(...args: OperationArgs<"sync">): Task<void> {
    yield this.#steps.sync(...args);
  }

  /** Sets the size in bytes; new bytes are zeros. */
  *truncate(length: number): Task<void> {
    yield this.#steps.truncate(length);
  }

  /**
   * Sets the size in bytes in place, also when driven with promises: where it frees one or two
   * blocks.
   */
  truncateNow(length: number): Task<void> {
    return inPlace("truncate", () => this.#steps.truncate(length).runSync());
  }

  /** Allocates disk space for a range; returns whether zeros were written. */
  *preallocate(...args: OperationArgs<"preallocate">): Task<boolean> {
    return (yield this.#steps.preallocate(...args)) as boolean;
  }

  /** Returns the size in bytes. */
  *size(): Task<number> {
    return (yield this.#steps.size()) as number;
  }

  /**
   * Returns the bytes that an unprivileged user can still allocate there; `undefined` where
   * unknown.
   */
  freeBytes(): number | undefined {
    return this.#file.freeBytes?.();
  }

  /** Returns whether its path still leads to this file; `true` where that is not known. */
  isAtPath(): boolean {
    return this.#file.isAtPath?.() ?? true;
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
    const is = this.#file[method]?.();
    if (is !== undefined) return is;
    throw new Deno.errors.NotSupported(
      `Cannot use '${this.path}': files of this storage have no '${method}'`,
    );
  }

  /** Takes a new path for the open file; returns whether the file continues under it. */
  renamed(path: string): boolean {
    this.#steps.renamed?.(path);
    return this.#steps.renamed !== undefined;
  }

  /**
   * Blocks until no operation of this file is in flight, and all callers were told.
   */
  settleSync(): void {
    this.#file.settleSync();
  }

  /** Ends the file after its operations in flight. */
  *close(): Task<void> {
    yield this.#steps.close();
  }
}
