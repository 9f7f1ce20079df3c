/**
 * The changes that opening and repair make to the files of a segment.
 *
 * @module
 */
import type { Task } from "../../base/mod.ts";
import { rebuildIndex, type RebuiltIndex } from "../../segment/mod.ts";
import { copyRange, type TaskFile } from "../../storage/mod.ts";
import type { LogPlace } from "../record/meta.ts";
import { join, segmentName, segmentPath, TEMPORARY_SUFFIX } from "../names.ts";
import { nameFile, prepareFile } from "../record/_temporary_file.ts";

/**
 * Copies the bytes `[from, to)` of a `.log` durably to `<segment>.<from>.<n>.cut`, before they are
 * cut.
 *
 * It overwrites no file, and removes an incomplete copy.
 *
 * @returns The path of the copy.
 */
export function* keepCut(
  place: LogPlace,
  firstOffset: number,
  log: TaskFile,
  from: number,
  to: number,
): Task<string> {
  const { storage, dir, pool } = place;
  const path = yield* freeCutPath(place, firstOffset, from);
  const fill = (copy: TaskFile) => copyRange(log, copy, pool, from, to);
  yield* prepareFile(storage, path, fill);
  // Only a complete copy gets the name.
  yield* nameFile(storage, path);
  yield* storage.syncDirectory(dir);
  return path;
}

/**
 * Returns a free path for a part of a segment that is removed: bytes of its `.log` from a position,
 * or its `.index`.
 */
export function* freeCutPath(
  { storage, dir }: LogPlace,
  firstOffset: number,
  what: number | "index",
): Task<string> {
  const taken = new Set((yield* storage.list(dir)).map((each) => each.name));
  for (let n = 0;; n++) {
    const name = `${segmentName(firstOffset)}.${what}.${n}.cut`;
    if (taken.has(name) || taken.has(name + TEMPORARY_SUFFIX)) continue;
    return join(dir, name);
  }
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
    const fill = (index: TaskFile) =>
      rebuildIndex({ log, index, firstOffset, pool });
    const rebuilt = yield* prepareFile(storage, path, fill);
    yield* nameFile(storage, path);
    return rebuilt;
  } finally {
    yield* log.close();
  }
}
