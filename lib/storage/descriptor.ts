import type { Task } from "../base/mod.ts";
import { checked, native } from "../native/mod.ts";
import { openByDeno } from "./open_by_deno.ts";
import { openByNode } from "./open_by_node.ts";

/** How a path is opened; what is not asked for is not done. */
export interface OpenHow {
  /** For reading. */
  readonly read?: boolean;
  /** For writing. */
  readonly write?: boolean;
  /** Past the page cache (`O_DIRECT`). */
  readonly direct?: boolean;
  /** A directory, and nothing else (`O_DIRECTORY`). */
  readonly directory?: boolean;
  /**
   * The file is made: `"new"` where it must not be there yet (`O_EXCL`), `"missing"` where it may
   * be.
   */
  readonly make?: "new" | "missing";
  /** Permission bits of a file that is made. */
  readonly mode?: number;
}

/**
 * Opens a path through Deno, which checks the permissions, and gives the library a duplicate of the
 * descriptor. Never waits for the other end of a FIFO.
 *
 * @returns The library's number of the file; `basalt_file_close` ends it.
 */
export function* openDescriptor(path: string, how: OpenHow): Task<number> {
  // Who may not use the library opens nothing, and makes nothing.
  native();
  return (yield* openByDeno(path, how)) ?? (yield* openByNode(path, how));
}

/** Opens a directory, for `fsync(2)` and `flock(2)` of it. */
export function openDirectory(path: string): Task<number> {
  return openDescriptor(path, { read: true, directory: true });
}

/** Ends an adopted file. */
export function closeDescriptor(file: number): void {
  native().basalt_file_close(file);
}

/** The status of `flock(2)` while another holds the lock: `-EWOULDBLOCK`. */
const WOULD_BLOCK = -11;

/**
 * Takes the exclusive lock of what a descriptor is open on (`flock(2)`) without waiting; returns
 * whether no other descriptor held it.
 */
export function lockDescriptor(file: number, path: string): boolean {
  const status = native().basalt_file_lock(file, 1);
  if (status === WOULD_BLOCK) return false;
  checked(status, "flock", path);
  return true;
}
