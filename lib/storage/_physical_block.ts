import { isPermitted } from "../base/mod.ts";

/** What a device reads, writes and stores in; lengths in bytes. */
export interface DeviceBlocks {
  /** The unit that it reads and writes in; `undefined` where it could not be found. */
  readonly logical: number | undefined;
  /** The unit that it stores in. */
  readonly physical: number;
  /** Where the physical one comes from, in words. */
  readonly reason: string;
}

/** Assumed where nothing else is known: flash pages, disk sectors of today, pages of memory. */
const ASSUMED_BYTES = 4096;

/** Devices whose files were read: their blocks do not change while the system runs. */
const known = new Map<string, DeviceBlocks>();

/**
 * Returns the blocks of a device, from `/sys/dev/block` (`sysfs-block`, the `queue` of the device
 * or, for a partition, of its disk).
 *
 * The kernel has them nowhere else: `statx(2)` knows the logical block, `BLKPBSZGET` needs the
 * device's descriptor. Deno reads `/sys` with all permissions only (`--allow-all`). Without them
 * there is no prompt, and 4096 is assumed.
 *
 * @param leastBytes A unit that is known from elsewhere: the physical block is not below it.
 */
export function deviceBlocks(
  major: number,
  minor: number,
  leastBytes: number,
): DeviceBlocks {
  const path = `/sys/dev/block/${major}:${minor}`;
  const found = major === 0
    ? `the filesystem is on no block device of its own (device ${major}:${minor})`
    : known.get(path) ?? readDevice(path);
  if (typeof found === "string") {
    return {
      logical: undefined,
      physical: Math.max(ASSUMED_BYTES, leastBytes),
      reason: `assumed: ${found}`,
    };
  }
  known.set(path, found);
  if (found.physical >= leastBytes) return found;
  const reason =
    `the unit of direct writes: above the device's physical block of ${found.physical}`;
  return { logical: found.logical, physical: leastBytes, reason };
}

/** Returns the blocks that sysfs has, or why there are none. */
function readDevice(path: string): DeviceBlocks | string {
  if (!isPermitted("read", path)) {
    return `no permission to read ${path}, and the file's descriptor does not tell`;
  }
  try {
    const device = Deno.realPathSync(path);
    for (const disk of [device, device.replace(/\/[^/]*$/, "")]) {
      const physical = readNumber(`${disk}/queue/physical_block_size`);
      if (physical === undefined) continue;
      return {
        logical: readNumber(`${disk}/queue/logical_block_size`),
        physical,
        reason: `the device's physical_block_size (${path})`,
      };
    }
    return `no queue/physical_block_size for ${path}`;
  } catch (error) {
    return error instanceof Deno.errors.NotCapable
      ? `reading ${path} needs --allow-all`
      : `${path} cannot be read (${(error as Error).message})`;
  }
}

function readNumber(path: string): number | undefined {
  try {
    const value = Number(Deno.readTextFileSync(path));
    return Number.isInteger(value) && value > 0 ? value : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
