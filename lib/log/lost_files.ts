/**
 * Errors for files of a log that are not there.
 *
 * @module
 */
import { CorruptSegmentError } from "../segment/mod.ts";
import { segmentPath } from "./names.ts";

/** Returns the error for a log of which no segment is there. */
export function lostSegments(
  dir: string,
  firstOffset: number,
): CorruptSegmentError {
  return new CorruptSegmentError("no segment of the log is there", {
    path: segmentPath(dir, firstOffset, "log"),
    position: 0,
    offset: firstOffset,
    kind: "missing",
  });
}

/** Returns the error for an `.index` whose `.log` is missing. */
export function missingLog(
  dir: string,
  firstOffset: number,
): CorruptSegmentError {
  return new CorruptSegmentError("its '.log' is missing", {
    path: segmentPath(dir, firstOffset, "index"),
    position: 0,
    offset: firstOffset,
    kind: "missing",
  });
}

/** Returns the error for messages that are missing at the beginning of a log. */
export function missingBefore(
  dir: string,
  firstOffset: number,
  start: number,
): CorruptSegmentError {
  return new CorruptSegmentError(
    `messages ${start} to ${firstOffset - 1} are missing before it`,
    {
      path: segmentPath(dir, firstOffset, "log"),
      position: 0,
      offset: start,
      kind: "gap",
    },
  );
}
