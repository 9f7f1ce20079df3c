import { driveSync } from "../base/mod.ts";
import type { Descriptor } from "./_descriptor.ts";
import { isLocal } from "./_filesystems.ts";
import { openDirectory } from "./_open_descriptor.ts";
import { pathString } from "./paths.ts";
import type { StorageWatch } from "./storage.ts";

/** A directory that is watched, and the listeners. */
interface Watched {
  readonly path: string;
  /** The device and the inode. */
  readonly id: string;
  /** Its descriptor: while it is open, no other directory gets the inode. */
  readonly directory: Descriptor;
  readonly watcher: Deno.FsWatcher;
  readonly listeners: Set<(areNamesNew: boolean) => void>;
  /** Whether the watch has ended. */
  isEnded: boolean;
}

/**
 * The watches of the runtime, one for each directory: by default a user has 128 instances of
 * inotify.
 */
const all = new Set<Watched>();

/**
 * Calls a function after each change of a file in a directory, or of the names in it: then with
 * `true`. When the directory loses its path, there is a last call.
 *
 * @returns `undefined` where the system does not report all changes, and while the runtime still
 *   watches the directory that had the path before.
 */
export function watchDirectory(
  where: string,
  onChange: (areNamesNew: boolean) => void,
): StorageWatch | undefined {
  const path = pathString("watch directory", where);
  const watched = watchedOf(path);
  if (watched === undefined) return undefined;
  const { listeners } = watched;
  // Another caller may pass the same function, so each has a separate one.
  const listener = (areNamesNew: boolean) => onChange(areNamesNew);
  listeners.add(listener);
  return {
    close(): void {
      if (listeners.delete(listener) && listeners.size === 0) end(watched);
    },
  };
}

/** Returns the watch of a directory, or makes it; `undefined` where that is not possible. */
function watchedOf(path: string): Watched | undefined {
  try {
    using stack = new DisposableStack();
    const directory = stack.use(driveSync(openDirectory(path)));
    const { device, filesystem, inode } = directory.probe();
    if (!isLocal(filesystem)) return undefined;
    const id = `${device}:${inode}`;
    const same = [...all].find((each) => each.id === id && !each.isEnded);
    if (same !== undefined) return same;
    const earlier = [...all].filter((each) =>
      each.path === path && each.id !== id
    );
    earlier.forEach(lose);
    if (earlier.length > 0) return undefined;
    const watcher = Deno.watchFs(path, { recursive: false });
    stack.move();
    const listeners = new Set<(areNamesNew: boolean) => void>();
    const watched = { path, id, directory, watcher, listeners, isEnded: false };
    all.add(watched);
    void run(watched);
    return watched;
  } catch {
    // No inotify left, no directory, or no permission: opening and listing report which.
    return undefined;
  }
}

async function run(watched: Watched): Promise<void> {
  const { path, watcher, listeners } = watched;
  for await (const { kind, paths } of watcher) {
    if (kind === "access") continue;
    const isLost = kind === "remove" || kind === "rename";
    if (isLost && paths.includes(path)) lose(watched);
    else for (const listener of listeners) listener(kind !== "modify");
  }
  all.delete(watched);
}

/** Ends the watch of a directory that has lost its path. */
function lose(watched: Watched): void {
  end(watched);
  for (const listener of watched.listeners) listener(true);
}

function end(watched: Watched): void {
  if (watched.isEnded) return;
  watched.isEnded = true;
  watched.watcher.close();
  watched.directory[Symbol.dispose]();
}
