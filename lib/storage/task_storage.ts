import {
  driveSync,
  inPlace,
  pair,
  perform,
  type Step,
  type Task,
} from "../base/mod.ts";
import {
  type Placing,
  type StorageTasks,
  tasksOfStorage,
} from "./file_steps.ts";
import type {
  Storage,
  StorageEntry,
  StorageLock,
  StorageOpenOptions,
  StorageTimer,
  StorageWatch,
} from "./storage.ts";
import { TaskFile } from "./task_file.ts";

/**
 * Gives each operation of a {@linkcode Storage} once, as a task: with promises or blocking.
 *
 * A caller that blocks must be able to finish a write at any moment (`Driver.finishSync`). So
 * writing uses the operations that run in place, such as `openNow`, and `syncDirectory`, which can
 * be finished where the storage is one of this library. The other tasks run with promises only.
 */
export class TaskStorage {
  /** The storage. */
  readonly storage: Storage;
  readonly #own: StorageTasks | undefined;
  /** The locks that were taken, by the paths of their directories. */
  readonly #locks = new Map<string, StorageLock>();

  /** Wraps a storage. */
  constructor(storage: Storage) {
    this.storage = storage;
    this.#own = tasksOfStorage(storage);
  }

  /** Opens a file. */
  *open(path: string, options?: StorageOpenOptions): Task<TaskFile> {
    return new TaskFile(
      yield* perform(pair(this.storage, "open", path, options)),
    );
  }

  /** Opens a file in place, also when driven with promises: for the few files of the write path. */
  openNow(path: string, options?: StorageOpenOptions): Task<TaskFile> {
    return inPlace("open", () => driveSync(this.open(path, options)));
  }

  /** Gives a file another name, replacing a file that has it. */
  rename(from: string, to: string): Task<void> {
    return perform(pair(this.storage, "rename", from, to));
  }

  /**
   * Gives a file another name in place, also when driven with promises: for the few files of the
   * write path.
   */
  renameNow(from: string, to: string): Task<void> {
    return inPlace("rename", () => driveSync(this.rename(from, to)));
  }

  /**
   * Gives an open file another name in place, and returns the file under that name, open: it is
   * opened again, with `options`, where the storage cannot keep it.
   */
  *renameOpen(
    file: TaskFile,
    to: string,
    options: StorageOpenOptions,
  ): Task<TaskFile> {
    yield* this.renameNow(file.path, to);
    if (file.renamed(to)) return file;
    yield* file.close();
    return yield* this.openNow(to, options);
  }

  /** Removes a file. */
  remove(path: string): Task<void> {
    return perform(pair(this.storage, "remove", path));
  }

  /**
   * Removes a file in place, also when driven with promises: for the few files of the write path.
   */
  removeNow(path: string): Task<void> {
    return inPlace("remove", () => driveSync(this.remove(path)));
  }

  /**
   * Removes a file without blocking the thread. A caller that blocks meanwhile removes it in place.
   */
  removeBeside(path: string): Task<void> {
    const { storage } = this;
    const runSync = () => storage.removeSync(path);
    const step: Step<void> = {
      kind: "remove",
      runSync,
      begin: (resolve, reject) => {
        storage.remove(path).then(resolve, reject);
        step.settleSync = () => {
          try {
            resolve(runSync());
          } catch (error) {
            reject(error);
          }
        };
      },
    };
    return perform(step);
  }

  /** Lists the entries of a directory, ordered by name. */
  list(path: string): Task<StorageEntry[]> {
    return perform(pair(this.storage, "list", path));
  }

  /**
   * Lists the entries of a directory in place, also when driven with promises: this saves the way
   * through a thread of the runtime.
   */
  listNow(path: string): Task<StorageEntry[]> {
    return inPlace("list", () => driveSync(this.list(path)));
  }

  /** Makes a directory and its missing parents; returns whether it was made. */
  makeDirectory(path: string): Task<boolean> {
    return perform(pair(this.storage, "makeDirectory", path));
  }

  /**
   * Makes a directory and its missing parents; returns what is left to do until its name is
   * durable.
   */
  *placeDirectory(path: string): Task<Placing> {
    if (this.#own?.placeDirectory !== undefined) {
      return yield* this.#own.placeDirectory(path);
    }
    yield* this.makeDirectory(path);
    return { syncs: [], [Symbol.dispose]() {} };
  }

  /**
   * Makes the names in a directory durable.
   *
   * The directory is opened in place, unless its lock has it open; the sync is an operation in
   * flight.
   */
  syncDirectory(path: string): Task<void> {
    return this.#own?.syncDirectory(path, this.#locks.get(path)) ??
      perform(pair(this.storage, "syncDirectory", path));
  }

  /** Waits; only the asynchronous version can be aborted. */
  delay(durationMs: number, options?: { signal?: AbortSignal }): Task<void> {
    return perform(pair(this.storage, "delay", durationMs, options));
  }

  /**
   * Returns whether nothing of the storage is in flight and the thread may wait in place; `false`
   * where unknown.
   */
  isIdle(): boolean {
    return this.storage.isIdle?.() ?? false;
  }

  /**
   * Lets the runtime serve other work; `undefined` where the storage has no such method.
   */
  pause(): Promise<void> | undefined {
    return this.storage.pause?.();
  }

  /** Takes the exclusive lock of a directory; `undefined` while another holds it. */
  lock(path: string): StorageLock | undefined {
    const lock = this.storage.lock(path);
    if (lock !== undefined) this.#locks.set(path, lock);
    return lock;
  }

  /** Returns whether the lock of a directory is held, without taking it. */
  isLocked(path: string): boolean {
    return this.storage.isLocked(path);
  }

  /** Returns whether a name is a symbolic link; `false` where the storage has none. */
  isLink(path: string): boolean {
    return this.storage.isLink?.(path) ?? false;
  }

  /** Calls a function after each change in a directory; `undefined` where that is not possible. */
  watch(
    path: string,
    onChange: (areNamesNew: boolean) => void,
  ): StorageWatch | undefined {
    return this.storage.watch?.(path, onChange);
  }

  /** Runs a function once, after some time of the storage's own clock. */
  after(delayMs: number, run: () => void): StorageTimer {
    return this.storage.after(delayMs, run);
  }

  /** Returns microseconds since the Unix epoch, UTC. */
  now(): number {
    return this.storage.now();
  }

  /** Fills a view with random bytes, and returns it. */
  random(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    return this.storage.random(bytes);
  }
}
