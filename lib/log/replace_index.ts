import type { Task } from "../base/mod.ts";
import { rebuildIndex } from "../segment/mod.ts";
import type { LogPlace } from "./meta.ts";
import { segmentPath } from "./names.ts";
import { nameFile, prepareFile } from "./temporary_file.ts";

/** What rebuilding an index found. */
export interface RebuiltIndex {
  /** The offset after the last message. */
  nextOffset: number;
  /** Entries that were written. */
  entries: number;
  /** Bytes of the `.log`, all of which were read. */
  byteLength: number;
}

/**
 * Writes the index of a segment again, from a scan of its whole log, and puts it in the place of
 * the old one.
 *
 * The new name is durable when the directory is synced.
 *
 * @throws {CorruptSegmentError} If the log holds anything but whole, valid batches: the segment
 *   stays as
 * it was.
 */
export function* replaceIndex(
  { storage, dir, pool }: LogPlace,
  firstOffset: number,
): Task<RebuiltIndex> {
  const path = segmentPath(dir, firstOffset, "index");
  const log = yield* storage.open(segmentPath(dir, firstOffset, "log"));
  try {
    yield* log.sync("full");
    const { nextOffset, entries } = yield* prepareFile(
      storage,
      path,
      (index) => rebuildIndex({ log, index }, pool, firstOffset),
    );
    yield* nameFile(storage, path);
    return { nextOffset, entries, byteLength: yield* log.size() };
  } finally {
    yield* log.close();
  }
}
