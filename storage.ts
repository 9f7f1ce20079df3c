/**
 * The storage of a log: files, clocks, locks and random numbers.
 *
 * A log uses {@linkcode Storage} and {@linkcode StorageFile} for all of these. {@linkcode
 * DiskStorage} implements them for disks, and `SimulatedDisk` of `@basalt/io/testing` for tests.
 *
 * @example A storage that counts the syncs of directories
 * ```ts
 * import { Log } from "@basalt/io";
 * import { DiskStorage } from "@basalt/io/storage";
 *
 * class CountingStorage extends DiskStorage {
 *   syncs = 0;
 *   override syncDirectory(path: string): Promise<void> {
 *     this.syncs++;
 *     return super.syncDirectory(path);
 *   }
 *   override syncDirectorySync(path: string): void {
 *     this.syncs++;
 *     super.syncDirectorySync(path);
 *   }
 * }
 *
 * const dir = Deno.makeTempDirSync();
 * const storage = new CountingStorage();
 * {
 *   await using log = await Log.open(`${dir}/log`, { storage });
 *   await log.appendDurable("hello");
 * }
 * console.log(storage.syncs);
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
  NameDurability,
  NamesMode,
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
