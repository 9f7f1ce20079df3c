import { step, type Task } from "../base/mod.ts";
import type {
  Storage,
  StorageEntry,
  StorageLock,
  StorageOpenOptions,
  StorageTimer,
} from "./storage.ts";
import { TaskFile } from "./task_file.ts";

/**
 * Gives each operation of a {@linkcode Storage} once, as a task: with promises or blocking.
 *
 * It holds nothing but the storage, so that making one costs nothing worth saving.
 */
export class TaskStorage {
  /** The storage. */
  readonly storage: Storage;

  /** Wraps a storage. */
  constructor(storage: Storage) {
    this.storage = storage;
  }

  /** Opens a file. */
  *open(path: string, options?: StorageOpenOptions): Task<TaskFile> {
    const { storage } = this;
    return new TaskFile(
      yield* step(
        () => storage.open(path, options),
        () => storage.openSync(path, options),
      ),
    );
  }

  /** Gives a file another name, replacing a file that has it. */
  rename(from: string, to: string): Task<void> {
    const { storage } = this;
    return step(
      () => storage.rename(from, to),
      () => storage.renameSync(from, to),
    );
  }

  /** Removes a file. */
  remove(path: string): Task<void> {
    const { storage } = this;
    return step(() => storage.remove(path), () => storage.removeSync(path));
  }

  /** Lists the entries of a directory, ordered by name. */
  list(path: string): Task<StorageEntry[]> {
    const { storage } = this;
    return step(() => storage.list(path), () => storage.listSync(path));
  }

  /** Makes a directory and its missing parents; returns whether it was made. */
  makeDirectory(path: string): Task<boolean> {
    const { storage } = this;
    return step(
      () => storage.makeDirectory(path),
      () => storage.makeDirectorySync(path),
    );
  }

  /** Makes the names in a directory durable. */
  syncDirectory(path: string): Task<void> {
    const { storage } = this;
    return step(
      () => storage.syncDirectory(path),
      () => storage.syncDirectorySync(path),
    );
  }

  /** Waits; only the asynchronous version can be aborted. */
  delay(durationMs: number, options?: { signal?: AbortSignal }): Task<void> {
    const { storage } = this;
    return step(
      () => storage.delay(durationMs, options),
      () => storage.delaySync(durationMs),
    );
  }

  /** Takes the exclusive lock of a directory; `undefined` while another holds it. */
  lock(path: string): StorageLock | undefined {
    return this.storage.lock(path);
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
