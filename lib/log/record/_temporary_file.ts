import type { Task } from "../../base/mod.ts";
import type {
  StorageOpenOptions,
  TaskFile,
  TaskStorage,
} from "../../storage/mod.ts";
import { TEMPORARY_SUFFIX } from "../names.ts";

/**
 * Makes a file under the temporary name of a path, and fills it. {@linkcode nameFile} gives it its
 * name.
 *
 * One that an earlier attempt left is replaced. A file that cannot be filled is removed.
 *
 * @param fill Writes what the file holds, durably if that matters.
 */
export function* prepareFile<T>(
  storage: TaskStorage,
  path: string,
  fill: (file: TaskFile) => Task<T>,
): Task<T> {
  const file = yield* openTemporary(storage, path);
  try {
    const filled = yield* fill(file);
    yield* file.close();
    return filled;
  } catch (error) {
    yield* discard(storage, file);
    throw error;
  }
}

/**
 * Closes and removes a prepared file, if possible. A failure is not reported, because another one
 * came before it, and the next opening removes the file.
 */
export function* discard(storage: TaskStorage, file: TaskFile): Task<void> {
  try {
    yield* file.close();
    yield* storage.removeNow(file.path);
  } catch {
    // See above.
  }
}

/** Gives a prepared file its name, which is durable when the directory is synced. */
export function* nameFile(storage: TaskStorage, path: string): Task<void> {
  yield* storage.renameNow(path + TEMPORARY_SUFFIX, path);
}

/**
 * Makes a file under the temporary name of a path, and opens it for writing. One that an earlier
 * attempt left is replaced.
 */
export function* openTemporary(
  storage: TaskStorage,
  path: string,
  others: StorageOpenOptions = {},
): Task<TaskFile> {
  const temporary = path + TEMPORARY_SUFFIX;
  const options = { ...others, write: true, createNew: true };
  try {
    return yield* storage.openNow(temporary, options);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
  yield* storage.removeNow(temporary);
  return yield* storage.openNow(temporary, options);
}
