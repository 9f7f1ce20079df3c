import { pair, type Step, type Task } from "../base/mod.ts";
import type { PooledBuffer } from "../pool/mod.ts";
import type { Storage, StorageFile, StorageLock } from "./storage.ts";

/** Names the operations of a file of this library, which are steps. */
export const fileSteps: unique symbol = Symbol("basalt.fileSteps");

/** The operations of a file that have an async and a sync version. */
type Operation =
  | "read"
  | "write"
  | "sync"
  | "truncate"
  | "preallocate"
  | "size"
  | "close";

/** The arguments of an operation, as its async and its sync version take them. */
export type OperationArgs<name extends Operation> = Parameters<
  StorageFile[name]
>;

type OperationSteps = {
  [name in Operation]: (
    ...args: OperationArgs<name>
  ) => Step<Awaited<ReturnType<StorageFile[name]>>>;
};

/**
 * The operations of a file, each as one step, which has an async and a sync version.
 *
 * Making a step checks the arguments and lends the memory, so it is begun or run at once, and once.
 * A caller that blocks can finish the steps of a file of this library while they are in flight.
 */
export interface FileSteps extends OperationSteps {
  /**
   * Seals the write block that `buffer` is, on a thread of the library. The end of the block is the
   * context of `basalt_seal`. A simulated file has no such thread.
   */
  seal?(buffer: PooledBuffer): Step<void>;
  /** Called when the open file was given another name. */
  renamed?(path: string): void;
}

/** A file of which every operation is a step. */
export interface SteppedFile
  extends Omit<StorageFile, Operation | `${Operation}Sync`> {
  readonly [fileSteps]: FileSteps;
}

/** Returns the operations of a file: its own steps, or the pairs of methods of another one. */
export function stepsOfFile(file: StorageFile | SteppedFile): FileSteps {
  if (fileSteps in file) return file[fileSteps];
  return {
    read: (...args) => pair(file, "read", ...args),
    write: (...args) => pair(file, "write", ...args),
    sync: (durability) => pair(file, "sync", durability),
    truncate: (length) => pair(file, "truncate", length),
    preallocate: (...args) => pair(file, "preallocate", ...args),
    size: () => pair(file, "size"),
    close: () => pair(file, "close"),
  };
}

/** Names the operations of a storage of this library that are tasks. */
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
  /** Makes a directory in place; the syncs of its name are left to do. */
  placeDirectory?(path: string): Task<Placing>;
}

/** The work left until the name of a directory is durable. Disposal closes the descriptors. */
export interface Placing extends Disposable {
  /** The syncs, in any order. */
  readonly syncs: readonly Task<void>[];
}

/** Returns the tasks of a storage of this library; `undefined` for another one. */
export function tasksOfStorage(storage: Storage): StorageTasks | undefined {
  return (storage as { [storageTasks]?: StorageTasks })[storageTasks];
}
