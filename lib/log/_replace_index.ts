import type { Task } from "../base/mod.ts";
import { rebuildIndex } from "../segment/mod.ts";
import type { LogPlace } from "./meta.ts";
import { segmentPath } from "./names.ts";
import { nameFile, prepareFile } from "./_temporary_file.ts";

/** The result of {@linkcode replaceIndex}. */
export interface RebuiltIndex {
  /** The offset after the last message. */
  nextOffset: number;
  /** Number of entries written. */
  entries: number;
  /** Bytes of the `.log`; all were read. */
  byteLength: number;
}

/**
 * Replaces the index of a segment by one from a scan of its whole log. Its name is durable when the
 * directory is synced.
 *
 * @throws {CorruptSegmentError} If the log holds anything but whole, valid batches. Nothing has
 *   changed then.
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
      (index) => rebuildIndex({ log, index, firstOffset, pool }),
    );
    yield* nameFile(storage, path);
    return { nextOffset, entries, byteLength: yield* log.size() };
  } finally {
    yield* log.close();
  }
}
