import { checkChoice, shown } from "../base/mod.ts";
import {
  BufferPool,
  type FrozenBuffer,
  type PooledBuffer,
} from "../pool/mod.ts";
import type { BufferRange, StorageOpenOptions } from "./storage.ts";

/**
 * Whether a file must bypass the page cache.
 *
 * - `"require"`: opening fails with `UnsupportedError` where it cannot.
 * - `"prefer"`: the best {@linkcode Tier} that the file offers.
 * - `"never"`: through the page cache.
 */
export type DirectMode = "require" | "prefer" | "never";

/** The choices of {@linkcode DirectMode}. */
export const DIRECT_MODES: readonly DirectMode[] = [
  "require",
  "prefer",
  "never",
];

/**
 * How to open a {@linkcode DirectFile}: the names and defaults of `Deno.OpenOptions`, without
 * `append`, because positions are explicit.
 */
export interface DirectFileOptions {
  /** Open for reading. Default: true unless `write` is. */
  read?: boolean;
  /** Open for writing. Default: `false`. */
  write?: boolean;
  /** Cut the file to 0 bytes; needs `write`. Default: `false`. */
  truncate?: boolean;
  /** Create the file if it does not exist; needs `write`. Default: `false`. */
  create?: boolean;
  /** Make the file, fail with `AlreadyExists` if there is one; needs `write`. Default: `false`. */
  createNew?: boolean;
  /** Permission bits of a file that is made, less the umask. Default: `0o666`. */
  mode?: number;
  /** Whether the file must bypass the page cache. Default: `"prefer"`. */
  direct?: DirectMode;
  /** Where {@linkcode DirectFile.readAt} takes its blocks from. Default: `BufferPool.default()`. */
  pool?: BufferPool;
}

/** Options of {@linkcode DirectFile.readAt}. */
export interface ReadAtOptions {
  /** Ends the wait for a place in the pool. */
  signal?: AbortSignal;
}

/** Options of {@linkcode DirectFile.readMany}. */
export interface ReadManyOptions extends ReadAtOptions {
  /**
   * The largest gap in bytes between two ranges that one read may cover.
   * @default {16384}
   */
  gapBytes?: number;
}

/** One write of {@linkcode DirectFile.writeMany}. */
export interface WriteItem extends BufferRange {
  /**
   * The bytes. They are lent while the batch runs, so a pooled buffer can be in it once, a frozen
   * one any number of times.
   */
  readonly buffer: PooledBuffer | FrozenBuffer;
  /** Where in the file. */
  readonly position: number;
}

/** Options with every default filled in. */
export type OpenRequest = Readonly<Required<Omit<DirectFileOptions, "pool">>>;

/** Fills in the defaults of a storage's file that differ from those of `Deno.open`. */
export function storageOptions<T extends StorageOpenOptions>(options: T): T {
  const { read = true, mode = 0o640 } = options;
  return { ...options, read, mode };
}

/**
 * Checks the options and fills in the defaults.
 *
 * @throws {TypeError} If options contradict each other, or one is of the wrong type.
 * @throws {RangeError} If `mode` has other bits than those of permissions.
 */
export function openRequest(
  options: DirectFileOptions & { append?: boolean },
): OpenRequest {
  for (const name of FLAGS) {
    const value: unknown = options[name];
    if (value === undefined || typeof value === "boolean") continue;
    throw wrong(name, "must be a boolean", value);
  }
  if (options.append) {
    throw new TypeError(
      "Cannot open file as 'append' is not offered, positions are explicit: open with 'write' and write at the file's size",
    );
  }
  const { write = false, read = !write } = options;
  if (!read && !write) {
    throw new TypeError(
      "Cannot open file as neither 'read' nor 'write' is true: one must be",
    );
  }
  const { truncate = false, create = false, createNew = false } = options;
  for (const [name, is] of Object.entries({ truncate, create, createNew })) {
    if (write || !is) continue;
    throw new TypeError(`Cannot open file as '${name}' needs 'write: true'`);
  }
  const { direct = "prefer", mode = 0o666, pool } = options;
  checkChoice("open file", "direct", direct, DIRECT_MODES);
  if (typeof mode !== "number") throw wrong("mode", "must be a number", mode);
  if (!Number.isInteger(mode) || mode < 0 || mode > 0o7777) {
    throw new RangeError(
      `Cannot open file as 'mode' must be an integer from 0 to 0o7777: received ${mode}`,
    );
  }
  if (pool !== undefined && !(pool instanceof BufferPool)) {
    throw wrong("pool", "must be a BufferPool", pool);
  }
  return { read, write, truncate, create, createNew, mode, direct };
}

/** The options that are booleans. */
const FLAGS = [
  "read",
  "write",
  "truncate",
  "create",
  "createNew",
  "append",
] as const;

function wrong(name: string, what: string, value: unknown): TypeError {
  return new TypeError(
    `Cannot open file as '${name}' ${what}: received ${shown(value)}`,
  );
}
