/**
 * Files and directories: the interfaces that the rooms above see, the disk behind them, and what a
 * file can do and why.
 *
 * @module
 */
export type { Capabilities, NameDurability, Tier } from "./capabilities.ts";
export { copyRange, haveEqualBytes } from "./copy_range.ts";
export { DirectFile } from "./direct_file.ts";
export type {
  DirectFileOptions,
  DirectMode,
  ReadAtOptions,
  ReadManyOptions,
  WriteItem,
} from "./direct_file_options.ts";
export { DiskStorage, type DiskStorageOptions } from "./disk_storage.ts";
export type { FileStats } from "./file_stats.ts";
export { describeOwner, LockedError, type LockOwner } from "./locked_error.ts";
export { isNoSpaceCode, NoSpaceError } from "./no_space_error.ts";
export type { NoSpaceCode } from "./no_space_error.ts";
export { isOpenElsewhere } from "./open_elsewhere.ts";
export { absolutePath, pathString } from "./paths.ts";
export type { CachedPages, FileStat } from "./probe.ts";
export { OverlayStorage } from "./overlay.ts";
export type { FileRange } from "./read_plan.ts";
export { probePath, probePathSync } from "./probe_path.ts";
export type {
  BufferRange,
  Durability,
  PreallocateOptions,
  Storage,
  StorageEntry,
  StorageFile,
  StorageLock,
  StorageOpenOptions,
  StorageTimer,
  StorageWatch,
  WriteOptions,
} from "./storage.ts";
export type { NamesMode } from "./sync_directory.ts";
export { TaskFile } from "./task_file.ts";
export { TaskStorage } from "./task_storage.ts";
export type { DirectProof } from "./verify_direct.ts";
