import { step, type Task } from "../base/mod.ts";
import { checked, native, nodeModule } from "../native/mod.ts";
import type { OpenHow } from "./descriptor.ts";
import { adapted } from "./errors.ts";

/**
 * Opens with any flags and for anything: `node:fs` passes them on, checks the permissions as Deno
 * does, and gives a descriptor. But it takes 23 ms to load.
 */
export function* openByNode(path: string, how: OpenHow): Task<number> {
  const { closeSync, open, openSync } = nodeModule("node:fs");
  const flags = flagsOf(how);
  let fd: number;
  try {
    fd = yield* step(
      () =>
        new Promise<number>((resolve, reject) =>
          open(
            path,
            flags,
            how.mode ?? null,
            (error, fd) => error ? reject(error) : resolve(fd),
          )
        ),
      () => openSync(path, flags, how.mode),
    );
  } catch (error) {
    throw adapted(error, "open", path);
  }
  try {
    return checked(native().basalt_file_adopt(fd), "dup", path);
  } finally {
    // Nothing was written through this one: it has nothing to wait for, and no error to report.
    closeSync(fd);
  }
}

/** The flags of `open(2)`; Deno adds `O_CLOEXEC` itself. */
function flagsOf({ read, write, direct, directory, make }: OpenHow): number {
  const { constants } = nodeModule("node:fs");
  // A FIFO does not wait for its other end, a terminal does not become the process's own.
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
