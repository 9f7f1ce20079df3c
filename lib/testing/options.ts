import { checkInteger } from "../base/mod.ts";
import type { Capabilities } from "../storage/mod.ts";

/**
 * Options of a {@linkcode SimulatedDisk}. The capabilities are those of every file; the defaults
 * are those of a real disk.
 */
export interface SimulatedDiskOptions extends Partial<Capabilities> {
  /**
   * The seed of all randomness: the same seed and the same calls give the same disk.
   * @default {0}
   */
  seed?: number;
  /** The unit that a power cut keeps or loses as a whole, in bytes. Default: `4096`. */
  blockBytes?: number;
  /** Space for contents, in bytes, in whole blocks. Default: 16 GiB. */
  sizeBytes?: number;
  /**
   * Where the clock begins: microseconds since the Unix epoch. Default: `1_700_000_000_000_000`.
   */
  timeMicros?: number;
  /** How much time passes at each `now()`, in microseconds. Default: `1`. */
  timeStepMicros?: number;
  /**
   * Asynchronous operations stay in flight until the test completes them
   * ({@linkcode SimulatedDisk.complete}). Reads and writes are then checked: the lent memory did
   * not change, and no two writes in flight overlap. Otherwise they fail with `SimulatedMisuseError`.
   *
   * @default {false}
   */
  manual?: boolean;
  /**
   * A random power cut leaves some of the blocks that were being written unreadable: reading them
   * is `EIO` until they are written whole. {@linkcode SimulatedDisk.unreadableBlocks} lists them.
   *
   * @default {false}
   */
  unreadable?: boolean;
  /**
   * The device writes zeros by itself (`preallocate` with `zeroed` resolves to `true`). A power cut
   * before they are synced may keep any of their blocks, and the size, as with a write.
   *
   * @default {false}
   */
  writesZeros?: boolean;
  /**
   * Latencies of the device. The disk's clock advances by the latency of a blocking operation, and
   * to the end of an operation in flight before that completes.
   *
   * Operations in flight overlap: ten writes that begin together end after the time of one. May be
   * changed later ({@linkcode SimulatedDisk.latency}).
   *
   * @default {no time}
   */
  latency?: DeviceLatency;
}

/** Latencies of a device, in microseconds of the disk's clock. */
export interface DeviceLatency {
  /** A read. Default: `0`. */
  readonly readMicros?: number;
  /** A write. Default: `0`. */
  readonly writeMicros?: number;
  /** A sync of a file or a directory; a durable write takes this in addition. Default: `0`. */
  readonly syncMicros?: number;
}

/** The options with their defaults. */
export interface Settings
  extends Readonly<Required<Omit<SimulatedDiskOptions, keyof Capabilities>>> {
  /** The capabilities of every file. */
  readonly capabilities: Capabilities;
}

/** The defaults of the capabilities: sectors of 512 bytes on blocks of 4096, as most disks have. */
const CAPABILITIES: Capabilities = {
  tier: "direct",
  tierReason: "simulated",
  memoryAlignment: 512,
  offsetAlignment: 512,
  readOffsetAlignment: 512,
  alignmentReason: "simulated",
  logicalBlock: 512,
  physicalBlock: 4096,
  physicalBlockReason: "simulated",
  durableWrites: "RWF_DSYNC",
  names: "durable",
  filesystem: "simulated",
  copyOnWrite: false,
  engine: "plain",
  engineReason: "simulated",
};

/**
 * Completes and checks the options of a disk.
 *
 * @throws {RangeError} If a size is not a positive integer.
 */
export function settingsOf(options: SimulatedDiskOptions): Settings {
  const {
    seed = 0,
    blockBytes = 4096,
    sizeBytes = 16 * 2 ** 30,
    timeMicros = 1_700_000_000_000_000,
    timeStepMicros = 1,
    manual = false,
    unreadable = false,
    writesZeros = false,
    latency = {},
    ...given
  } = options;
  const action = "create simulated disk";
  checkInteger(action, "seed", seed, Number.MIN_SAFE_INTEGER);
  checkInteger(action, "blockBytes", blockBytes, 1);
  const amounts = { sizeBytes, timeMicros, timeStepMicros };
  for (const [name, value] of Object.entries(amounts)) {
    checkInteger(action, name, value);
  }
  const capabilities = Object.freeze({ ...CAPABILITIES, ...given });
  return {
    seed,
    blockBytes,
    ...amounts,
    manual,
    unreadable,
    writesZeros,
    latency: checkedLatency(action, latency),
    capabilities,
  };
}

/** Returns a copy of latencies that can be used; throws a `RangeError` otherwise. */
export function checkedLatency(
  action: string,
  latency: DeviceLatency,
): DeviceLatency {
  const { readMicros = 0, writeMicros = 0, syncMicros = 0 } = latency;
  const amounts = { readMicros, writeMicros, syncMicros };
  for (const [name, value] of Object.entries(amounts)) {
    checkInteger(action, `latency.${name}`, value);
  }
  return Object.freeze({ ...latency });
}
