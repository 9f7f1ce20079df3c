import {
  driveSync,
  inPlace,
  isPermitted,
  pair,
  parentOf,
  runAll,
  type Task,
} from "../base/mod.ts";
import { UnsupportedError } from "../native/mod.ts";
import { adapting, codeOf, failure, unless } from "./errors.ts";
import type { Placing } from "./file_steps.ts";
import { openDirectory } from "./_open_descriptor.ts";
import { pathString } from "./paths.ts";
import {
  type NamesMode,
  syncEntries,
  syncingDirectory,
} from "./sync_directory.ts";

/** Whether a directory was made, and the syncs that make its name durable. */
interface Placed extends Placing {
  readonly isMade: boolean;
}

/** Makes a directory and its missing parents, durably; returns whether it was made. */
export function* makingDirectory(
  where: string,
  names: NamesMode,
): Task<boolean> {
  const path = pathString("make directory", where);
  using placed = yield* placingDirectory(path, names, false);
  // Deno checks the permission to write, also where the directory exists.
  const isMade = placed.isMade || (yield* makeOne(path));
  // Side by side: syncs of one filesystem share a commit of its journal.
  yield* runAll(placed.syncs);
  return isMade;
}

/**
 * Makes a directory, and before that its parents if they are missing. The syncs of its name are
 * left to do.
 */
export function* placingDirectory(
  where: string,
  names: NamesMode,
  isInPlace: boolean,
): Task<Placed> {
  const path = pathString("make directory", where);
  const place = (isParentNew: boolean) => {
    const task = placing(path, names, isInPlace, isParentNew);
    return isInPlace ? inPlace("mkdir", () => driveSync(task)) : task;
  };
  const placed = yield* place(false);
  if (placed !== undefined) return placed;
  yield* makingDirectory(parentOf(path), names);
  return (yield* place(true))!;
}

/**
 * Makes a directory; returns `undefined` if its parent is missing, unless that was just made.
 *
 * The parent is opened first: where it cannot be synced, nothing is made.
 */
function* placing(
  path: string,
  names: NamesMode,
  isInPlace: boolean,
  isParentNew: boolean,
): Task<Placed | undefined> {
  if (yield* isDirectoryThere(path)) {
    const syncs = [syncName(path, names, isInPlace)];
    return { isMade: false, syncs, [Symbol.dispose]() {} };
  }
  const parent = parentOf(path);
  const opening = openDirectory(parent);
  const opened = isParentNew || parent === path
    ? yield* opening
    : yield* unless("ENOENT", opening);
  if (opened === undefined) return undefined;
  using stack = new DisposableStack();
  stack.use(opened);
  const isMade = yield* makeOne(path);
  const syncs = [syncEntries(opened, names)];
  if (!isParentNew) syncs.push(syncName(parent, names, isInPlace));
  const kept = stack.move();
  return { isMade, syncs, [Symbol.dispose]: () => kept.dispose() };
}

/**
 * Makes the name of an existing directory durable: the process that made it may have been killed
 * before that. If its parent cannot be read or synced, this library did not make the directory.
 */
function* syncName(
  path: string,
  names: NamesMode,
  isInPlace: boolean,
): Task<void> {
  const parent = parentOf(path);
  if (!isPermitted("read", parent)) return;
  try {
    yield* syncingDirectory(parent, names, isInPlace);
  } catch (error) {
    const isRefused = error instanceof Deno.errors.NotCapable ||
      error instanceof UnsupportedError || codeOf(error) === "EACCES";
    if (!isRefused) throw error;
  }
}

/** Makes one directory; returns `false` if it exists. */
function* makeOne(path: string): Task<boolean> {
  try {
    yield* adapting("mkdir", path, pair(Deno, "mkdir", path));
    return true;
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
  }
  if (yield* isDirectoryThere(path)) return false;
  throw failure("ENOENT", "mkdir", path);
}

/** Returns whether a directory exists; throws for anything else the error of making it. */
function* isDirectoryThere(path: string): Task<boolean> {
  const looking = adapting("mkdir", path, pair(Deno, "stat", path));
  const stat = yield* unless("ENOENT", looking);
  if (stat?.isDirectory === false) throw failure("ENOTDIR", "mkdir", path);
  return stat !== undefined;
}
