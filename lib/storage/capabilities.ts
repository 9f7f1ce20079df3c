import type { EngineKind } from "../engine/mod.ts";

/**
 * How a file's bytes reach the device.
 *
 * - `"direct"`: `O_DIRECT`, the page cache is bypassed.
 * - `"uncached"`: `RWF_DONTCACHE` (Linux 6.14): through the page cache, dropped from it when done.
 * - `"buffered"`: the page cache keeps the bytes.
 */
export type Tier = "direct" | "uncached" | "buffered";

/**
 * Whether syncing a directory makes the names in it survive a power cut.
 *
 * - `"durable"`: it does (`fsync(2)` of the directory).
 * - `"unsynced"`: the filesystem has no `fsync(2)` of directories. A power cut may lose a new file,
 *   or bring an old name back, even if the file was synced.
 * - `"unknown"`: this process has not synced a directory there yet.
 */
export type NameDurability = "durable" | "unsynced" | "unknown";

/** What a file can do, each with the reason; lengths in bytes. */
export interface Capabilities {
  /** How bytes reach the device. */
  readonly tier: Tier;
  /** Why the tier is this one, in words. */
  readonly tierReason: string;
  /** What addresses in memory must be a multiple of. */
  readonly memoryAlignment: number;
  /** What positions and lengths of writes must be a multiple of. */
  readonly offsetAlignment: number;
  /** What positions and lengths of reads must be a multiple of. */
  readonly readOffsetAlignment: number;
  /** Where the alignments come from, in words. */
  readonly alignmentReason: string;
  /** The unit that the device reads and writes in. */
  readonly logicalBlock: number;
  /** The unit that the device stores in: what a power cut can damage. */
  readonly physicalBlock: number;
  /** Where the physical block comes from, in words. */
  readonly physicalBlockReason: string;
  /**
   * How a durable write is made: by a write with the flag `RWF_DSYNC`, or, where the system refuses
   * that, by a write and `fdatasync(2)` or `fsync(2)` after it.
   */
  readonly durableWrites: "RWF_DSYNC" | "fdatasync";
  /**
   * Whether names on the file's filesystem survive a power cut, according to the last sync of a
   * directory there.
   */
  readonly names: NameDurability;
  /**
   * The filesystem's name, such as `"ext4"`; its magic number in hexadecimal where it is not known,
   * `"none"` for a block device.
   */
  readonly filesystem: string;
  /**
   * Whether rewriting a block moves it (btrfs, bcachefs, zfs): preparing space ahead gains nothing
   * there.
   */
  readonly copyOnWrite: boolean;
  /** The engine of the asynchronous operations. */
  readonly engine: EngineKind;
  /** Why it is this one, in words. */
  readonly engineReason: string;
}
