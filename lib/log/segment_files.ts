import type { Task } from "../base/mod.ts";
import type { SegmentTaskFiles } from "../segment/mod.ts";
import type { TaskFile, TaskStorage } from "../storage/mod.ts";
import { join, segmentName } from "./names.ts";

/** Opens the two files of a segment; neither stays open when one fails. */
export function* openSegment(
  storage: TaskStorage,
  dir: string,
  firstOffset: number,
  options: { write: boolean },
): Task<SegmentTaskFiles> {
  const path = join(dir, segmentName(firstOffset));
  const open = (kind: string): Task<TaskFile> =>
    storage.open(`${path}.${kind}`, options);
  const log = yield* open("log");
  try {
    return { log, index: yield* open("index") };
  } catch (error) {
    yield* log.close();
    throw error;
  }
}

/** Closes the two files of a segment. */
export function* closeSegment(files: SegmentTaskFiles): Task<void> {
  for (const file of [files.log, files.index]) yield* closeFile(file);
}

/** Opens a file for reading; `undefined` if it is gone. */
export function* openIfThere(
  storage: TaskStorage,
  path: string,
): Task<TaskFile | undefined> {
  try {
    return yield* storage.open(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** The size of an open file in bytes. */
export function* sizeOf(file: TaskFile): Task<number> {
  return yield* file.size();
}

/** Closes a file. */
export function* closeFile(file: TaskFile): Task<void> {
  yield* file.close();
}
