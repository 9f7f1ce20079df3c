/**
 * Why a scan of batches found no further one.
 *
 * - `"end"`: the bytes are used up exactly.
 * - `"partial"`: the batch ends after the bytes; the part that is there is plausible.
 * - `"zeros"`: a header of 256 zeros, or nothing but zeros in fewer bytes: nothing was written
 *   there.
 * - `"length"`: the length of the batch, of a payload or of user headers is out of its bounds.
 * - `"reserved"`: reserved bytes, the flags or the producer section of the header are wrong.
 * - `"count"`: the frames do not fill the batch, are out of order, or there are none.
 * - `"offset"`: the base offset is another one, or an offset is above `Number.MAX_SAFE_INTEGER`.
 * - `"timestamp"`: the append time is below that of the batch before, or above
 *   `Number.MAX_SAFE_INTEGER`.
 * - `"frame checksum"`: the checksum of a message is wrong.
 * - `"batch checksum"`: the checksum of the batch is wrong.
 */
export type StopReason =
  | "end"
  | "partial"
  | "zeros"
  | "length"
  | "reserved"
  | "count"
  | "offset"
  | "timestamp"
  | "frame checksum"
  | "batch checksum";

/** The reasons by their numbers in Rust (`Stop` in `rust/src/codec/scan.rs`), and in words. */
const REASONS: readonly (readonly [reason: StopReason, text: string])[] = [
  ["end", "the data ends early"],
  ["partial", "the last batch is cut off"],
  ["zeros", "zeros where a batch should be"],
  ["length", "a length is out of its bounds"],
  ["reserved", "reserved bytes of the batch header are not 0"],
  ["count", "the frames do not fill the batch"],
  ["offset", "the batch has another offset"],
  ["timestamp", "the batch is older than the one before it"],
  ["frame checksum", "the checksum of a message does not match"],
  ["batch checksum", "the checksum of the batch does not match"],
];

const TEXTS: ReadonlyMap<StopReason, string> = new Map(REASONS);

/** The number in Rust of a stop because there is no room for more results. */
export const FULL: number = REASONS.length;

/** Returns the reason that Rust gives by its number, which is not {@linkcode FULL}. */
export function stopReasonOf(code: number): StopReason {
  return REASONS[code]![0];
}

/** Describes a stop where more batches should be. */
export function describeStop(reason: StopReason): string {
  return TEXTS.get(reason)!;
}
