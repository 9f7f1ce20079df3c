/** Sizes that several comparisons share, in bytes. */

/** A mebibyte. */
export const MIB: number = 1024 * 1024;
/** Size of the file that is read, larger than the cache of a device. */
export const DATA_BYTES: number = 1024 * MIB;
/** Size of a small read. */
export const READ_BYTES = 4096;
/** Size of a prewritten file for durable writes in place, which holds what one run writes. */
export const SCRATCH_BYTES: number = 64 * MIB;
