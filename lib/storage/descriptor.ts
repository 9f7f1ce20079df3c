import { checked, native } from "../native/mod.ts";
import { closeSync, constants, open, openSync } from "node:fs";
import { adapted } from "./errors.ts";
import { step, type Twin } from "./twin.ts";

/** The flags of `open(2)` that this room uses; Deno sets `O_CLOEXEC` itself. */
export const OPEN = {
  READ: constants.O_RDONLY,
  WRITE: constants.O_WRONLY,
  READ_WRITE: constants.O_RDWR,
  CREATE: constants.O_CREAT,
  EXCLUSIVE: constants.O_EXCL,
  DIRECT: (constants as unknown as { O_DIRECT: number }).O_DIRECT,
  DIRECTORY: constants.O_DIRECTORY,
  NO_FOLLOW: constants.O_NOFOLLOW,
  /** Opening a FIFO does not wait for its other end. */
  NON_BLOCKING: constants.O_NONBLOCK,
  /** Opening a terminal does not make it the process's own. */
  NO_TERMINAL: constants.O_NOCTTY,
} as const;

/**
 * Opens a path through Deno, which checks the permissions, and gives the library a duplicate of the descriptor.
 *
 * @returns The library's number of the file; `basalt_file_close` ends it.
 */
export function* openDescriptor(
  path: string,
  flags: number,
  mode?: number,
): Twin<number> {
  let fd: number;
  try {
    fd = yield* step(
      () => openLater(path, flags, mode),
      () => openSync(path, flags, mode),
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

/** Opens a directory, for `fsync(2)` and `flock(2)` of it. */
export function openDirectory(path: string): Twin<number> {
  return openDescriptor(path, OPEN.READ | OPEN.DIRECTORY);
}

/** Ends an adopted file. */
export function closeDescriptor(file: number): void {
  native().basalt_file_close(file);
}

function openLater(
  path: string,
  flags: number,
  mode?: number,
): Promise<number> {
  return new Promise((resolve, reject) => {
    open(path, flags, mode ?? null, (error, fd) => {
      if (error === null || error === undefined) resolve(fd as number);
      else reject(error);
    });
  });
}
