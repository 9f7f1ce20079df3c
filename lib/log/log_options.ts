import { checkInteger } from "../base/mod.ts";
import { BufferPool } from "../pool/mod.ts";
import { checkPool, MAX_SEGMENT_BYTES } from "../segment/mod.ts";
import {
  absolutePath,
  DiskStorage,
  type Storage,
  TaskStorage,
} from "../storage/mod.ts";
import type { LogPlace } from "./record/meta.ts";
import { checkRetain, type RetainOptions } from "./retain/plan.ts";

/** How to open a log for reading. */
export interface LogReaderOptions {
  /** Where blocks come from. Default: `BufferPool.default()`. */
  pool?: BufferPool;
  /** Where the files are. Default: `new DiskStorage()`. */
  storage?: Storage;
}

/** How to open a log for writing. */
export interface LogOptions extends LogReaderOptions {
  /** Create the directory, and its missing parents, if it does not exist. Default: `true`. */
  create?: boolean;
  /**
   * A segment is closed before it would exceed this many bytes; a larger message gets a segment for
   * itself. Default: 1 GiB.
   */
  segmentBytes?: number;
  /**
   * The largest block of messages in memory, in bytes; a full block is written as soon as the disk
   * is free.
   * @default {1 MiB}
   */
  blockBytes?: number;
  /**
   * Bytes of messages that may wait in memory before `append` throws `BackpressureError`.
   * @default {64 MiB}
   */
  bufferBytes?: number;
  /**
   * The most to allocate and zero ahead of the data, in bytes. The log prepares less if it needs
   * less; 0 turns it off. Default: 64 MiB.
   */
  prepareBytes?: number;
  /**
   * Bytes of the newest messages to keep in memory for tails of this log; 0 for none.
   * @default {8 MiB}
   */
  tailBytes?: number;
  /**
   * The longest time until an appended message is written and synced, in milliseconds, even if no
   * call asks for it; 0 for no limit. Default: `1000`.
   */
  flushAfterMs?: number;
  /**
   * Which segments the log removes by itself, after a roll and once a minute: the oldest ones while
   * it is larger than `bytes`, or if their last message is older than `ageMs`. Segments that a
   * cursor needs stay, unless the log is above `hardBytes`. Default: nothing.
   */
  retain?: RetainOptions;
  /**
   * A segment is also closed when its first message is older than this, in milliseconds, so that
   * retention by age works in a slow log; 0 for never. Default: `0`.
   */
  rollMs?: number;
  /**
   * How long to wait for another writer's lock, in milliseconds. The lock of a killed writer may
   * last until its last operation ends. Default: `2000`.
   */
  lockTimeoutMs?: number;
}

/** {@linkcode LogOptions}, checked and complete. */
export type CompleteLogOptions =
  & Required<Omit<LogOptions, keyof LogReaderOptions>>
  & Omit<LogPlace, "dir">;

const KIB = 1024;
const MIB = 1024 * KIB;

/** The options that are numbers: default, minimum, maximum. */
const NUMBERS = {
  segmentBytes: [KIB * MIB, KIB, MAX_SEGMENT_BYTES],
  blockBytes: [MIB, 4 * KIB, 64 * MIB],
  bufferBytes: [64 * MIB, 4 * KIB, Number.MAX_SAFE_INTEGER],
  prepareBytes: [64 * MIB, 0, MAX_SEGMENT_BYTES],
  tailBytes: [8 * MIB, 0, Number.MAX_SAFE_INTEGER],
  flushAfterMs: [1000, 0, 2 ** 31 - 1],
  rollMs: [0, 0, 2 ** 31 - 1],
  lockTimeoutMs: [2000, 0, 2 ** 31 - 1],
} as const;

/**
 * Checks options and fills in defaults.
 *
 * @throws {TypeError} If an option has the wrong type.
 * @throws {RangeError} If an option is out of its range.
 */
export function completeOptions(options: LogOptions): CompleteLogOptions {
  const { create = true, retain = {} } = options;
  const others = { ...completeReaderOptions(options), create, retain };
  const numbers = {} as Record<keyof typeof NUMBERS, number>;
  for (const [key, [usual, min, max]] of Object.entries(NUMBERS)) {
    const name = key as keyof typeof NUMBERS;
    numbers[name] = options[name] ?? usual;
    checkInteger("open log", name, numbers[name], min, max);
  }
  checkRetain("open log", retain);
  const { blockBytes } = numbers;
  if (blockBytes % (4 * KIB) === 0) return { ...others, ...numbers };
  throw new RangeError(
    `Cannot open log as 'blockBytes' must be a multiple of 4096: received ${blockBytes}`,
  );
}

/**
 * Returns where a log is, with an absolute path.
 *
 * @param action The action for error messages, such as `"read log"`.
 */
export function placeOf(
  action: string,
  path: string | URL,
  options: LogReaderOptions,
): LogPlace {
  const dir = absolutePath(action, path);
  return { ...completeReaderOptions(options), dir };
}

function completeReaderOptions(
  options: LogReaderOptions,
): Omit<LogPlace, "dir"> {
  const pool = options.pool ?? BufferPool.default();
  checkPool("open log", pool);
  const storage = options.storage ?? new DiskStorage({ pool });
  if (typeof storage.openSync === "function") {
    return { pool, storage: new TaskStorage(storage) };
  }
  throw new TypeError(
    "Cannot open log as 'storage' must be a Storage, such as a DiskStorage",
  );
}
