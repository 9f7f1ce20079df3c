/**
 * The numbers of the segment format that writing, reading and recovery share.
 *
 * @module
 */

/** At most this many bytes of a log lie behind its last checkpoint, but for a larger message, which has one before and after it. */
export const CHECKPOINT_BYTES: number = 16 * 1024 * 1024;

/** So many bytes behind the last checkpoint, the next one comes as soon as nobody waits for it: then a flush of up to the rest never has to wait for one. */
export const CHECKPOINT_DUE_BYTES: number = 12 * 1024 * 1024;

/** Positions in a segment are 32-bit. */
export const MAX_SEGMENT_BYTES: number = 2 ** 32 - 1;

/** The largest number whose neighbours are exact as well: the bound of offsets and times. */
export const MAX_OFFSET: number = Number.MAX_SAFE_INTEGER;

/** `value` rounded down to a multiple of `unit`. */
export function roundDown(value: number, unit: number): number {
  return value - value % unit;
}

/** `value` rounded up to a multiple of `unit`. */
export function roundUp(value: number, unit: number): number {
  return roundDown(value + unit - 1, unit);
}
