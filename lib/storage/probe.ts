import { checked, native } from "../native/mod.ts";
import { filesystemName } from "./filesystems.ts";

/** What the kernel tells of an open file: `statx(2)`, `fstatfs(2)`, `fcntl(2)`. */
export interface FileProbe {
  /** The size in bytes. */
  readonly sizeBytes: number;
  /** `st_blksize`: the preferred unit of buffered I/O, in bytes. */
  readonly blockBytes: number;
  /** Whether the filesystem answers `STATX_DIOALIGN`. */
  readonly directKnown: boolean;
  /** `stx_dio_mem_align`; 0 where direct I/O is not possible. */
  readonly memoryAlignment: number;
  /** `stx_dio_offset_align`; 0 where direct I/O is not possible. */
  readonly offsetAlignment: number;
  /**
   * `stx_dio_read_offset_align` where it is known and not 0 (0 means: as for writes), else
   * `stx_dio_offset_align`.
   */
  readonly readOffsetAlignment: number;
  /** Whether a durable write is a write and a sync after it, because its flag is refused. */
  readonly syncsApart: boolean;
  /** The major number of the device. */
  readonly deviceMajor: number;
  /** The minor number of the device. */
  readonly deviceMinor: number;
  /** The filesystem's name; `"none"` for a block device. */
  readonly filesystem: string;
  /** `st_mode`: what it is, and its permission bits. */
  readonly mode: number;
  /** The number of the inode. */
  readonly inode: number;
  /** How many names it has. */
  readonly links: number;
  /** Allocated units of 512 bytes. */
  readonly blocks: number;
  /**
   * The physical block of a block device; `undefined` for other files, whose descriptor does not
   * tell.
   */
  readonly physicalBlock: number | undefined;
}

/** How many values `basalt_file_probe` writes, and how many of them without times. */
const PROBE_VALUES = 16;
const VALUES_WITHOUT_TIMES = 15;
const values = new Float64Array(PROBE_VALUES);

/**
 * Asks the kernel about an adopted file.
 *
 * A file whose times were asked for is slower to write durably the next time (Linux 6.13 and later,
 * multigrain timestamps): {@linkcode probeTimes} is for those who want them.
 */
export function probeFile(
  file: number,
  path: string,
  count: number = VALUES_WITHOUT_TIMES,
): FileProbe {
  checked(native().basalt_file_probe(file, values, count), "statx", path);
  const known = values[5]!;
  const readKnown = (known & 2) !== 0 && values[4]! > 0;
  return {
    sizeBytes: values[0]!,
    blockBytes: values[1]!,
    directKnown: (known & 1) !== 0,
    memoryAlignment: values[2]!,
    offsetAlignment: values[3]!,
    readOffsetAlignment: readKnown ? values[4]! : values[3]!,
    syncsApart: (known & 4) !== 0,
    deviceMajor: values[6]!,
    deviceMinor: values[7]!,
    // The name of a device lies on a filesystem, its bytes do not.
    filesystem: values[14]! > 0 ? "none" : filesystemName(values[8]!),
    mode: values[9]!,
    inode: values[11]!,
    links: values[12]!,
    blocks: values[13]!,
    physicalBlock: values[14]! || undefined,
  };
}

/** The same with the last change of the contents, in microseconds since the Unix epoch. */
export function probeTimes(
  file: number,
  path: string,
): FileProbe & { mtimeMicros: number } {
  const probe = probeFile(file, path, PROBE_VALUES);
  return { ...probe, mtimeMicros: values[15]! };
}

/** The device of a file, as `"major:minor"`. */
export function deviceOf({ deviceMajor, deviceMinor }: FileProbe): string {
  return `${deviceMajor}:${deviceMinor}`;
}

const freeOut = new Float64Array(1);

/**
 * Asks how many bytes an unprivileged user can still allocate on a file's filesystem; `undefined`
 * where it does not count them.
 */
export function freeBytes(file: number, path: string): number | undefined {
  checked(native().basalt_file_free_bytes(file, freeOut), "fstatfs", path);
  return freeOut[0]! < 0 ? undefined : freeOut[0]!;
}

/** Kinds of files by the format bits of `st_mode`, `inode(7)`. */
const KINDS: Readonly<Record<number, string>> = {
  0o140000: "a socket",
  0o120000: "a symbolic link",
  0o100000: "a regular file",
  0o060000: "a block device",
  0o040000: "a directory",
  0o020000: "a character device",
  0o010000: "a FIFO",
};

/** What a file is, in words, such as `"a FIFO"`. */
export function kindOf(mode: number): string {
  return KINDS[mode & 0o170000] ?? `of mode 0o${mode.toString(8)}`;
}

/** Direct I/O as a file offers it, or why it does not. */
export type DirectSupport =
  | {
    readonly possible: true;
    readonly memoryAlignment: number;
    readonly offsetAlignment: number;
    readonly readOffsetAlignment: number;
    /** Where the numbers come from. */
    readonly reason: string;
  }
  | { readonly possible: false; readonly reason: string };

/**
 * What direct I/O needs at most on the kernels that do not tell: pages, and blocks of all common
 * devices.
 */
const ASSUMED_ALIGNMENT = 4096;

/**
 * Judges whether `O_DIRECT` on a file, which `open(2)` accepted, means what it says.
 *
 * Some filesystems accept the flag and use the page cache all the same, so `STATX_DIOALIGN` must
 * confirm it (Linux 6.1). Older kernels are believed.
 *
 * @param release The kernel's release.
 */
export function directSupport(
  probe: FileProbe,
  release: string,
): DirectSupport {
  const { filesystem } = probe;
  if (probe.directKnown) {
    const { memoryAlignment, offsetAlignment, readOffsetAlignment } = probe;
    if (memoryAlignment === 0 || offsetAlignment === 0) {
      return {
        possible: false,
        reason:
          `${filesystem} says that this file cannot be read and written directly (STATX_DIOALIGN is 0)`,
      };
    }
    return {
      possible: true,
      memoryAlignment,
      offsetAlignment,
      readOffsetAlignment,
      reason: `statx (STATX_DIOALIGN) of ${filesystem}`,
    };
  }
  if (isAtLeast(release, 6, 1)) {
    return {
      possible: false,
      reason:
        `${filesystem} accepts O_DIRECT but does not confirm it (no STATX_DIOALIGN)`,
    };
  }
  return {
    possible: true,
    memoryAlignment: ASSUMED_ALIGNMENT,
    offsetAlignment: ASSUMED_ALIGNMENT,
    readOffsetAlignment: ASSUMED_ALIGNMENT,
    reason:
      `assumed: Linux ${release} does not tell (STATX_DIOALIGN came with 6.1)`,
  };
}

let release: string | undefined;

/** The kernel's release, such as `"6.18.0-generic"` (`uname(2)`). */
export function kernelRelease(): string {
  if (release !== undefined) return release;
  const bytes = new Uint8Array(65);
  const length = checked(
    native().basalt_kernel_release(bytes, bytes.length),
    "uname",
  );
  return release = new TextDecoder().decode(bytes.subarray(0, length));
}

/** Whether a release is of a version or later; unreadable ones are taken as later. */
export function isAtLeast(
  release: string,
  major: number,
  minor: number,
): boolean {
  const found = /^(\d+)\.(\d+)/.exec(release);
  if (found === null) return true;
  const [, first, second] = found.map(Number) as [number, number, number];
  return first > major || first === major && second >= minor;
}

/** Pages of a file in the page cache (`cachestat(2)`). */
export interface CachedPages {
  /** Pages in the cache. */
  readonly cachedPages: number;
  /** Of them, pages that the device does not have yet. */
  readonly dirtyPages: number;
  /** Of them, pages on their way to the device. */
  readonly writebackPages: number;
  /** Pages that were in the cache and left it. */
  readonly evictedPages: number;
  /** Of those, pages that left it recently, a sign that memory is scarce. */
  readonly recentlyEvictedPages: number;
}

const pages = new Float64Array(5);

/**
 * Counts a range's pages in the page cache; a length of 0 goes to the end of the file. Linux 6.5.
 *
 * @returns The counts, or the negated `errno`.
 */
export function cachedPages(
  file: number,
  position: number,
  length: number,
): CachedPages | number {
  const status = native().basalt_file_cachestat(file, position, length, pages);
  if (status < 0) return status;
  return {
    cachedPages: pages[0]!,
    dirtyPages: pages[1]!,
    writebackPages: pages[2]!,
    evictedPages: pages[3]!,
    recentlyEvictedPages: pages[4]!,
  };
}
