import type { Task } from "../../base/mod.ts";
import {
  CorruptSegmentError,
  recoverSegment,
  type ScanStop,
  type SegmentState,
} from "../../segment/mod.ts";
import { OverlayStorage } from "../../storage/mod.ts";
import { openPair } from "./directory.ts";
import type { LogPlace } from "../record/meta.ts";
import { isCutPath, segmentPath } from "../names.ts";
import type { OwnerRecord } from "../record/owner_file.ts";
import { closeSegment, sizeAt } from "./_segment_files.ts";

/** Returns a place where all changes are kept in memory. */
export function inMemory(place: LogPlace): LogPlace {
  return { ...place, storage: new OverlayStorage(place.storage, isCutPath) };
}

/** Returns the durable offset that an owner file vouches for. */
export function vouchedOffset(
  owner: OwnerRecord | "invalid" | undefined,
): number {
  return typeof owner === "object" ? owner.durableOffset : 0;
}

/**
 * Recovers the last segment of a log that was not closed, with all changes kept in memory: what the
 * next writer will do.
 *
 * @throws {CorruptSegmentError} If recovery refuses the segment.
 */
export function* tryRecovery(
  place: LogPlace,
  firstOffset: number,
  durableOffset: number,
): Task<SegmentState> {
  const memory = inMemory(place);
  const { storage, dir } = memory;
  const segment = { firstOffset, log: false, index: false };
  for (const kind of ["log", "index"] as const) {
    const path = segmentPath(dir, firstOffset, kind);
    segment[kind] = (yield* sizeAt(storage, path)) !== undefined;
  }
  const files = yield* openPair(memory, segment);
  const options = {
    ...files,
    durableOffset,
    *begin(): Task<void> {},
    *keep(): Task<void> {},
  };
  try {
    return (yield* recoverSegment(options)).state;
  } finally {
    yield* closeSegment(files);
  }
}

/**
 * Whether recovery accepts the last segment of a log that was not closed, and leaves only valid
 * batches. It does not read what lies far before the last index entry, so damage may stay there.
 *
 * @param stop The first invalid batch of the segment, if any.
 */
export function* isRecoverable(
  place: LogPlace,
  firstOffset: number,
  durableOffset: number,
  stop: ScanStop | undefined,
): Task<boolean> {
  try {
    const { end } = yield* tryRecovery(place, firstOffset, durableOffset);
    return stop === undefined || end <= stop.position;
  } catch (error) {
    if (error instanceof CorruptSegmentError) return false;
    throw error;
  }
}
