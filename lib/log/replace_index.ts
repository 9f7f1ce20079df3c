import type { Task } from "../base/mod.ts";
import type { BufferPool } from "../pool/mod.ts";
import { CorruptSegment, rebuildIndex } from "../segment/mod.ts";
import type { TaskStorage } from "../storage/mod.ts";
import { removeFile, syncDirectory } from "./directory.ts";
import { join, segmentName, TEMPORARY_SUFFIX } from "./names.ts";

/** What a segment's log holds. */
export interface SegmentExtent {
  /** Messages. */
  count: number;
  /** Bytes. */
  byteLength: number;
}

/**
 * Writes the index of a segment anew, from a walk over its whole log, and puts it in the place of the old one.
 *
 * @param accept Called before it takes the place; when it throws, nothing has changed.
 * @throws {CorruptSegment} If the log holds anything but whole, valid messages: the segment stays as it was.
 */
export function* replaceIndex(
  storage: TaskStorage,
  dir: string,
  firstOffset: number,
  pool: BufferPool,
  accept: (extent: SegmentExtent) => void,
): Task<SegmentExtent> {
  const path = join(dir, segmentName(firstOffset));
  const temporary = `${path}.index${TEMPORARY_SUFFIX}`;
  const log = yield* storage.open(`${path}.log`);
  try {
    yield* log.sync("full");
    const options = { write: true, createNew: true };
    const index = yield* storage.open(temporary, options);
    let count: number;
    try {
      count = yield* rebuildIndex({ log, index }, pool, firstOffset);
    } finally {
      yield* index.close();
    }
    const byteLength = yield* log.size();
    accept({ count, byteLength });
    yield* storage.rename(temporary, `${path}.index`);
    yield* syncDirectory(storage, dir);
    return { count, byteLength };
  } catch (error) {
    // A damaged segment stays as it was.
    if (error instanceof CorruptSegment) yield* removeFile(storage, temporary);
    throw error;
  } finally {
    yield* log.close();
  }
}
