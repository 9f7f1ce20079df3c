import type { FrozenBuffer, PooledBuffer } from "../pool/mod.ts";
import type { Capabilities } from "./capabilities.ts";

/**
 * What a write or a sync has reached when it completes.
 *
 * | value | a write | a sync | on completion |
 * |---|---|---|---|
 * | `"none"` | no flag | – | the bytes are with the kernel or the device's cache: a power cut may lose them |
 * | `"data"` | `RWF_DSYNC` (`pwritev2(2)`) | `fdatasync(2)` | the bytes, and what is needed to read them back (the size), survive a power cut |
 * | `"full"` | `RWF_SYNC` | `fsync(2)` | so do all other attributes, such as the times |
 */
export type Durability = "none" | "data" | "full";

/** The bytes of a buffer for an operation. */
export interface BufferRange {
  /** The first byte, counted from the buffer's beginning. Default: `0`. */
  start?: number;
  /** How many bytes. Default: the rest of the buffer. */
  length?: number;
}

/** Options of a write. */
export interface WriteOptions extends BufferRange {
  /** What completion means. Default: `"none"`. */
  durability?: Durability;
}

/** Options of an allocation. */
export interface PreallocateOptions {
  /**
   * Whether to write zeros, where the device can do that by itself. Earlier contents are lost.
   * @default {false}
   */
  zeroed?: boolean;
}

/** How to open a file of a {@linkcode Storage}; the names are those of `Deno.OpenOptions`. */
export interface StorageOpenOptions {
  /** Open for reading. Default: `true`. */
  read?: boolean;
  /** Open for writing. Default: `false`. */
  write?: boolean;
  /** Create the file if it does not exist. Default: `false`. */
  create?: boolean;
  /** Make the file; fail with `AlreadyExists` if there is one. Default: `false`. */
  createNew?: boolean;
  /** Permission bits of a file that is made, less the umask. Default: `0o640`. */
  mode?: number;
  /**
   * Go through the page cache, where processes see each other's writes at once, for a small file
   * that is written often and never synced.
   *
   * @default {false}
   */
  cached?: boolean;
}

/**
 * An open file: operations at explicit positions, in bytes, each with a sync version.
 *
 * Positions, lengths and the start within the buffer must be aligned as {@linkcode Capabilities}
 * say. Otherwise it is a `RangeError` that names the nearest valid values.
 */
export interface StorageFile {
  /** Where it was opened. */
  readonly path: string;
  /** What the file can do, and why. */
  readonly capabilities: Capabilities;

  /**
   * Fills a range of `buffer` from `position`. Resolves to the bytes read: fewer than asked only at
   * the end of the file.
   */
  read(
    buffer: PooledBuffer,
    position: number,
    range?: BufferRange,
  ): Promise<number>;
  /** Sync version of {@linkcode StorageFile.read}. */
  readSync(buffer: PooledBuffer, position: number, range?: BufferRange): number;

  /** Writes a range of `buffer` at `position`, all of it. Resolves to the bytes written. */
  write(
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    options?: WriteOptions,
  ): Promise<number>;
  /** Sync version of {@linkcode StorageFile.write}. */
  writeSync(
    buffer: PooledBuffer | FrozenBuffer,
    position: number,
    options?: WriteOptions,
  ): number;

  /** Makes everything that was written durable, by default as `"data"`. */
  sync(durability?: Exclude<Durability, "none">): Promise<void>;
  /** Sync version of {@linkcode StorageFile.sync}. */
  syncSync(durability?: Exclude<Durability, "none">): void;

  /** Sets the size in bytes; new bytes are zeros. */
  truncate(length: number): Promise<void>;
  /** Sync version of {@linkcode StorageFile.truncate}. */
  truncateSync(length: number): void;

  /**
   * Allocates disk space for a range; the size grows to its end. `NotSupported` where the
   * filesystem cannot. Without `zeroed`, the contents do not change.
   *
   * Resolves to whether zeros were written: with `zeroed`, where the storage can do that at once.
   * Elsewhere the space is allocated all the same.
   */
  preallocate(
    position: number,
    length: number,
    options?: PreallocateOptions,
  ): Promise<boolean>;
  /** Sync version of {@linkcode StorageFile.preallocate}. */
  preallocateSync(
    position: number,
    length: number,
    options?: PreallocateOptions,
  ): boolean;

  /** Returns the size in bytes. */
  size(): Promise<number>;
  /** Sync version of {@linkcode StorageFile.size}. */
  sizeSync(): number;

  /**
   * Returns how many bytes an unprivileged user can still allocate on the file's filesystem;
   * `undefined` where that is not known.
   *
   * It asks the system each time and does not wait for the device. Other users of the filesystem
   * change the figure at any moment.
   */
  freeBytes?(): number | undefined;

  /**
   * Returns whether the path where it was opened still leads to this file: it was neither removed
   * nor replaced. Without this method it is not known.
   */
  isAtPath?(): boolean;

  /**
   * Takes the exclusive lock of the file (`flock(2)`) without waiting. Returns whether no other
   * open file held it.
   *
   * It ends when the file is closed, or with the process.
   */
  lock?(): boolean;

  /** Returns whether the file still has a name: it was not removed, and no other replaced it. */
  isNamed?(): boolean;

  /**
   * Blocks until the operations of this file in flight have completed.
   *
   * Their promises are resolved when it returns. Code that awaits them continues when the caller's
   * turn ends.
   */
  settleSync(): void;

  /** Closes the file after its operations in flight. Closing twice does nothing. */
  close(): Promise<void>;
  /** Sync version of {@linkcode StorageFile.close}. */
  closeSync(): void;
}

/** An entry of a directory. */
export interface StorageEntry {
  /** The name within the directory. */
  name: string;
  /** Whether it is a regular file. */
  isFile: boolean;
  /** Whether it is a directory. */
  isDirectory: boolean;
}

/** A call that {@linkcode Storage.after} will make. */
export interface StorageTimer {
  /** Cancels the call; does nothing if it was made or cancelled before. */
  cancel(): void;
}

/** A watch of a directory, from {@linkcode Storage.watch}. */
export interface StorageWatch {
  /** Ends the watch. Closing twice does nothing. */
  close(): void;
}

/** A lock on a directory, held until it is released or its process ends. */
export interface StorageLock {
  /**
   * Returns whether the path still leads to the directory that is locked: it was neither moved nor
   * replaced.
   */
  isAtPath(): boolean;
  /** Releases the lock; releasing twice does nothing. */
  release(): void;
}

/**
 * Files and directories, and the only clock and source of randomness of a log: a disk, or a
 * simulation of one.
 *
 * Paths are strings in the form of the platform. Errors of the system are the `Deno.errors` classes
 * with `code`, `syscall` and `path`.
 */
export interface Storage {
  /** Opens a file. */
  open(path: string, options?: StorageOpenOptions): Promise<StorageFile>;
  /** Sync version of {@linkcode Storage.open}. */
  openSync(path: string, options?: StorageOpenOptions): StorageFile;

  /**
   * Gives a file another name in the same filesystem, replacing a file that has it. Not durable
   * until the directory is synced.
   */
  rename(from: string, to: string): Promise<void>;
  /** Sync version of {@linkcode Storage.rename}. */
  renameSync(from: string, to: string): void;

  /** Removes a file. Not durable until the directory is synced. */
  remove(path: string): Promise<void>;
  /** Sync version of {@linkcode Storage.remove}. */
  removeSync(path: string): void;

  /** Lists the entries of a directory, ordered by name. */
  list(path: string): Promise<StorageEntry[]>;
  /** Sync version of {@linkcode Storage.list}. */
  listSync(path: string): StorageEntry[];

  /**
   * Makes a directory and its missing parents, and syncs the directories that hold new names.
   * Resolves to whether it was made.
   */
  makeDirectory(path: string): Promise<boolean>;
  /** Sync version of {@linkcode Storage.makeDirectory}. */
  makeDirectorySync(path: string): boolean;

  /** Makes the names in a directory durable: `fsync(2)` of the directory. */
  syncDirectory(path: string): Promise<void>;
  /** Sync version of {@linkcode Storage.syncDirectory}. */
  syncDirectorySync(path: string): void;

  /**
   * Takes the exclusive lock of a directory (`flock(2)`) without waiting; `undefined` while another
   * holds it.
   */
  lock(path: string): StorageLock | undefined;
  /**
   * Returns whether the lock of a directory is held, in this process or another, without taking it.
   */
  isLocked(path: string): boolean;

  /**
   * Returns whether a name is a symbolic link, wherever it leads. A storage without this method has
   * no links.
   */
  isLink?(path: string): boolean;

  /**
   * Calls a function in a separate turn after each change that any process makes to a file in a
   * directory, or to the names in it; then with `true`.
   *
   * Returns `undefined` where the system does not report all changes, as does a storage without
   * this method. Until it is closed, it keeps the process alive.
   */
  watch?(
    path: string,
    onChange: (areNamesNew: boolean) => void,
  ): StorageWatch | undefined;

  /** Waits, at most 2^31 - 1 ms; the storage's own time passes. */
  delay(durationMs: number, options?: { signal?: AbortSignal }): Promise<void>;
  /** Sync version of {@linkcode Storage.delay}. */
  delaySync(durationMs: number): void;
  /**
   * Runs a function once, when the storage's own clock has advanced by `delayMs`, unless cancelled.
   *
   * It runs in a separate turn, never within this call, and does not keep the process alive. The
   * delay is at most 2^31 - 1 ms.
   */
  after(delayMs: number, run: () => void): StorageTimer;
  /**
   * Returns whether no operation of this storage is in flight and the program's thread may wait for
   * one in place.
   *
   * A lone writer may then make a durable write by a blocking call, which saves two wake-ups. A
   * storage without this method counts as busy.
   */
  isIdle?(): boolean;
  /**
   * Lets the runtime serve other work, such as the sockets of a server. A program that blocks
   * repeatedly calls it now and then, because promises and immediates alone starve that work.
   */
  pause?(): Promise<void>;
  /** Returns microseconds since the Unix epoch, UTC. */
  now(): number;
  /** Fills a view with random bytes, and returns it. */
  random(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>;
}
