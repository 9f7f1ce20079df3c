/**
 * Who owns which memory, and when: the pool, its buffers, and the loans by which memory reaches
 * I/O.
 *
 * @module
 */
export { acquire } from "./acquire.ts";
export { FrozenBuffer } from "./frozen_buffer.ts";
export { Loan } from "./loan.ts";
export { BufferPool } from "./pool.ts";
export { PoolLimitError } from "./pool_limit_error.ts";
export type {
  AcquireOptions,
  AcquireSyncOptions,
  AtLimit,
  AttachOptions,
  BufferPoolOptions,
} from "./options.ts";
export { PooledBuffer } from "./pooled_buffer.ts";
export type { BufferState } from "./pooled_buffer.ts";
export type { LeakReport, PoolClassStats, PoolStats } from "./pool_stats.ts";
export { SIZE_CLASSES } from "./size_class.ts";
