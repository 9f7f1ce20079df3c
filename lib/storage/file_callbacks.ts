import type { Task } from "../base/mod.ts";
import type { FrozenBuffer, PooledBuffer } from "../pool/mod.ts";
import type {
  BufferRange,
  Durability,
  PreallocateOptions,
  Storage,
  StorageFile,
  StorageLock,
  WriteOptions,
} from "./storage.ts";

/**
 * Names the operations of a file of this library that tell their end by callbacks.
 *
 * A caller that blocks can finish such an operation while it is in flight. A file that a user wrote
 * has none, and is used with promises.
 */
export const fileCallbacks: unique symbol = Symbol("basalt.fileCallbacks");

/** Called with the error of an operation that failed. */
export type Reject = (error: unknown) => void;

/**
 * The operations of a {@linkcode StorageFile} with callbacks: one of both is called once, possibly
 * before the operation returns. An operation that throws was not started.
 */
export interface FileCallbacks {
  read(
    buffer: PooledBuffer,
    position: number,
    range: BufferRange,
    resolve: (bytes: number) => void,
    reject: Reject,
  ): void;
  write(
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    options: WriteOptions,
    resolve: (bytes: number) => void,
    reject: Reject,
  ): void;
  /**
   * Seals the write block that `buffer` is, on a thread of the library. The end of the block is the
   * context of `basalt_seal`. A simulated file has no such thread.
   */
  seal?(buffer: PooledBuffer, resolve: () => void, reject: Reject): void;
  sync(
    durability: Exclude<Durability, "none">,
    resolve: () => void,
    reject: Reject,
  ): void;
  truncate(length: number, resolve: () => void, reject: Reject): void;
  preallocate(
    position: number,
    length: number,
    options: PreallocateOptions,
    resolve: (areZerosWritten: boolean) => void,
    reject: Reject,
  ): void;
  size(resolve: (bytes: number) => void, reject: Reject): void;
  /** Called when the open file was given another name. */
  renamed?(path: string): void;
  close(resolve: () => void, reject: Reject): void;
}

/** The operations with callbacks of a file of this library; `undefined` for another one. */
export function callbacksOfFile(file: StorageFile): FileCallbacks | undefined {
  return (file as { [fileCallbacks]?: FileCallbacks })[fileCallbacks];
}

/**
 * Names the operations that a storage of this library has as tasks, which a caller that blocks can
 * finish while they are in flight.
 */
export const storageTasks: unique symbol = Symbol("basalt.storageTasks");

/**
 * The operations of a {@linkcode Storage} that a caller that blocks can finish while they are in
 * flight.
 */
export interface StorageTasks {
  /**
   * Makes the names in a directory durable.
   *
   * @param lock Its lock, which may have been released: one that is held has the directory open.
   */
  syncDirectory(path: string, lock?: StorageLock): Task<void>;
  /** Makes a directory in place; what makes its name durable is left to do. */
  placeDirectory?(path: string): Task<Placing>;
}

/** What is left to do until the name of a directory is durable. Disposal closes what it needs. */
export interface Placing extends Disposable {
  /** The syncs, in any order. */
  readonly syncs: readonly Task<void>[];
}

/** The tasks of a storage of this library; `undefined` for another one. */
export function tasksOfStorage(storage: Storage): StorageTasks | undefined {
  return (storage as { [storageTasks]?: StorageTasks })[storageTasks];
}
