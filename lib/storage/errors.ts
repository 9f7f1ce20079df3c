import type { Step, Task } from "../base/mod.ts";
import { OPERATION, type PendingOperation } from "../engine/mod.ts";
import { errnoName, STATUS, statusError, systemError } from "../native/mod.ts";
import { isNoSpaceCode, NoSpaceError } from "./no_space_error.ts";

/** Advice for errors of the system, by call and code, or by code. */
const ADVICE: Readonly<Record<string, string>> = {
  EIO: "the device failed, what it stored is unknown",
  EFBIG: "the size lies beyond what the filesystem or RLIMIT_FSIZE allows",
  EROFS: "the filesystem is mounted read-only",
  EMFILE: "raise RLIMIT_NOFILE or close files",
  ENOSPC: "no space is left, or no inodes: see df and df -i",
  "open ENXIO":
    "it is a FIFO that nobody reads, a socket, or a device that is gone: a regular file is needed",
  "write EINVAL":
    "the file's alignment or tier may have changed since it was opened",
  "read EINVAL":
    "the file's alignment or tier may have changed since it was opened",
  "fallocate EOPNOTSUPP": "the filesystem cannot allocate ahead",
  "cachestat ENOSYS": "Linux 6.5 is needed",
  "cachestat EPERM":
    "since Linux 6.13 it is for the file's owner, and for who may write it; some sandboxes refuse it to everybody",
};

/**
 * Makes the system error for a code of the kernel.
 *
 * @param detail Circumstances, instead of the advice for this code.
 */
export function failure(
  code: string,
  syscall: string,
  path: string,
  detail?: string,
): Error {
  return systemError(
    code,
    syscall,
    path,
    detail ?? ADVICE[`${syscall} ${code}`] ?? ADVICE[code],
  );
}

/**
 * Returns the error for an operation that failed: {@linkcode NoSpaceError} for a write or an
 * allocation without room, a system error for the rest.
 */
export function operationFailure(
  { op, length, status, transferred }: Pick<
    PendingOperation,
    "op" | "length" | "status" | "transferred"
  >,
  path: string,
): Error {
  const { syscall } = op;
  if (status <= STATUS.PANIC) return statusError(status, syscall, path);
  const code = errnoName(-status);
  const grows = op.counter === "writes" || op === OPERATION.ALLOCATE;
  if (grows && isNoSpaceCode(code)) {
    return new NoSpaceError({
      code,
      syscall,
      path,
      requestedBytes: length,
      writtenBytes: transferred,
    });
  }
  return failure(code, syscall, path);
}

/** Makes the error for an operation on a closed file. */
export function closedError(syscall: string, path: string): Error {
  return systemError("EBADF", syscall, path, "the file was closed");
}

/**
 * Makes errors of `node:fs` and of Deno alike: the `Deno.errors` class with `code`, `syscall` and
 * `path`.
 *
 * A refused permission stays as it is, and so do errors that the system did not cause.
 */
export function adapted(error: unknown, syscall: string, path: string): Error {
  if (!(error instanceof Error)) return new Error(String(error));
  const code = codeOf(error);
  if (code === undefined || error instanceof Deno.errors.NotCapable) {
    return error;
  }
  return failure(code, syscall, path);
}

/** Runs a task; returns `undefined` if it fails with a code of the kernel. */
export function* unless<T>(code: string, task: Task<T>): Task<T | undefined> {
  try {
    return yield* task;
  } catch (error) {
    if (codeOf(error) !== code) throw error;
    return undefined;
  }
}

/** Runs a step whose errors get the call and the path. */
export function* adapting<T>(
  syscall: string,
  path: string,
  step: Step<T>,
): Task<T> {
  try {
    return (yield step) as T;
  } catch (error) {
    throw adapted(error, syscall, path);
  }
}

/**
 * Returns the kernel's name of an error that `node:fs` or Deno threw; `undefined` for other errors,
 * such as `ERR_INVALID_ARG_VALUE`.
 */
export function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | undefined)?.code;
  if (typeof code !== "string" || !/^E[A-Z0-9]+$/.test(code)) return undefined;
  return code;
}
