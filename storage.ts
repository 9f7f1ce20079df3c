/**
 * What a log stands on, and what another storage for logs must do.
 *
 * {@linkcode Storage} and {@linkcode StorageFile} are the only way in which a log reaches files,
 * clocks, locks and random numbers. {@linkcode DiskStorage} is the one for disks; `@basalt/io/testing`
 * has one that cuts the power.
 *
 * @example A storage that counts the files that are opened
 * ```ts
 * import { Log } from "@basalt/io";
 * import { DiskStorage, type StorageFile, type StorageOpenOptions } from "@basalt/io/storage";
 * import { assert } from "@std/assert";
 *
 * class CountingStorage extends DiskStorage {
 *   opened = 0;
 *   override open(path: string, options?: StorageOpenOptions): Promise<StorageFile> {
 *     this.opened++;
 *     return super.open(path, options);
 *   }
 * }
 *
 * const dir = Deno.makeTempDirSync();
 * const storage = new CountingStorage();
 * {
 *   await using log = await Log.open(dir, { storage });
 *   await log.appendDurable("hello");
 * }
 * assert(storage.opened > 0);
 * Deno.removeSync(dir, { recursive: true });
 * ```
 *
 * @module
 */
export {
  BufferPool,
  FrozenBuffer,
  Loan,
  PooledBuffer,
} from "./lib/pool/mod.ts";
export { DiskStorage, LockedError, NoSpaceError } from "./lib/storage/mod.ts";
export type {
  BufferRange,
  Capabilities,
  DirectFileOptions,
  DirectMode,
  DiskStorageOptions,
  Durability,
  PreallocateOptions,
  Storage,
  StorageEntry,
  StorageFile,
  StorageLock,
  StorageOpenOptions,
  StorageTimer,
  StorageWatch,
  Tier,
  WriteOptions,
} from "./lib/storage/mod.ts";
