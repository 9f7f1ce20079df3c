import type { StopReason } from "./segment_scan.ts";

/**
 * What is wrong with a segment.
 *
 * - `"torn"`: the data ends early, with zeros, or within a batch.
 * - `"index"`: the index does not agree with the log.
 * - `"gap"`: messages are missing between two segments.
 * - `"missing"`: a file is missing.
 * - `"meta"`: the file `meta` is damaged, or the segments that it is about are gone.
 * - otherwise: what is wrong with the batch.
 */
export type CorruptionKind =
  | Exclude<StopReason, "end" | "zeros" | "partial">
  | "torn"
  | "index"
  | "gap"
  | "missing"
  | "meta";

/** Where a segment is damaged. */
export interface CorruptionFields {
  /** The file. */
  path: string;
  /** The byte in the file at which the bad part begins. */
  position: number;
  /** The offset of the message that should be there. */
  offset: number;
  /** What is wrong. */
  kind: CorruptionKind;
}

/**
 * Reports bytes in a segment that its writer never wrote there. Reading stops before them, opening
 * changes nothing.
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
export class CorruptSegmentError extends Error implements CorruptionFields {
  /** `"CorruptSegmentError"`. */
  override readonly name: string = "CorruptSegmentError";
  /** The file. */
  readonly path: string;
  /** The byte in the file at which the bad part begins. */
  readonly position: number;
  /** The offset of the message that should be there. */
  readonly offset: number;
  /** What is wrong. */
  readonly kind: CorruptionKind;

  /** Makes the error; the fields are added to the message. */
  constructor(message: string, fields: CorruptionFields) {
    super(
      `Segment '${fields.path}' is corrupt at byte ${fields.position}, offset ${fields.offset}: ${message}`,
    );
    this.path = fields.path;
    this.position = fields.position;
    this.offset = fields.offset;
    this.kind = fields.kind;
  }
}
