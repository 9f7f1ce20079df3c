import type { Task } from "../base/mod.ts";
import type { TaskFile, TaskStorage } from "../storage/mod.ts";
import { TEMPORARY_SUFFIX } from "./names.ts";

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
  const file = yield* openNew(storage, path + TEMPORARY_SUFFIX);
  try {
    try {
      return yield* fill(file);
    } finally {
      yield* file.close();
    }
  } catch (error) {
    yield* removeQuietly(storage, path + TEMPORARY_SUFFIX);
    throw error;
  }
}

/** Gives a prepared file its name, which is durable when the directory is synced. */
export function* nameFile(storage: TaskStorage, path: string): Task<void> {
  yield* storage.renameNow(path + TEMPORARY_SUFFIX, path);
}

function* openNew(storage: TaskStorage, path: string): Task<TaskFile> {
  const options = { write: true, createNew: true };
  try {
    return yield* storage.openNow(path, options);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
  yield* storage.removeNow(path);
  return yield* storage.openNow(path, options);
}

/**
 * Removes a file if that is possible: why it is not is of no interest beside the failure before it.
 */
function* removeQuietly(
  storage: TaskStorage,
  path: string,
): Task<void> {
  try {
    yield* storage.removeNow(path);
  } catch {
    // The next opening removes it.
  }
}
