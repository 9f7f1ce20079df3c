import type { Task } from "../base/mod.ts";
import type { BufferPool } from "../pool/mod.ts";
import { copyRange, type TaskFile, type TaskStorage } from "../storage/mod.ts";
import { syncDirectory } from "./directory.ts";
import { join, segmentName, TEMPORARY_SUFFIX } from "./names.ts";

/**
 * Copies the bytes `[from, to)` of a `.log` to `<segment>.cut` beside it, durably, before recovery cuts them. An earlier `.cut` of the same segment stays: a number is added to the name.
 *
 * @returns The path of the copy. It begins at `from` rounded down to the physical block, so that the copy is aligned.
 */
export function* keepCut(
  storage: TaskStorage,
  dir: string,
  firstOffset: number,
  log: TaskFile,
  pool: BufferPool,
  from: number,
  to: number,
): Task<string> {
  const name = `${segmentName(firstOffset)}.cut`;
  const path = yield* freePath(storage, dir, name);
  const temporary = join(dir, name + TEMPORARY_SUFFIX);
  const options = { write: true, createNew: true };
  const copy = yield* storage.open(temporary, options);
  try {
    const unit = log.capabilities.physicalBlock;
    yield* copyRange(log, copy, pool, from - from % unit, to);
  } finally {
    yield* copy.close();
  }
  // Only a whole copy gets the name.
  yield* storage.rename(temporary, path);
  yield* syncDirectory(storage, dir);
  return path;
}

/** A path in the directory that nothing has: the name, or with a number behind it. */
export function* freePath(
  storage: TaskStorage,
  dir: string,
  name: string,
): Task<string> {
  const entries = yield* storage.list(dir);
  const taken = new Set(entries.map((entry) => entry.name));
  let free = name;
  for (let n = 1; taken.has(free); n++) free = `${name}.${n}`;
  return join(dir, free);
}
