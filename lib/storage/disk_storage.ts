import {
  checkChoice,
  delay,
  drive,
  driveSync,
  pair,
  type Task,
} from "../base/mod.ts";
import { isEngineIdle } from "../engine/mod.ts";
import { native } from "../native/mod.ts";
import type { BufferPool } from "../pool/mod.ts";
import { DirectFile } from "./direct_file.ts";
import {
  DIRECT_MODES,
  type DirectFileOptions,
  type DirectMode,
  storageOptions,
} from "./direct_file_options.ts";
import { DirectoryLock } from "./_directory_lock.ts";
import { checkDelay } from "./duration.ts";
import { adapted, adapting, codeOf } from "./errors.ts";
import { type StorageTasks, storageTasks } from "./file_steps.ts";
import { makingDirectory, placingDirectory } from "./_make_directory.ts";
import { openDirectory } from "./_open_descriptor.ts";
import { pathString } from "./paths.ts";
import {
  type NamesMode,
  syncEntries,
  syncingDirectory,
} from "./sync_directory.ts";
import { watchDirectory } from "./_watch.ts";
import type {
  Storage,
  StorageEntry,
  StorageLock,
  StorageOpenOptions,
  StorageTimer,
  StorageWatch,
} from "./storage.ts";

/** How a {@linkcode DiskStorage} opens its files. */
export interface DiskStorageOptions {
  /** Whether files must bypass the page cache. Default: `"prefer"`. */
  direct?: DirectMode;
  /** Where {@linkcode DirectFile.readAt} takes its blocks from. Default: `BufferPool.default()`. */
  pool?: BufferPool;
  /** Whether the names of files must survive a power cut. Default: `"require"`. */
  names?: NamesMode;
}

/** The most bytes that `crypto.getRandomValues` fills at a time. */
const MAX_RANDOM_BYTES = 65_536;

/** The methods that make names durable. */
const SYNCING = [
  "syncDirectory",
  "syncDirectorySync",
  "makeDirectory",
  "makeDirectorySync",
] as const;

/** While there are tasks, the runtime's scheduler (tokio) looks for I/O at every 61st of them. */
const TURNS_OF_A_PAUSE = 64;

/**
 * The disks of this machine as a {@linkcode Storage}. Deno opens every path, with the permissions
 * of its own functions.
 *
 * @example A durable file in a new directory
 * ```ts
 * import { BufferPool } from "@basalt/io";
 * import { DiskStorage } from "@basalt/io/storage";
 * import { assertEquals } from "@std/assert";
 *
 * const dir = Deno.makeTempDirSync();
 * const storage = new DiskStorage();
 * await storage.makeDirectory(`${dir}/a/b`);
 *
 * const file = await storage.open(`${dir}/a/b/data`, { write: true, createNew: true });
 * using block = await BufferPool.default().acquire(4096, { zeroed: true });
 * await file.write(block, 0, { durability: "data" });
 * await file.close();
 * await storage.syncDirectory(`${dir}/a/b`);
 *
 * assertEquals((await storage.list(`${dir}/a/b`)).map((entry) => entry.name), ["data"]);
 * Deno.removeSync(dir, { recursive: true });
 * ```
 */
export class DiskStorage implements Storage {
  readonly #files: Pick<DirectFileOptions, "direct" | "pool">;
  readonly #names: NamesMode;
  /**
   * The last millisecond that {@linkcode DiskStorage.now} saw, and the steady clock at that time.
   */
  #millisecond = 0;
  #steady = 0;

  /** Makes a storage; nothing is opened yet. */
  constructor(options: DiskStorageOptions = {}) {
    const { direct = "prefer", pool, names = "require" } = options;
    checkChoice("create storage", "direct", direct, DIRECT_MODES);
    checkChoice("create storage", "names", names, ["require", "prefer"]);
    this.#files = pool === undefined ? { direct } : { direct, pool };
    this.#names = names;
  }

  /**
   * Opens a file; for reading, too, unless `read` is `false`. Errors are those of
   * {@linkcode DirectFile.open}.
   */
  open(path: string, options: StorageOpenOptions = {}): Promise<DirectFile> {
    return DirectFile.open(path, this.#fileOptions(options));
  }

  /** Sync version of {@linkcode DiskStorage.open}. */
  openSync(path: string, options: StorageOpenOptions = {}): DirectFile {
    return DirectFile.openSync(path, this.#fileOptions(options));
  }

  #fileOptions(options: StorageOpenOptions): DirectFileOptions {
    const { cached = false, ...others } = options;
    const files = cached
      ? { ...this.#files, direct: "never" as const }
      : this.#files;
    return { ...files, ...storageOptions(others) };
  }

  /**
   * Gives a file another name in the same filesystem, replacing a file that has it. Not durable
   * until the directory is synced.
   */
  rename(from: string, to: string): Promise<void> {
    return drive(renaming(from, to));
  }

  /** Sync version of {@linkcode DiskStorage.rename}. */
  renameSync(from: string, to: string): void {
    driveSync(renaming(from, to));
  }

  /**
   * Removes a file (or an empty directory, as `Deno.remove` does). Not durable until the directory
   * is synced.
   */
  remove(path: string): Promise<void> {
    return drive(removing(path));
  }

  /** Sync version of {@linkcode DiskStorage.remove}. */
  removeSync(path: string): void {
    driveSync(removing(path));
  }

  /** Lists the entries of a directory, ordered by name (by UTF-16 units, as `sort` does). */
  list(path: string): Promise<StorageEntry[]> {
    return drive(listing(path));
  }

  /** Sync version of {@linkcode DiskStorage.list}. */
  listSync(path: string): StorageEntry[] {
    return driveSync(listing(path));
  }

  /**
   * Makes a directory and its missing parents, and syncs the directories that hold new names.
   * Resolves to whether it was made. The name of an existing directory is synced, too, if its
   * parent may be read, because the process that made it may have been killed before.
   *
   * Syncing opens the first parent that existed before. It must be readable, or nothing is made.
   *
   * @throws {Deno.errors.NotADirectory} If something else has that name.
   */
  makeDirectory(path: string): Promise<boolean> {
    return drive(makingDirectory(path, this.#names));
  }

  /** Sync version of {@linkcode DiskStorage.makeDirectory}. */
  makeDirectorySync(path: string): boolean {
    return driveSync(makingDirectory(path, this.#names));
  }

  /**
   * Makes the names in a directory durable: `fsync(2)` of the directory.
   *
   * @throws {UnsupportedError} If its filesystem has no sync of directories, and the option `names`
   *   is `"require"`.
   */
  syncDirectory(path: string): Promise<void> {
    return drive(syncingDirectory(path, this.#names));
  }

  /** Sync version of {@linkcode DiskStorage.syncDirectory}. */
  syncDirectorySync(path: string): void {
    driveSync(syncingDirectory(path, this.#names));
  }

  /**
   * Takes the exclusive lock of a directory (`flock(2)` on its own descriptor) without waiting;
   * `undefined` while another holds it, in this process or another.
   *
   * It ends when it is released, or with the process.
   */
  lock(path: string): StorageLock | undefined {
    return DirectoryLock.take(pathString("lock directory", path));
  }

  /**
   * Returns whether a name is a symbolic link, wherever it leads; `false` if there is none, and
   * where looking is not permitted.
   *
   * @example A link
   * ```ts
   * import { DiskStorage } from "@basalt/io/storage";
   * import { assertEquals } from "@std/assert";
   *
   * const dir = Deno.makeTempDirSync();
   * Deno.symlinkSync("nowhere", `${dir}/link`);
   * const storage = new DiskStorage();
   * assertEquals([`${dir}/link`, dir].map((path) => storage.isLink(path)), [true, false]);
   * Deno.removeSync(dir, { recursive: true });
   * ```
   */
  isLink(path: string): boolean {
    try {
      return Deno.lstatSync(path).isSymlink;
    } catch (error) {
      if (error instanceof Deno.errors.NotCapable) return false;
      const code = codeOf(error);
      if (code === "ENOENT" || code === "ENOTDIR") return false;
      throw adapted(error, "lstat", path);
    }
  }

  /**
   * Calls a function after each change of a file in a directory, or of the names in it: then with
   * `true`. It uses inotify(7), and needs permission to read the directory.
   *
   * @returns `undefined` where the system does not report all changes: on network filesystems, or
   *   when no instance of inotify is left.
   *
   * @example One change
   * ```ts
   * import { DiskStorage } from "@basalt/io/storage";
   *
   * const dir = Deno.makeTempDirSync();
   * const changed = Promise.withResolvers<boolean>();
   * const watch = new DiskStorage().watch(dir, changed.resolve);
   * if (watch !== undefined) {
   *   Deno.writeTextFileSync(`${dir}/a`, "hello");
   *   await changed.promise;
   *   watch.close();
   * }
   * Deno.removeSync(dir, { recursive: true });
   * ```
   */
  watch(
    path: string,
    onChange: (areNamesNew: boolean) => void,
  ): StorageWatch | undefined {
    return watchDirectory(path, onChange);
  }

  /**
   * Returns whether the lock of a directory is held, in this process or another, without taking it.
   *
   * On a filesystem without open file description locks it takes the lock for an instant.
   *
   * @example Whether a program has a log open
   * ```ts
   * import { DiskStorage } from "@basalt/io/storage";
   * import { assertEquals } from "@std/assert";
   *
   * const dir = Deno.makeTempDirSync();
   * const storage = new DiskStorage();
   * const lock = storage.lock(dir);
   * assertEquals(storage.isLocked(dir), true);
   * lock?.release();
   * assertEquals(storage.isLocked(dir), false);
   * Deno.removeSync(dir);
   * ```
   */
  isLocked(path: string): boolean {
    const where = pathString("look at lock of directory", path);
    using directory = driveSync(openDirectory(where));
    const status = native().basalt_file_is_locked(directory.file);
    if (status >= 0) return status === 1;
    const lock = this.lock(path);
    lock?.release();
    return lock === undefined;
  }

  /** Waits; rejects with the signal's reason when it is aborted. */
  async delay(
    durationMs: number,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<void> {
    checkDelay(durationMs);
    await delay(durationMs, signal);
    signal?.throwIfAborted();
  }

  /** Sync version of {@linkcode DiskStorage.delay}: it blocks the thread. */
  delaySync(durationMs: number): void {
    checkDelay(durationMs);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, durationMs);
  }

  /**
   * Runs a function once, after some time, unless it is cancelled.
   *
   * It does not keep the process alive.
   *
   * @throws {RangeError} If `delayMs` is not from 0 to 2^31 - 1.
   *
   * @example A call that is cancelled
   * ```ts
   * import { DiskStorage } from "@basalt/io/storage";
   *
   * const storage = new DiskStorage();
   * const timer = storage.after(1000, () => console.log("idle for a second"));
   * timer.cancel();
   * ```
   */
  after(delayMs: number, run: () => void): StorageTimer {
    checkDelay(delayMs, "delayMs");
    const timer = setTimeout(run, delayMs);
    Deno.unrefTimer(timer);
    return { cancel: () => clearTimeout(timer) };
  }

  /**
   * Returns whether no file operation of this isolate is in flight and its thread may wait in
   * place, which it may not with `wait: "reaper"`.
   *
   * @example Whether a blocking write would delay other operations
   * ```ts
   * import { DiskStorage } from "@basalt/io/storage";
   * import { assert } from "@std/assert";
   *
   * assert(new DiskStorage().isIdle());
   * ```
   */
  isIdle(): boolean {
    return isEngineIdle();
  }

  /**
   * Lets the runtime serve other work, for 64 turns of the event loop, some 120 us.
   *
   * @example Between two blocking writes
   * ```ts
   * import { DiskStorage } from "@basalt/io/storage";
   *
   * await new DiskStorage().pause();
   * ```
   */
  pause(): Promise<void> {
    return new Promise((resolve) => {
      const turn = (left: number): void => {
        if (left === 0) resolve();
        else setImmediate(turn, left - 1);
      };
      turn(TURNS_OF_A_PAUSE);
    });
  }

  /** @ignore The operations as tasks. A subclass that overrides one of them has none. */
  get [storageTasks](): StorageTasks | undefined {
    const own = DiskStorage.prototype;
    if (SYNCING.some((name) => this[name] !== own[name])) return undefined;
    const names = this.#names;
    return {
      syncDirectory: (path, lock) =>
        lock instanceof DirectoryLock && lock.directory !== undefined
          ? syncEntries(lock.directory, names)
          : syncingDirectory(path, names, true),
      placeDirectory: (path) => placingDirectory(path, names, true),
    };
  }

  /**
   * Returns microseconds since the Unix epoch by the system's clock, which may be set back.
   *
   * Below the millisecond that `Date.now` gives, the steady clock counts from when the millisecond
   * was first seen.
   */
  now(): number {
    const millisecond = Date.now();
    const steady = performance.now();
    if (millisecond !== this.#millisecond) {
      this.#millisecond = millisecond;
      this.#steady = steady;
      return millisecond * 1000;
    }
    const micros = Math.floor((steady - this.#steady) * 1000);
    return millisecond * 1000 + Math.min(999, Math.max(0, micros));
  }

  /** Fills a view with random bytes of `crypto.getRandomValues`, and returns it. */
  random(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    for (let start = 0; start < bytes.length; start += MAX_RANDOM_BYTES) {
      crypto.getRandomValues(bytes.subarray(start, start + MAX_RANDOM_BYTES));
    }
    return bytes;
  }
}

function* renaming(from: string, to: string): Task<void> {
  const old = pathString("rename file", from);
  const wanted = pathString("rename file", to);
  yield* adapting("rename", old, pair(Deno, "rename", old, wanted));
}

function* removing(where: string): Task<void> {
  const path = pathString("remove file", where);
  yield* adapting("unlink", path, pair(Deno, "remove", path));
}

function* listing(where: string): Task<StorageEntry[]> {
  const path = pathString("list directory", where);
  const reading = {
    run: () => Array.fromAsync(Deno.readDir(path)),
    runSync: () => [...Deno.readDirSync(path)],
  };
  const entries = yield* adapting("scandir", path, reading);
  return entries
    .map(({ name, isFile, isDirectory }) => ({ name, isFile, isDirectory }))
    .sort((a, b) => a.name < b.name ? -1 : 1);
}
