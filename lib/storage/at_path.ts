import { codeOf } from "./errors.ts";
import { type FileProbe, probeFile } from "./probe.ts";

/**
 * Returns whether a path leads to an adopted file.
 *
 * Where looking is not permitted, and for a relative path, which leads elsewhere after
 * `Deno.chdir`, only a file without any name is found not to be there.
 *
 * @param file The library's number of the file.
 */
export function isAtPath(file: number, path: string): boolean {
  const probe = probeFile(file, path);
  if (probe.links === 0) return false;
  if (!path.startsWith("/")) return true;
  try {
    const { dev, ino } = Deno.statSync(path);
    return ino === probe.inode && dev === deviceNumber(probe);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) return true;
    const code = codeOf(error);
    if (code === "ENOENT" || code === "ENOTDIR") return false;
    throw error;
  }
}

/** Returns the number of a device as `stat(2)` gives it: `makedev(3)`. */
function deviceNumber({ deviceMajor, deviceMinor }: FileProbe): number {
  return (deviceMajor & 0xfff) * 2 ** 8 + (deviceMinor & 0xff) +
    Math.floor(deviceMinor / 2 ** 8) * 2 ** 20 +
    Math.floor(deviceMajor / 2 ** 12) * 2 ** 44;
}
