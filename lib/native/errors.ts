import { FIRST_OWN_STATUS, STATUS } from "./status.ts";

/** The name of an error, its meaning, and the class of `Deno.errors` that Deno itself throws. */
type Entry = readonly [
  code: string,
  text: string,
  type?: keyof typeof Deno.errors,
];

/**
 * The `errno` values that files and memory give on Linux (`errno(3)`). Classes are by name, because
 * importing this module must not need `Deno`; without one it is `Error`, as in Deno.
 */
const ERRNO: Readonly<Record<number, Entry>> = {
  1: ["EPERM", "operation not permitted", "PermissionDenied"],
  2: ["ENOENT", "no such file or directory", "NotFound"],
  4: ["EINTR", "interrupted system call", "Interrupted"],
  5: ["EIO", "input/output error"],
  6: ["ENXIO", "no such device or address"],
  9: ["EBADF", "bad file descriptor", "BadResource"],
  11: ["EAGAIN", "resource temporarily unavailable", "WouldBlock"],
  12: ["ENOMEM", "out of memory"],
  13: ["EACCES", "permission denied", "PermissionDenied"],
  14: ["EFAULT", "bad address"],
  16: ["EBUSY", "device or resource busy", "Busy"],
  17: ["EEXIST", "file exists", "AlreadyExists"],
  18: ["EXDEV", "cross-device link"],
  19: ["ENODEV", "no such device"],
  20: ["ENOTDIR", "not a directory", "NotADirectory"],
  21: ["EISDIR", "is a directory", "IsADirectory"],
  22: ["EINVAL", "invalid argument"],
  23: ["ENFILE", "too many open files in the system"],
  24: ["EMFILE", "too many open files"],
  26: ["ETXTBSY", "text file busy", "Busy"],
  27: ["EFBIG", "file too large"],
  28: ["ENOSPC", "no space left on device"],
  29: ["ESPIPE", "illegal seek"],
  30: ["EROFS", "read-only file system"],
  32: ["EPIPE", "broken pipe", "BrokenPipe"],
  36: ["ENAMETOOLONG", "file name too long"],
  38: ["ENOSYS", "function not implemented", "NotSupported"],
  39: ["ENOTEMPTY", "directory not empty"],
  40: ["ELOOP", "too many levels of symbolic links", "FilesystemLoop"],
  95: ["EOPNOTSUPP", "operation not supported", "NotSupported"],
  110: ["ETIMEDOUT", "connection timed out", "TimedOut"],
  116: ["ESTALE", "stale file handle"],
  122: ["EDQUOT", "disk quota exceeded"],
  125: ["ECANCELED", "operation cancelled"],
};

/** Returns the kernel's name for an `errno` value; `"E<number>"` for one that is not listed. */
export function errnoName(errno: number): string {
  return ERRNO[errno]?.[0] ?? `E${errno}`;
}

/**
 * Makes the error for a system call that failed: the `Deno.errors` class that Deno itself would
 * use, with `code`, `syscall` and `path`.
 *
 * @param code The kernel's name of the error, or its number.
 * @param detail Advice or circumstances, added to the message.
 */
export function systemError(
  code: string | number,
  syscall: string,
  path?: string,
  detail?: string,
): Error & { code: string; syscall: string; path?: string } {
  const name = typeof code === "number" ? errnoName(code) : code;
  const known = Object.values(ERRNO).find((entry) => entry[0] === name);
  const [, text, type] = known ?? [name, "unknown error"];
  const where = path === undefined ? "" : ` '${path}'`;
  const more = detail === undefined ? "" : `: ${detail}`;
  const error = new (type === undefined ? Error : Deno.errors[type])(
    `${name}: ${text}, ${syscall}${where}${more}`,
  );
  const fields = { code: name, syscall };
  return Object.assign(
    error,
    path === undefined ? fields : { ...fields, path },
  );
}

/**
 * Makes the error for a negative status.
 *
 * @param call What was asked of the library: the system call, or the export.
 */
export function statusError(
  status: number,
  call: string,
  path?: string,
): Error {
  if (status >= FIRST_OWN_STATUS) return systemError(-status, call, path);
  const name =
    Object.entries(STATUS).find((entry) => entry[1] === status)?.[0] ??
      String(status);
  return new Error(
    `Native call '${call}' failed with ${name}: this is a defect of Basalt, please report it`,
  );
}

/** Returns a status of 0 or more; throws {@linkcode statusError} for a negative one. */
export function checked(status: number, call: string, path?: string): number {
  if (status < 0) throw statusError(status, call, path);
  return status;
}
