import { driveSync } from "../base/mod.ts";
import { closeDescriptor, openDirectory } from "./descriptor.ts";
import { pathString } from "./paths.ts";
import { deviceOf, type FileProbe, probeFile } from "./probe.ts";
import type { StorageWatch } from "./storage.ts";

/**
 * Filesystems whose files change by this kernel only, so that inotify(7) tells of all changes. On
 * others, such as nfs, another machine may write.
 */
const LOCAL = new Set([
  "ext4",
  "xfs",
  "btrfs",
  "tmpfs",
  "ramfs",
  "f2fs",
  "zfs",
  "bcachefs",
  "overlayfs",
]);

/** A directory that is watched, and all who are told of changes in it. */
interface Watched {
  /** The device and the inode. */
  readonly id: string;
  readonly watcher: Deno.FsWatcher;
  readonly listeners: Set<(areNamesNew: boolean) => void>;
}

/** One watch a directory: a user has 128 instances of inotify if not configured otherwise. */
const watchedById = new Map<string, Watched>();

/**
 * Calls a function after each change of a file in a directory, or of the names in it: then with
 * `true`.
 *
 * @returns `undefined` where the system does not tell of all changes.
 */
export function watchDirectory(
  where: string,
  onChange: (areNamesNew: boolean) => void,
): StorageWatch | undefined {
  const path = pathString("watch directory", where);
  let watched: Watched | undefined;
  try {
    watched = watchedOf(path);
  } catch {
    // No inotify left, no directory, or no permission: opening and listing tell which.
  }
  if (watched === undefined) return undefined;
  const { id, watcher, listeners } = watched;
  // A function of its own, whoever else passes the same one.
  const listener = (areNamesNew: boolean) => onChange(areNamesNew);
  listeners.add(listener);
  return {
    close(): void {
      if (!listeners.delete(listener) || listeners.size > 0) return;
      if (watchedById.get(id) === watched) watchedById.delete(id);
      watcher.close();
    },
  };
}

function watchedOf(path: string): Watched | undefined {
  const file = driveSync(openDirectory(path));
  let probe: FileProbe;
  try {
    probe = probeFile(file, path);
  } finally {
    closeDescriptor(file);
  }
  const { filesystem, inode } = probe;
  if (!LOCAL.has(filesystem)) return undefined;
  const id = `${deviceOf(probe)}:${inode}`;
  const known = watchedById.get(id);
  if (known !== undefined) return known;
  const watcher = Deno.watchFs(path, { recursive: false });
  const watched: Watched = { id, watcher, listeners: new Set() };
  watchedById.set(id, watched);
  void run(watched, path);
  return watched;
}

async function run(
  { id, watcher, listeners }: Watched,
  path: string,
): Promise<void> {
  for await (const { kind, paths } of watcher) {
    if (kind === "access") continue;
    // Of a directory that was removed nothing more is told; another one may get its inode.
    const isGone = kind === "remove" && paths.includes(path);
    if (isGone && watchedById.get(id)?.watcher === watcher) {
      watchedById.delete(id);
    }
    for (const listener of listeners) listener(kind !== "modify");
  }
}
