import { checked, errnoName, native, UnsupportedError } from "../native/mod.ts";
import { codeOf, failure } from "./errors.ts";
import {
  type CachedPages,
  type FileProbe,
  type FileStat,
  kernelRelease,
  probeFile,
  statFile,
} from "./probe.ts";

/** How a path is opened; what is not asked for is not done. */
export interface OpenHow {
  /** For reading. */
  readonly read?: boolean;
  /** For writing. */
  readonly write?: boolean;
  /** Past the page cache (`O_DIRECT`). */
  readonly direct?: boolean;
  /** A directory, and nothing else (`O_DIRECTORY`). */
  readonly directory?: boolean;
  /** Make the file: `"new"` fails where there is one (`O_EXCL`), `"missing"` opens it. */
  readonly make?: "new" | "missing";
  /** Permission bits of a file that is made. */
  readonly mode?: number;
}

/** The status of `flock(2)` while another holds the lock: `-EWOULDBLOCK`. */
const WOULD_BLOCK = -11;

const freeOut = new Float64Array(1);
const pagesOut = new Float64Array(5);

/** An open file or directory: its number in the library, and the short calls on it. */
export class Descriptor implements Disposable {
  /** Where it was opened. */
  path: string;
  /** The library's number of it. */
  readonly file: number;
  #isClosed = false;

  /** Owns an adopted file. */
  constructor(path: string, file: number) {
    this.path = path;
    this.file = file;
  }

  /** Returns what the kernel knows about it. */
  probe(): FileProbe {
    return probeFile(this.file, this.path);
  }

  /** Returns what the filesystem records about it. */
  stat(): FileStat {
    return statFile(this.file, this.path);
  }

  /**
   * Returns how many bytes an unprivileged user can still allocate on its filesystem; `undefined`
   * where the filesystem does not count them.
   */
  freeBytes(): number | undefined {
    const status = native().basalt_file_free_bytes(this.file, freeOut);
    checked(status, "fstatfs", this.path);
    return freeOut[0]! < 0 ? undefined : freeOut[0]!;
  }

  /**
   * Counts the pages of a range in the page cache; a length of 0 reaches to the end of the file.
   *
   * @throws {UnsupportedError} If the kernel has no `cachestat(2)`.
   */
  cachedPages(position = 0, length = 0): CachedPages {
    const status = native()
      .basalt_file_cachestat(this.file, position, length, pagesOut);
    if (status >= 0) {
      return {
        cachedPages: pagesOut[0]!,
        dirtyPages: pagesOut[1]!,
        writebackPages: pagesOut[2]!,
        evictedPages: pagesOut[3]!,
        recentlyEvictedPages: pagesOut[4]!,
      };
    }
    const code = errnoName(-status);
    if (code !== "ENOSYS") throw failure(code, "cachestat", this.path);
    throw new UnsupportedError(`Cannot verify '${this.path}'`, {
      found: `Linux ${kernelRelease()} or a sandbox without cachestat(2)`,
      needed: "Linux 6.5, and a sandbox that permits it",
    });
  }

  /** Takes its exclusive lock (`flock(2)`) without waiting; returns whether no other held it. */
  lock(): boolean {
    const status = native().basalt_file_lock(this.file, 1);
    if (status === WOULD_BLOCK) return false;
    checked(status, "flock", this.path);
    return true;
  }

  /**
   * Returns whether its path still leads to it.
   *
   * `false` for a file without any name. Apart from that `true` where looking is not permitted, and
   * for a relative path, which leads elsewhere after `Deno.chdir`.
   */
  isAtPath(): boolean {
    const probe = this.probe();
    if (probe.links === 0) return false;
    if (!this.path.startsWith("/")) return true;
    try {
      const { dev, ino } = Deno.statSync(this.path);
      return ino === probe.inode && dev === deviceNumber(probe);
    } catch (error) {
      if (error instanceof Deno.errors.NotCapable) return true;
      const code = codeOf(error);
      if (code === "ENOENT" || code === "ENOTDIR") return false;
      throw error;
    }
  }

  /** Closes it. Closing twice does nothing. */
  [Symbol.dispose](): void {
    if (!this.#isClosed) native().basalt_file_close(this.file);
    this.#isClosed = true;
  }
}

/** Returns the number of a device as `stat(2)` gives it: `makedev(3)`. */
function deviceNumber({ deviceMajor, deviceMinor }: FileProbe): number {
  return (deviceMajor & 0xfff) * 2 ** 8 + (deviceMinor & 0xff) +
    Math.floor(deviceMinor / 2 ** 8) * 2 ** 20 +
    Math.floor(deviceMajor / 2 ** 12) * 2 ** 44;
}
