import type { Task } from "../base/mod.ts";
import { copyRange, type TaskFile } from "../storage/mod.ts";
import type { LogPlace } from "./meta.ts";
import { join, segmentName, TEMPORARY_SUFFIX } from "./names.ts";
import { nameFile, prepareFile } from "./temporary_file.ts";

/**
 * Copies the bytes `[from, to)` of a `.log` to `<segment>.<from>.<n>.cut` beside it, durably,
 * before they are cut.
 *
 * No file is overwritten, and a copy that fails is removed.
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
  yield* prepareFile(
    storage,
    path,
    (copy) => copyRange(log, copy, pool, from, to),
  );
  // Only a whole copy gets the name.
  yield* nameFile(storage, path);
  yield* storage.syncDirectory(dir);
  return path;
}

/**
 * Returns a free path for what is taken out of a segment: bytes of its `.log` from a position, or
 * its `.index`.
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
