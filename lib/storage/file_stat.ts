import { deviceOf, type probeTimes } from "./probe.ts";

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

/** The part of what the kernel told of a file that programs are shown. */
export function fileStat(probe: ReturnType<typeof probeTimes>): FileStat {
  return {
    size: probe.sizeBytes,
    mtimeMicros: probe.mtimeMicros,
    blocks: probe.blocks,
    blockSize: probe.blockBytes,
    mode: probe.mode,
    inode: probe.inode,
    links: probe.links,
    device: deviceOf(probe),
  };
}
