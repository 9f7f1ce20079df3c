/**
 * What happens to a request that the limit leaves no room for.
 *
 * - `"wait"`: `acquire` waits its turn; `acquireSync` throws `PoolLimitError`.
 * - `"fail"`: both fail with `PoolLimitError`.
 * - `"external"`: both take memory beyond the limit, which is counted separately and unmapped when
 *   it is dropped.
 */
export type AtLimit = "wait" | "fail" | "external";

/** How an isolate attaches to a pool. */
export interface AttachOptions {
  /** What happens at the limit. Default: `"wait"`. */
  atLimit?: AtLimit;
  /**
   * Remember where each lease was taken, and report those that were forgotten. Default: `false`.
   */
  trackLeaks?: boolean;
  /**
   * Called when the limit is reached for the first time, and for every forgotten lease if they are
   * tracked. `console.warn` if not given.
   */
  onWarning?: (message: string) => void;
}

/** How to make a pool. */
export interface BufferPoolOptions extends AttachOptions {
  /**
   * Keep returned blocks. With `false`, each block is mapped when it is acquired and unmapped when
   * it is dropped.
   *
   * @default {true}
   */
  enabled?: boolean;
  /**
   * The most memory that the pool maps, in bytes, whether free or in use; from 4096 to 2^53.
   *
   * @default {4 GiB}
   */
  limitBytes?: number;
  /** The most free blocks that are kept of each size; from 0 to 2^32 - 1. Default: `8192`. */
  bucketCapacity?: number;
}

/** Options of a request for memory. */
export interface AcquireSyncOptions {
  /**
   * Whether the memory must begin at a multiple of 4096. With `false`, fewer than 4096 bytes are
   * plain memory that cannot be lent to I/O.
   *
   * @default {true}
   */
  aligned?: boolean;
  /**
   * Whether the bytes must be zeros. Otherwise they may be those of an earlier owner.
   *
   * @default {false}
   */
  zeroed?: boolean;
}

/** Options of a request that may wait. */
export interface AcquireOptions extends AcquireSyncOptions {
  /** Ends the wait: the promise rejects with the signal's reason. */
  signal?: AbortSignal;
}
