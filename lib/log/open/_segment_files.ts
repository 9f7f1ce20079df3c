import type { Task } from "../../base/mod.ts";
import type { SegmentFiles } from "../../segment/mod.ts";
import {
  OverlayStorage,
  type StorageOpenOptions,
  type TaskFile,
  type TaskStorage,
} from "../../storage/mod.ts";
import type { LogPlace } from "../record/meta.ts";
import { segmentPath } from "../names.ts";

/**
 * Opens the two files of a segment for reading, lets a task read them, and closes them.
 *
 * A missing `.index` is an empty one in memory (`docs/format.md#index-cache`).
 */
export function* readSegment<T>(
  place: LogPlace,
  firstOffset: number,
  read: (files: SegmentFiles) => Task<T>,
): Task<T> {
  const { pool } = place;
  const log = yield* openSegmentLog(place, firstOffset);
  const reading = readIndex(
    place,
    firstOffset,
    (index) => read({ log, index, firstOffset, pool }),
  );
  return yield* closing(log, reading);
}

/** Opens the `.log` of a segment for reading. */
export function openSegmentLog(
  { storage, dir }: LogPlace,
  firstOffset: number,
): Task<TaskFile> {
  return storage.openNow(segmentPath(dir, firstOffset, "log"));
}

/**
 * Opens the `.index` of a segment, lets a task read it, and closes it. A missing one is an empty
 * one in memory.
 */
export function* readIndex<T>(
  { storage, dir }: LogPlace,
  firstOffset: number,
  read: (index: TaskFile) => Task<T>,
): Task<T> {
  const path = segmentPath(dir, firstOffset, "index");
  const options = { write: true, create: true };
  const index = (yield* openIfThere(storage, path)) ??
    (yield* new OverlayStorage(storage, () => false).open(path, options));
  return yield* closing(index, read(index));
}

/** Runs a task that uses an open file, and closes the file. */
export function* closing<T>(file: TaskFile, task: Task<T>): Task<T> {
  try {
    return yield* task;
  } finally {
    yield* file.close();
  }
}

/** Closes the two files of a segment. */
export function* closeSegment(files: SegmentFiles): Task<void> {
  for (const file of [files.log, files.index]) yield* file.close();
}

/** Returns the result of a task; `undefined` if a file or directory does not exist. */
export function* unlessGone<T>(task: Task<T>): Task<T | undefined> {
  try {
    return yield* task;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Opens a file for reading; `undefined` if it does not exist. */
export function openIfThere(
  storage: TaskStorage,
  path: string,
  options: StorageOpenOptions = {},
): Task<TaskFile | undefined> {
  return unlessGone(storage.openNow(path, options));
}

/** Lets a task read a file, and closes it; returns `undefined` if it does not exist. */
export function* readIfThere<T>(
  storage: TaskStorage,
  path: string,
  read: (file: TaskFile) => Task<T>,
): Task<T | undefined> {
  const file = yield* openIfThere(storage, path);
  return file && (yield* closing(file, read(file)));
}

/** Returns the size of the file at a path in bytes; `undefined` if it does not exist. */
export function sizeAt(
  storage: TaskStorage,
  path: string,
): Task<number | undefined> {
  return readIfThere(storage, path, (file) => file.size());
}
