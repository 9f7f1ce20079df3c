import type { Task } from "../base/mod.ts";
import type { FrozenBuffer, PooledBuffer } from "../pool/mod.ts";
import type {
  BufferRange,
  Durability,
  PreallocateOptions,
  Storage,
  StorageFile,
  WriteOptions,
} from "./storage.ts";

/**
 * Names the operations that a file of this library has as tasks, whose steps tell their end by
 * callbacks.
 *
 * A caller that blocks can finish such a task while it is in flight. A file that a user wrote has
 * none, and its steps run with promises.
 */
export const fileTasks: unique symbol = Symbol("basalt.fileTasks");

/** How to write a block that is sealed first. */
export interface SealWriteOptions {
  /** Bytes to write from the beginning of the block; 0 only seals it. */
  length: number;
  durability: Durability;
}

/**
 * The operations of a {@linkcode StorageFile} as tasks; arguments are checked when a task starts.
 */
export interface FileTasks {
  read(
    buffer: PooledBuffer,
    position: number,
    range?: BufferRange,
  ): Task<number>;
  write(
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    options?: WriteOptions,
  ): Task<number>;
  /**
   * Seals the write block that `buffer` is, then writes its beginning, on a thread of the library.
   * The end of the block is the context of `basalt_seal`. A simulated file has no such thread.
   */
  sealAndWrite?(
    buffer: PooledBuffer,
    position: number,
    options: SealWriteOptions,
  ): Task<number>;
  sync(durability?: Exclude<Durability, "none">): Task<void>;
  truncate(length: number): Task<void>;
  preallocate(
    position: number,
    length: number,
    options?: PreallocateOptions,
  ): Task<boolean>;
  size(): Task<number>;
  close(): Task<void>;
}

/** The tasks of a file of this library; `undefined` for another one. */
export function tasksOfFile(file: StorageFile): FileTasks | undefined {
  return (file as { [fileTasks]?: FileTasks })[fileTasks];
}

/**
 * Names the operations that a storage of this library has as tasks, as {@linkcode fileTasks} does
 * those of a file.
 */
export const storageTasks: unique symbol = Symbol("basalt.storageTasks");

/**
 * The operations of a {@linkcode Storage} that a caller that blocks can finish while they are in
 * flight.
 */
export interface StorageTasks {
  syncDirectory(path: string): Task<void>;
}

/** The tasks of a storage of this library; `undefined` for another one. */
export function tasksOfStorage(storage: Storage): StorageTasks | undefined {
  return (storage as { [storageTasks]?: StorageTasks })[storageTasks];
}
