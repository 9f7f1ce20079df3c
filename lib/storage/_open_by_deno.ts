import { isPermitted, pair, type Task } from "../base/mod.ts";
import { checked, native, UnsupportedError } from "../native/mod.ts";
import type { OpenHow } from "./_descriptor.ts";
import { adapting, codeOf } from "./errors.ts";
import { isAtLeast, kernelRelease } from "./probe.ts";

/** Random positions are below this one, which even the oldest filesystems allow. */
const POSITION_LIMIT = 2 ** 28;

/** `-ENOENT`: no descriptor of the file is at the position. */
const NOT_FOUND = -2;

/**
 * Opens with `Deno.open`, and finds the descriptor behind the `Deno.FsFile`.
 *
 * `Deno.open` has no flags, and would wait at a FIFO. So it is used for regular files, directories
 * and files that this call makes. It can still wait in two cases:
 *
 * - Another process puts a FIFO at the path between the check and the opening, which needs write
 *   access to the directory.
 * - Another process holds a lease on the file (`fcntl(2)`, file servers do). It has 45 seconds to
 *   give the lease back (`/proc/sys/fs/lease-break-time`). Failing at once would help no caller.
 *
 * `DirectFile.open` waits in a thread of the runtime.
 *
 * @returns The library's number of the file; `undefined`, with nothing done, for anything else, and
 *   where the permissions to check the path are missing.
 */
export function* openByDeno(
  path: string,
  how: OpenHow,
): Task<number | undefined> {
  // The path may be a link to a file that does not exist yet: a FIFO could take its place.
  if (how.make === "missing") return undefined;
  // Some filesystems look at the flag of open(2) only. Before Linux 6.1 nothing confirms that
  // setting O_DIRECT on an open file had an effect.
  if (how.direct && !isAtLeast(kernelRelease(), 6, 1)) return undefined;
  if (!isPermitted("read", path)) return undefined;
  if (how.write && !isPermitted("write", path)) return undefined;
  let expected: Deno.FileInfo | undefined;
  if (how.make === undefined) {
    expected = yield* look(path, how);
    if (expected === undefined) return undefined;
  }
  const { read = false, write = false, mode } = how;
  const options: Deno.OpenOptions = { read, write };
  if (how.make === "new") options.createNew = true;
  if (mode !== undefined) options.mode = mode;
  const opening = pair(Deno, "open", path, options);
  const file = yield* adapting("open", path, opening);
  try {
    // By the path: `FsFile.stat` needs the permission to read where a link leads, which opening
    // does not. If the path leads to another file by now, that one is not found.
    expected ??= yield* look(path, how);
    const adopted = expected === undefined
      ? NOT_FOUND
      : adoptFile(file, expected, how.direct);
    if (adopted !== NOT_FOUND) return checked(adopted, "open", path);
    if (how.make === undefined) return undefined;
    throw new UnsupportedError(`Cannot open '${path}'`, {
      found:
        "a file that was replaced, or does not keep the position that it is set to",
      needed: "a regular file",
    });
  } finally {
    file.close();
  }
}

/** Returns what the path leads to, if it is a directory or regular file as wanted. */
function* look(path: string, how: OpenHow): Task<Deno.FileInfo | undefined> {
  try {
    const stat = yield* adapting("open", path, pair(Deno, "stat", path));
    return (how.directory ? stat.isDirectory : stat.isFile) ? stat : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) return undefined;
    // Where `stat` fails, opening fails the same way.
    throw error;
  }
}

/**
 * Gives the library a duplicate of an open file's descriptor. `Deno.FsFile` hides its number.
 *
 * The position belongs to the open file, so the library searches the descriptors of the process for
 * one that is at a random position which was just set. Then it checks the duplicate at a second
 * random position, so other threads may open and close files meanwhile. The final position does not
 * matter: every transfer has its own.
 *
 * @returns The library's number of it; {@linkcode NOT_FOUND} if it is another file than expected,
 *   or its position does not follow; or the negative status of adopting it.
 */
function adoptFile(
  file: Deno.FsFile,
  { dev, ino }: Deno.FileInfo,
  direct = false,
): number {
  const [first, second] = crypto.getRandomValues(new Uint32Array(2));
  try {
    const start = setPosition(file, first!);
    const fd = native().basalt_file_find(dev, ino ?? 0, start);
    if (fd < 0) return fd;
    const position = setPosition(file, second!);
    return native().basalt_file_adopt_at(fd, position, direct ? 1 : 0);
  } catch (error) {
    // Some filesystems refuse to set the position of a directory.
    if (codeOf(error) !== undefined) return NOT_FOUND;
    throw error;
  }
}

function setPosition(file: Deno.FsFile, random: number): number {
  return file.seekSync(random % POSITION_LIMIT, Deno.SeekMode.Start);
}
