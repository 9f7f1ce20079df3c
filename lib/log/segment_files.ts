import type { Task } from "../base/mod.ts";
import type { SegmentFiles } from "../segment/mod.ts";
import {
  OverlayStorage,
  type StorageOpenOptions,
  type TaskFile,
  TaskStorage,
} from "../storage/mod.ts";
import { segmentPath } from "./names.ts";

/**
 * Opens the two files of a segment; neither stays open when one fails.
 *
 * For reading, a missing `.index` is an empty one in memory (`docs/format.md#index-cache`).
 */
export function* openSegment(
  storage: TaskStorage,
  dir: string,
  firstOffset: number,
  options: { write: boolean },
): Task<SegmentFiles> {
  const { write } = options;
  const log = yield* openSegmentLog(storage, dir, firstOffset, write);
  try {
    const path = segmentPath(dir, firstOffset, "index");
    const index = write
      ? yield* storage.openNow(path, options)
      : yield* openIndex(storage, dir, firstOffset);
    return { log, index };
  } catch (error) {
    yield* log.close();
    throw error;
  }
}

/** Opens the `.log` of a segment. */
export function openSegmentLog(
  storage: TaskStorage,
  dir: string,
  firstOffset: number,
  write = false,
): Task<TaskFile> {
  return storage.openNow(segmentPath(dir, firstOffset, "log"), { write });
}

/** Opens the `.index` of a segment for reading; a missing one is an empty one in memory. */
export function* openIndex(
  storage: TaskStorage,
  dir: string,
  firstOffset: number,
): Task<TaskFile> {
  const path = segmentPath(dir, firstOffset, "index");
  return (yield* openIfThere(storage, path)) ??
    (yield* openInMemory(storage, path));
}

/** Closes the two files of a segment. */
export function* closeSegment(files: SegmentFiles): Task<void> {
  for (const file of [files.log, files.index]) yield* file.close();
}

/** Opens a file for reading; `undefined` if it is gone. */
export function* openIfThere(
  storage: TaskStorage,
  path: string,
  options: StorageOpenOptions = {},
): Task<TaskFile | undefined> {
  try {
    return yield* storage.openNow(path, options);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Opens an empty file that exists in memory only. */
function* openInMemory(storage: TaskStorage, path: string): Task<TaskFile> {
  const overlay = new OverlayStorage(storage, () => false);
  return yield* overlay.open(path, { write: true, create: true });
}

/** Returns the size of the file at a path in bytes; `undefined` if it does not exist. */
export function* sizeAt(
  storage: TaskStorage,
  path: string,
): Task<number | undefined> {
  const file = yield* openIfThere(storage, path);
  if (file === undefined) return undefined;
  try {
    return yield* file.size();
  } finally {
    yield* file.close();
  }
}
