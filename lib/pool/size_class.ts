import { checkInteger } from "../base/mod.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/**
 * The sizes of blocks, in bytes, smallest first; a request takes the smallest that fits.
 *
 * @example The block of a request
 * ```ts
 * import { BufferPool, SIZE_CLASSES } from "@basalt/io";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = new BufferPool({ limitBytes: 1 << 20 });
 * using buffer = pool.acquireSync(5000);
 * assertEquals(buffer.capacity, SIZE_CLASSES.find((bytes) => bytes >= 5000));
 * ```
 */
export const SIZE_CLASSES: readonly number[] = [
  ...[4, 8, 16, 32, 64, 128, 256, 512, 768].map((size) => size * KIB),
  ...[1, 1.5, 2, 4, 6, 8, 10, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384]
    .map((size) => size * MIB),
  512 * MIB,
];

/** The largest request, in bytes: the largest size of a block. */
export const MAX_LENGTH: number = 512 * MIB;

/** The alignment of blocks and the smallest of their sizes, in bytes. */
export const BLOCK_ALIGNMENT = 4096;

/** Returns the bytes of the block that a request takes. */
export function classBytes(length: number): number {
  return SIZE_CLASSES.find((size) => size >= length) ?? MAX_LENGTH;
}

/** Throws a `RangeError` unless a block can have that many bytes. */
export function checkLength(action: string, length: number): void {
  checkInteger(action, "length", length, 0, MAX_LENGTH);
}
