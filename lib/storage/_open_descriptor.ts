import type { Task } from "../base/mod.ts";
import { checked, native, nodeModule } from "../native/mod.ts";
import { Descriptor, type OpenHow } from "./_descriptor.ts";
import { adapting } from "./errors.ts";
import { openByDeno } from "./_open_by_deno.ts";

/**
 * Opens a path through Deno, which checks the permissions, and gives the library a duplicate of the
 * descriptor. Never waits for the other end of a FIFO.
 */
export function* openDescriptor(path: string, how: OpenHow): Task<Descriptor> {
  // Where the library cannot be used, nothing is opened or made.
  native();
  const file = (yield* openByDeno(path, how)) ?? (yield* openByNode(path, how));
  return new Descriptor(path, file);
}

/** Opens a directory, for `fsync(2)` and `flock(2)` of it. */
export function openDirectory(path: string): Task<Descriptor> {
  return openDescriptor(path, { read: true, directory: true });
}

/**
 * Opens any kind of file with any flags. `node:fs` passes them on, checks the permissions as Deno
 * does, and returns a descriptor, but takes 23 ms to load.
 */
function* openByNode(path: string, how: OpenHow): Task<number> {
  const { closeSync, open, openSync } = nodeModule("node:fs");
  const flags = flagsOf(how);
  const { mode } = how;
  const fd = yield* adapting("open", path, {
    runSync: () => openSync(path, flags, mode),
    begin: (resolve, reject) =>
      open(
        path,
        flags,
        mode ?? null,
        (error, fd) => error ? reject(error) : resolve(fd),
      ),
  });
  try {
    return checked(native().basalt_file_adopt(fd), "dup", path);
  } finally {
    // Nothing was written through this descriptor, so closing it has no error to report.
    closeSync(fd);
  }
}

/** The flags of `open(2)`; Deno adds `O_CLOEXEC` itself. */
function flagsOf({ read, write, direct, directory, make }: OpenHow): number {
  const { constants } = nodeModule("node:fs");
  // Do not wait for the other end of a FIFO, or make a terminal the process's own.
  let flags = constants.O_NONBLOCK | constants.O_NOCTTY;
  flags |= write
    ? read ? constants.O_RDWR : constants.O_WRONLY
    : constants.O_RDONLY;
  if (direct) flags |= (constants as unknown as { O_DIRECT: number }).O_DIRECT;
  if (directory) flags |= constants.O_DIRECTORY;
  if (make !== undefined) flags |= constants.O_CREAT;
  if (make === "new") flags |= constants.O_EXCL;
  return flags;
}
