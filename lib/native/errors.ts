import { FIRST_OWN_STATUS, STATUS } from "./status.ts";

/** Names and meanings of the `errno` values that files and memory give on Linux (`errno(3)`). */
const ERRNO: Readonly<Record<number, readonly [code: string, text: string]>> = {
  1: ["EPERM", "operation not permitted"],
  2: ["ENOENT", "no such file or directory"],
  4: ["EINTR", "interrupted system call"],
  5: ["EIO", "input/output error"],
  6: ["ENXIO", "no such device or address"],
  9: ["EBADF", "bad file descriptor"],
  11: ["EAGAIN", "resource temporarily unavailable"],
  12: ["ENOMEM", "out of memory"],
  13: ["EACCES", "permission denied"],
  14: ["EFAULT", "bad address"],
  16: ["EBUSY", "device or resource busy"],
  17: ["EEXIST", "file exists"],
  18: ["EXDEV", "cross-device link"],
  19: ["ENODEV", "no such device"],
  20: ["ENOTDIR", "not a directory"],
  21: ["EISDIR", "is a directory"],
  22: ["EINVAL", "invalid argument"],
  23: ["ENFILE", "too many open files in the system"],
  24: ["EMFILE", "too many open files"],
  26: ["ETXTBSY", "text file busy"],
  27: ["EFBIG", "file too large"],
  28: ["ENOSPC", "no space left on device"],
  29: ["ESPIPE", "illegal seek"],
  30: ["EROFS", "read-only file system"],
  32: ["EPIPE", "broken pipe"],
  36: ["ENAMETOOLONG", "file name too long"],
  38: ["ENOSYS", "function not implemented"],
  39: ["ENOTEMPTY", "directory not empty"],
  40: ["ELOOP", "too many levels of symbolic links"],
  95: ["EOPNOTSUPP", "operation not supported"],
  110: ["ETIMEDOUT", "connection timed out"],
  116: ["ESTALE", "stale file handle"],
  122: ["EDQUOT", "disk quota exceeded"],
  125: ["ECANCELED", "operation cancelled"],
};

/**
 * The class of `Deno.errors` that Deno's own operations throw for a code; plain `Error` for the
 * rest, as Deno does. By name: importing this module must not need `Deno`.
 */
const CLASSES: Readonly<Record<string, keyof typeof Deno.errors>> = {
  EPERM: "PermissionDenied",
  EACCES: "PermissionDenied",
  ENOENT: "NotFound",
  EEXIST: "AlreadyExists",
  EINTR: "Interrupted",
  EAGAIN: "WouldBlock",
  EBADF: "BadResource",
  EBUSY: "Busy",
  ETXTBSY: "Busy",
  EPIPE: "BrokenPipe",
  ETIMEDOUT: "TimedOut",
  ENOTDIR: "NotADirectory",
  EISDIR: "IsADirectory",
  ELOOP: "FilesystemLoop",
  EOPNOTSUPP: "NotSupported",
  ENOSYS: "NotSupported",
};

/** The kernel's name for an `errno` value; `"E<number>"` for one that is not listed. */
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
  const text = Object.values(ERRNO).find((entry) => entry[0] === name)?.[1] ??
    "unknown error";
  const where = path === undefined ? "" : ` '${path}'`;
  const more = detail === undefined ? "" : `: ${detail}`;
  const className = CLASSES[name];
  const error = new (className === undefined ? Error : Deno.errors[className])(
    `${name}: ${text}, ${syscall}${where}${more}`,
  );
  return Object.assign(error, {
    code: name,
    syscall,
    ...(path === undefined ? {} : { path }),
  });
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

/** Passes a value on; throws {@linkcode statusError} for a negative status. */
export function checked(status: number, call: string, path?: string): number {
  if (status < 0) throw statusError(status, call, path);
  return status;
}
