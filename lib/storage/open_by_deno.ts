import { isPermitted, paired, type Task } from "../base/mod.ts";
import { checked, native, UnsupportedError } from "../native/mod.ts";
import type { OpenHow } from "./descriptor.ts";
import { adapted, codeOf } from "./errors.ts";
import { isAtLeast, kernelRelease } from "./probe.ts";

/** Marks lie below this position, which even the oldest filesystems let a file be set to. */
const MARK_LIMIT = 2 ** 28;

/** `-ENOENT`: no descriptor of the file stands at the mark. */
const NOT_FOUND = -2;

/**
 * Opens with `Deno.open`, and finds the descriptor behind the `Deno.FsFile`.
 *
 * `Deno.open` has no flags, and would wait at a FIFO. So only what is known to be a regular file or
 * a directory is opened, or a file that this call makes.
 * It waits all the same, as `Deno.open` itself does and without `O_NONBLOCK`, for two others: for
 * who puts a FIFO there between the look and the opening,
 * which takes the right to write the directory; and for who holds a lease on the file (`fcntl(2)`,
 * file servers do) and has `/proc/sys/fs/lease-break-time`
 * seconds, 45, to give it back, where failing at once would be an error that means nothing to the
 * caller. `DirectFile.open` waits in a thread of the runtime.
 *
 * @returns The library's number of the file; `undefined`, with nothing done, for anything else:
 *   also where the permissions to look are missing.
 */
export function* openByDeno(
  path: string,
  how: OpenHow,
): Task<number | undefined> {
  // A link to what is not there yet, which cannot be told from a link to a FIFO that comes
  // meanwhile.
  if (how.make === "missing") return undefined;
  // Before, nobody confirms what setting O_DIRECT on an open file is worth: some filesystems look
  // at the flag of open(2) only.
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
  let file: Deno.FsFile;
  try {
    file = yield* paired(Deno, "open", path, options);
  } catch (error) {
    throw adapted(error, "open", path);
  }
  try {
    // By the path: `FsFile.stat` wants the permission to read where a link leads, which opening
    // does not. Another file by now is just not found.
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

/** What the path leads to, if it is of the kind that is wanted. */
function* look(path: string, how: OpenHow): Task<Deno.FileInfo | undefined> {
  try {
    const stat = yield* paired(Deno, "stat", path);
    return (how.directory ? stat.isDirectory : stat.isFile) ? stat : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) return undefined;
    // What keeps the kernel from the file keeps it from opening it, too.
    throw adapted(error, "open", path);
  }
}

/**
 * Gives the library a duplicate of an open file's descriptor, whose number nobody tells.
 *
 * The position belongs to the open file: two descriptors that both follow when it is set to one
 * random place after the other are of the same. The second look is
 * at the duplicate, so it does not matter what other threads open and close meanwhile. Where the
 * position is left makes no difference: every transfer has its own.
 *
 * @param expected The file that it should be.
 * @returns The library's number of it; {@linkcode NOT_FOUND} if it is another file, or its position
 *   does not follow; or why it was not adopted.
 */
function adoptFile(
  file: Deno.FsFile,
  { dev, ino }: Deno.FileInfo,
  direct = false,
): number {
  const [first, second] = crypto.getRandomValues(new Uint32Array(2));
  try {
    const fd = native().basalt_file_find(dev, ino ?? 0, mark(file, first!));
    if (fd < 0) return fd;
    const position = mark(file, second!);
    return native().basalt_file_adopt_at(fd, position, direct ? 1 : 0);
  } catch (error) {
    // Some filesystems refuse to set the position of a directory.
    if (codeOf(error) !== undefined) return NOT_FOUND;
    throw error;
  }
}

/** Sets the position of an open file to a random place. */
function mark(file: Deno.FsFile, random: number): number {
  return file.seekSync(random % MARK_LIMIT, Deno.SeekMode.Start);
}
