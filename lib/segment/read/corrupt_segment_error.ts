import { describeStop, type StopReason } from "../../codec/mod.ts";
import type { ScanStop } from "./segment_scan.ts";

/**
 * Tells what is wrong with a log or one of its segments.
 *
 * - `"torn"`: the data ends early, with zeros, or within a batch.
 * - `"index"`: the index does not agree with the log.
 * - `"gap"`: messages are missing between two segments.
 * - `"overlap"`: a segment begins before the one in front of it ends.
 * - `"missing"`: a file is missing.
 * - `"name"`: a file with the name of one of the log's is not a regular file, or a name only looks
 *   like one of them.
 * - `"meta"`: the file `meta` is damaged, or the segments that it is about are gone.
 * - `"owner"`: the owner file is that of another log.
 * - otherwise: what is wrong with a batch.
 */
export type FaultKind =
  | Exclude<StopReason, "end" | "zeros" | "partial">
  | "torn"
  | "index"
  | "gap"
  | "overlap"
  | "missing"
  | "name"
  | "meta"
  | "owner";

/** Returns what is wrong if a scan stopped where more batches should be. */
export function faultKindOf(reason: StopReason): FaultKind {
  return reason === "end" || reason === "zeros" || reason === "partial"
    ? "torn"
    : reason;
}

/**
 * Reports damage: bytes in a segment that its writer never wrote there. Reading stops before them,
 * and opening changes nothing.
 *
 * @example Fields
 * ```ts
 * import { CorruptSegmentError } from "@basalt/io";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new CorruptSegmentError("bad checksum", {
 *   path: "00000000000000000000.log", position: 379, offset: 1, kind: "batch checksum",
 * });
 * assertEquals(error.position, 379);
 * ```
 */
export class CorruptSegmentError extends Error {
  /** `"CorruptSegmentError"`. */
  override readonly name: string = "CorruptSegmentError";
  /** The file. */
  readonly path: string;
  /** The byte in the file at which the bad part begins. */
  readonly position: number;
  /** The offset of the message that should be there. */
  readonly offset: number;
  /** What is wrong. */
  readonly kind: FaultKind;

  /** Makes the error; the fields are added to the message. */
  constructor(
    message: string,
    fields: Pick<CorruptSegmentError, "path" | "position" | "offset" | "kind">,
  ) {
    super(
      `Segment '${fields.path}' is corrupt at byte ${fields.position}, offset ${fields.offset}: ${message}`,
    );
    this.path = fields.path;
    this.position = fields.position;
    this.offset = fields.offset;
    this.kind = fields.kind;
  }
}

/** Returns the error for a stop before the end of what was written. */
export function corruption(path: string, stop: ScanStop): CorruptSegmentError {
  const { reason, position, offset } = stop;
  const fields = { path, position, offset, kind: faultKindOf(reason) };
  return new CorruptSegmentError(describeStop(reason), fields);
}
