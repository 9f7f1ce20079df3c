import type { Task } from "../base/mod.ts";
import { native, statusError, UnsupportedError } from "../native/mod.ts";
import { closeDescriptor, openDescriptor } from "./descriptor.ts";
import { pathString } from "./paths.ts";

const EACCES = -13;
const EINVAL = -22;

/**
 * Whether anybody else has a file open, in whatever process or container of this kernel. Only a
 * write lease tells (`fcntl(2)`, `F_SETLEASE`); it is given back at once.
 *
 * @throws {UnsupportedError} If the kernel does not tell: the filesystem has no leases, or the file
 *   is
 *   another user's.
 */
export function* isOpenElsewhere(where: string): Task<boolean> {
  const path = pathString("look who has a file open", where);
  const file = yield* openDescriptor(path, { read: true });
  try {
    const status = native().basalt_file_is_sole_opener(file);
    if (status >= 0) return status === 0;
    if (status !== EACCES && status !== EINVAL) {
      throw statusError(status, "fcntl", path);
    }
    throw new UnsupportedError(
      `Cannot tell whether anybody has '${path}' open`,
      {
        found: status === EACCES
          ? "a file of another user"
          : "a filesystem without leases",
        needed: status === EACCES
          ? "its owner, or root"
          : "a local filesystem such as ext4, xfs or btrfs",
      },
    );
  } finally {
    closeDescriptor(file);
  }
}
