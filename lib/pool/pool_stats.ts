import { SIZE_CLASSES } from "./size_class.ts";

/** Figures of one size of blocks; counts are blocks. */
export interface PoolClassStats {
  /** The size of the blocks in bytes. */
  readonly classBytes: number;
  /** Leases taken within the limit since the pool was made. */
  readonly acquired: number;
  /** Leases of these that have ended. */
  readonly returned: number;
  /** Blocks in use now: leased, lent, frozen or orphaned. */
  readonly inUse: number;
  /** Lost blocks: acquired, and neither in use nor returned. */
  readonly quarantined: number;
  /** Blocks that are mapped and free. */
  readonly free: number;
  /** Blocks beyond the limit that are in use now. */
  readonly externalInUse: number;
  /** Blocks that were unmapped instead of kept, also to make room for others. */
  readonly dropped: number;
}

/**
 * Figures of a pool at one moment, over all isolates that use it. While other isolates use the
 * pool, each figure is exact, but they may not add up.
 */
export interface PoolStats {
  /** The limit in bytes. */
  readonly limitBytes: number;
  /** Bytes mapped within the limit, never more than it: in use, free and quarantined. */
  readonly mappedBytes: number;
  /** The most bytes that were mapped at once. */
  readonly peakMappedBytes: number;
  /** Bytes of the blocks in use: leased, lent, frozen or orphaned. */
  readonly inUseBytes: number;
  /** Bytes of the free blocks. */
  readonly freeBytes: number;
  /** Bytes mapped beyond the limit. */
  readonly externalBytes: number;
  /** Bytes of blocks that are lost because a view of them was detached; they count as mapped. */
  readonly quarantinedBytes: number;
  /** Blocks of workers that have ended, until their last completion. */
  readonly orphanedBlocks: number;
  /** How often a buffer moved to a larger block. */
  readonly resized: number;
  /** Blocks, and parts of blocks, that are frozen now. */
  readonly frozen: number;
  /** Leases that were forgotten and found by the garbage collector. */
  readonly leaked: number;
  /** Plain buffers in use now: short ones without alignment. */
  readonly plainInUse: number;
  /** Plain buffers acquired since the pool was made. */
  readonly plainAcquired: number;
  /** Requests that had to wait. */
  readonly waits: number;
  /** Leases taken within the limit: `acquired - returned` are in use or quarantined. */
  readonly acquired: number;
  /** Leases of these that have ended. */
  readonly returned: number;
  /** Leases taken beyond the limit. */
  readonly externalAcquired: number;
  /** Leases of these that have ended. */
  readonly externalReturned: number;
  /** Blocks that were unmapped instead of kept, also to make room for others. */
  readonly dropped: number;
  /** How many `BufferPool` objects use the pool. */
  readonly attachments: number;
  /** Requests of this isolate that wait now. */
  readonly waiting: number;
  /** The figures by size, smallest first. */
  readonly classes: readonly PoolClassStats[];
}

/** A lease that was forgotten: neither its buffer nor a view of it can be reached any more. */
export interface LeakReport {
  /** Bytes of memory that were leased. */
  readonly capacity: number;
  /** Where the lease was taken. */
  readonly stack: string;
}

/** The counters of `basalt_pool_count`: events that only JavaScript sees. */
export const COUNTER = {
  RESIZED: 0,
  FROZEN: 1,
  LEAKED: 2,
  PLAIN_IN_USE: 3,
  PLAIN_ACQUIRED: 4,
  WAITS: 5,
} as const;

/** The figures of a pool in the order in which `basalt_pool_stats` writes them. */
const TOTALS: readonly (keyof PoolStats)[] = [
  "limitBytes",
  "mappedBytes",
  "peakMappedBytes",
  "inUseBytes",
  "freeBytes",
  "externalBytes",
  "quarantinedBytes",
  "orphanedBlocks",
  "resized",
  "frozen",
  "leaked",
  "plainInUse",
  "plainAcquired",
  "waits",
  "acquired",
  "returned",
  "externalAcquired",
  "externalReturned",
  "dropped",
  "attachments",
];
/** The figures of each size, which follow. */
const OF_CLASS: readonly (keyof PoolClassStats)[] = [
  "classBytes",
  "acquired",
  "returned",
  "inUse",
  "quarantined",
  "free",
  "externalInUse",
  "dropped",
];

/** The position of `quarantinedBytes` among the values of `basalt_pool_stats`. */
export const QUARANTINED_BYTES: number = TOTALS.indexOf("quarantinedBytes");

/** How many values `basalt_pool_stats` writes. */
export const STATS_COUNT: number = TOTALS.length +
  OF_CLASS.length * SIZE_CLASSES.length;

/** Names the values that `basalt_pool_stats` wrote. */
export function decodeStats(values: Float64Array, waiting: number): PoolStats {
  const named = (names: readonly string[], first: number) =>
    Object.fromEntries(names.map((name, i) => [name, values[first + i]]));
  const classes = SIZE_CLASSES.map((_, i) => {
    const first = TOTALS.length + i * OF_CLASS.length;
    return named(OF_CLASS, first) as unknown as PoolClassStats;
  });
  const totals = named(TOTALS, 0) as unknown as PoolStats;
  return { ...totals, waiting, classes };
}
