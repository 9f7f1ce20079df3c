/** Sizes that several comparisons share, in bytes. */

/** A mebibyte. */
export const MIB: number = 1024 * 1024;
/** The file that is read, larger than the cache of a device. */
export const DATA_BYTES: number = 1024 * MIB;
/** A small read. */
export const READ_BYTES = 4096;
/** A prewritten file for durable writes in place: what is written in one run fits into it. */
export const SCRATCH_BYTES: number = 64 * MIB;
