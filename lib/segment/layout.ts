/**
 * Numbers of the segment format that writing, reading and recovery share.
 *
 * @module
 */

/**
 * Upper bound of the log's bytes between two checkpoints.
 *
 * A larger batch gets a checkpoint before and after it.
 */
export const CHECKPOINT_BYTES: number = 16 * 1024 * 1024;

/**
 * A checkpoint is taken in the background this many bytes after the last one, so that few flushes
 * wait for one.
 */
export const CHECKPOINT_DUE_BYTES: number = 12 * 1024 * 1024;

/**
 * The index has an entry for the first batch that begins this many bytes or more after the last one
 * with an entry.
 */
export const INDEX_INTERVAL_BYTES: number = 64 * 1024;

/** Upper bound of a batch that gathers single messages, in bytes. A larger message is alone. */
export const MAX_GATHERED_BYTES: number = 1024 * 1024;

/** Upper bound of a segment, in bytes. */
export const MAX_SEGMENT_BYTES: number = 2 ** 32 - 1;

/** The largest number that is exact in JavaScript: the bound of offsets and times. */
export const MAX_OFFSET: number = Number.MAX_SAFE_INTEGER;

export { roundDown, roundUp } from "../base/mod.ts";
