import { checked, native } from "../native/mod.ts";
import type { Capabilities } from "./capabilities.ts";
import { filesystemName } from "./_filesystems.ts";

/** What the filesystem records about a file (`statx(2)`). */
export interface FileStat {
  /** The size in bytes. */
  readonly size: number;
  /** Last change of the contents: microseconds since the Unix epoch. */
  readonly mtimeMicros: number;
  /** Allocated units of 512 bytes. */
  readonly blocks: number;
  /** The preferred unit of buffered I/O, in bytes. */
  readonly blockSize: number;
  /** Kind and permission bits. */
  readonly mode: number;
  /** The number of the inode. */
  readonly inode: number;
  /** How many names it has; 0 after it was removed. */
  readonly links: number;
  /** The device, as `"major:minor"`. */
  readonly device: string;
}

/** What the kernel knows about an open file: `statx(2)`, `fstatfs(2)`, `fcntl(2)`. */
export interface FileProbe extends Omit<FileStat, "mtimeMicros"> {
  /** Whether the filesystem reports `STATX_DIOALIGN`. */
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
  /** The physical block of a block device; `undefined` for other files. */
  readonly physicalBlock: number | undefined;
}

/** How many values `basalt_file_probe` writes; the last one is the time. */
const PROBE_VALUES = 16;
const values = new Float64Array(PROBE_VALUES);

/** Asks the kernel about an adopted file. */
export function probeFile(file: number, path: string): FileProbe {
  return probe(file, path, PROBE_VALUES - 1);
}

/**
 * Returns what the filesystem records about an adopted file.
 *
 * Asking for the times of a file makes its next durable write slower (Linux 6.13 and later,
 * multigrain timestamps).
 */
export function statFile(file: number, path: string): FileStat {
  const { size, blocks, blockSize, mode, inode, links, device } = probe(
    file,
    path,
    PROBE_VALUES,
  );
  const mtimeMicros = values[15]!;
  return { size, mtimeMicros, blocks, blockSize, mode, inode, links, device };
}

function probe(file: number, path: string, count: number): FileProbe {
  checked(native().basalt_file_probe(file, values, count), "statx", path);
  const known = values[5]!;
  const readKnown = (known & 2) !== 0 && values[4]! > 0;
  return {
    size: values[0]!,
    blockSize: values[1]!,
    directKnown: (known & 1) !== 0,
    memoryAlignment: values[2]!,
    offsetAlignment: values[3]!,
    readOffsetAlignment: readKnown ? values[4]! : values[3]!,
    syncsApart: (known & 4) !== 0,
    deviceMajor: values[6]!,
    deviceMinor: values[7]!,
    device: `${values[6]}:${values[7]}`,
    // The name of a block device lies on a filesystem, its bytes do not.
    filesystem: values[14]! > 0 ? "none" : filesystemName(values[8]!),
    mode: values[9]!,
    inode: values[11]!,
    links: values[12]!,
    blocks: values[13]!,
    physicalBlock: values[14]! || undefined,
  };
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

/** Returns what a file is, in words, such as `"a FIFO"`. */
export function kindOf(mode: number): string {
  return KINDS[mode & 0o170000] ?? `of mode 0o${mode.toString(8)}`;
}

/** What direct I/O needs of a file, and where the numbers come from. */
export type DirectAlignment = Pick<
  Capabilities,
  | "memoryAlignment"
  | "offsetAlignment"
  | "readOffsetAlignment"
  | "alignmentReason"
>;

/** Assumed where the kernel does not say: pages, and blocks of all common devices. */
const ASSUMED_ALIGNMENT = 4096;

/**
 * Returns what direct I/O on a file needs, or why it is not possible although `open(2)` accepted
 * `O_DIRECT`.
 *
 * Some filesystems accept the flag and use the page cache all the same, so `STATX_DIOALIGN` must
 * confirm it (Linux 6.1). Older kernels cannot.
 *
 * @param release The kernel's release.
 */
export function directSupport(
  probe: FileProbe,
  release: string,
): DirectAlignment | string {
  const { directKnown, filesystem } = probe;
  if (!directKnown && isAtLeast(release, 6, 1)) {
    return `${filesystem} accepts O_DIRECT but does not confirm it (no STATX_DIOALIGN)`;
  }
  if (!directKnown) {
    return {
      memoryAlignment: ASSUMED_ALIGNMENT,
      offsetAlignment: ASSUMED_ALIGNMENT,
      readOffsetAlignment: ASSUMED_ALIGNMENT,
      alignmentReason:
        `assumed: Linux ${release} does not tell (STATX_DIOALIGN came with 6.1)`,
    };
  }
  const { memoryAlignment, offsetAlignment, readOffsetAlignment } = probe;
  if (memoryAlignment === 0 || offsetAlignment === 0) {
    return `${filesystem} says that this file cannot be read and written directly (STATX_DIOALIGN is 0)`;
  }
  return {
    memoryAlignment,
    offsetAlignment,
    readOffsetAlignment,
    alignmentReason: `statx (STATX_DIOALIGN) of ${filesystem}`,
  };
}

let release: string | undefined;

/** Returns the kernel's release, such as `"6.18.0-generic"` (`uname(2)`). */
export function kernelRelease(): string {
  if (release !== undefined) return release;
  const bytes = new Uint8Array(65);
  const length = checked(
    native().basalt_kernel_release(bytes, bytes.length),
    "uname",
  );
  return release = new TextDecoder().decode(bytes.subarray(0, length));
}

/** Returns whether a release is of a version or later; unreadable ones count as later. */
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
