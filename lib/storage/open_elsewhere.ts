import type { Task } from "../base/mod.ts";
import { native, statusError, UnsupportedError } from "../native/mod.ts";
import { openDescriptor } from "./_open_descriptor.ts";
import { pathString } from "./paths.ts";

const EACCES = -13;
const EINVAL = -22;

/**
 * Returns whether a file is open a second time, in any process or container of this kernel. It
 * takes a write lease (`fcntl(2)`, `F_SETLEASE`) and gives it back at once.
 *
 * @throws {UnsupportedError} If the filesystem has no leases, or the file is another user's.
 */
export function* isOpenElsewhere(where: string): Task<boolean> {
  const path = pathString("look who has a file open", where);
  using descriptor = yield* openDescriptor(path, { read: true });
  const status = native().basalt_file_is_sole_opener(descriptor.file);
  if (status >= 0) return status === 0;
  if (status !== EACCES && status !== EINVAL) {
    throw statusError(status, "fcntl", path);
  }
  const [found, needed] = status === EACCES
    ? ["a file of another user", "its owner, or root"]
    : [
      "a filesystem without leases",
      "a local filesystem such as ext4, xfs or btrfs",
    ];
  throw new UnsupportedError(
    `Cannot tell whether anybody has '${path}' open`,
    { found, needed },
  );
}
