import { pair, perform, type Task } from "../base/mod.ts";
import { engine, OPERATION } from "../engine/mod.ts";
import {
  errnoName,
  native,
  systemError,
  UnsupportedError,
} from "../native/mod.ts";
import type { Capabilities } from "./capabilities.ts";
import type { Descriptor, OpenHow } from "./descriptor.ts";
import type { OpenRequest } from "./direct_file_options.ts";
import { codeOf, unless } from "./errors.ts";
import { runOn } from "./file_operation.ts";
import { isCopyOnWrite } from "./filesystems.ts";
import { openDescriptor } from "./open_descriptor.ts";
import { deviceBlocks } from "./physical_block.ts";
import {
  type DirectAlignment,
  directSupport,
  type FileProbe,
  kernelRelease,
  kindOf,
} from "./probe.ts";
import { namesBeside } from "./sync_directory.ts";

/** An open file of the library, and what it can do. */
export interface OpenedFile {
  readonly descriptor: Descriptor;
  /** What it can do, and why. */
  readonly capabilities: Capabilities;
}

/** How a file's bytes reach the device, and what that asks for. */
type Way = DirectAlignment & Pick<Capabilities, "tier" | "tierReason">;

/** A descriptor, and whether this call made the file. */
interface Found {
  readonly descriptor: Descriptor;
  readonly isMade: boolean;
}

/** Why a file cannot be opened directly, and what the attempt showed. */
interface Refusal {
  readonly reason: string;
  /** Whether the attempt made the file: `open(2)` makes it before it refuses `O_DIRECT`. */
  readonly isMade: boolean;
  /** The file of the attempt, where it opened. */
  readonly probe: FileProbe | undefined;
}

const S_IFMT = 0o170000;
const S_IFREG = 0o100000;
const S_IFDIR = 0o040000;
const S_IFBLK = 0o060000;

/**
 * Opens a regular file or a block device in the best tier that was asked for.
 *
 * @throws {UnsupportedError} If the file is neither, or `"require"` finds no direct tier: a file
 *   that this call made is removed again.
 */
export function* openFile(
  path: string,
  request: OpenRequest,
): Task<OpenedFile> {
  const access = { read: request.read, write: request.write };
  let refusal: Refusal | undefined;
  if (request.direct !== "never") {
    const direct = yield* openDirectly(path, access, request);
    if ("descriptor" in direct) return direct;
    refusal = direct;
  }
  const found = yield* openThroughCache(path, access, request, refusal);
  const { descriptor, isMade } = found;
  try {
    const probe = probeSupported(descriptor);
    const before = refusal?.probe ?? probe;
    if (before.inode !== probe.inode || before.device !== probe.device) {
      throw systemError("EBUSY", "open", path, "it was replaced meanwhile");
    }
    if (request.direct === "require") {
      throw new UnsupportedError(
        `Cannot open '${path}' with direct: "require"`,
        {
          found: refusal!.reason,
          needed: "a file that can be read and written past the page cache",
        },
      );
    }
    const way = cachedWay(descriptor, refusal);
    return yield* finish(descriptor, request, probe, way);
  } catch (error) {
    descriptor[Symbol.dispose]();
    if (isMade && error instanceof UnsupportedError) yield* removeAgain(path);
    throw error;
  }
}

/** Opens with `O_DIRECT`, or returns why the file or its filesystem does not allow that. */
function* openDirectly(
  path: string,
  access: OpenHow,
  request: OpenRequest,
): Task<OpenedFile | Refusal> {
  const attempt = { exclusive: false };
  let found: Found;
  try {
    const how = { ...access, direct: true };
    found = yield* openOrMake(path, how, request, attempt);
  } catch (error) {
    if (codeOf(error) !== "EINVAL") throw error;
    return {
      reason: "the kernel refuses O_DIRECT for it (EINVAL)",
      isMade: attempt.exclusive,
      probe: undefined,
    };
  }
  const { descriptor, isMade } = found;
  try {
    const probe = probeSupported(descriptor);
    const support = directSupport(probe, kernelRelease());
    if (typeof support === "string") {
      descriptor[Symbol.dispose]();
      return { reason: support, isMade, probe };
    }
    return yield* finish(descriptor, request, probe, {
      tier: "direct",
      tierReason: `O_DIRECT, confirmed by ${support.alignmentReason}`,
      ...support,
    });
  } catch (error) {
    descriptor[Symbol.dispose]();
    throw error;
  }
}

/** Opens without `O_DIRECT`: the same file, where the attempt with it made or found one. */
function* openThroughCache(
  path: string,
  access: OpenHow,
  request: OpenRequest,
  refusal: Refusal | undefined,
): Task<Found> {
  if (refusal?.isMade || refusal?.probe) {
    try {
      const descriptor = yield* openDescriptor(path, access);
      return { descriptor, isMade: refusal.isMade };
    } catch (error) {
      // EINVAL was caused by the name, not by O_DIRECT, and nothing was made.
      if (codeOf(error) !== "ENOENT" || refusal.probe) throw error;
    }
  }
  return yield* openOrMake(path, access, request, { exclusive: false });
}

/** Opens, and knows whether this call made the file. */
function* openOrMake(
  path: string,
  how: OpenHow,
  { create, createNew, mode }: OpenRequest,
  attempt: { exclusive: boolean },
): Task<Found> {
  const open = function* (how: OpenHow, isMade: boolean): Task<Found> {
    return { descriptor: yield* openDescriptor(path, how), isMade };
  };
  if (!create && !createNew) return yield* open(how, false);
  for (let round = 0; round < 2; round++) {
    const found = createNew
      ? undefined
      : yield* unless("ENOENT", open(how, false));
    if (found !== undefined) return found;
    attempt.exclusive = true;
    const making = open({ ...how, make: "new", mode }, true);
    const made = createNew ? yield* making : yield* unless("EEXIST", making);
    if (made !== undefined) return made;
    attempt.exclusive = false;
  }
  // A link to a file that does not exist yet, or a file that comes and goes.
  return yield* open({ ...how, make: "missing", mode }, false);
}

/** Probes a file, which must be one with positions: a regular file or a block device. */
function probeSupported(descriptor: Descriptor): FileProbe {
  const probe = descriptor.probe();
  const kind = probe.mode & S_IFMT;
  if (kind === S_IFREG || kind === S_IFBLK) return probe;
  const { path } = descriptor;
  if (kind === S_IFDIR) {
    throw systemError("EISDIR", "open", path, "a regular file is needed");
  }
  throw new UnsupportedError(`Cannot open '${path}'`, {
    found: kindOf(probe.mode),
    needed: "a regular file or a block device",
  });
}

/** Returns the way of a file through the page cache. */
function cachedWay({ file }: Descriptor, refusal: Refusal | undefined): Way {
  const way = (tier: "buffered" | "uncached", tierReason: string): Way => ({
    tier,
    tierReason,
    memoryAlignment: 1,
    offsetAlignment: 1,
    readOffsetAlignment: 1,
    alignmentReason: "the page cache takes any position and length",
  });
  if (refusal === undefined) {
    return way("buffered", 'asked for with direct: "never"');
  }
  const notDirect = `not direct: ${refusal.reason}`;
  const uncached = native().basalt_file_probe_uncached(file);
  if (uncached === 1) {
    const how = "its filesystem drops pages when done (RWF_DONTCACHE)";
    return way("uncached", `${notDirect}; ${how}`);
  }
  const why = uncached < 0
    ? `asking for RWF_DONTCACHE gave ${errnoName(-uncached)}`
    : "RWF_DONTCACHE is refused (it needs Linux 6.14 and the filesystem's consent)";
  return way("buffered", `${notDirect}; not uncached: ${why}`);
}

/** Truncates the file if that was asked for, now that nothing else can fail. */
function* finish(
  descriptor: Descriptor,
  { truncate }: OpenRequest,
  probe: FileProbe,
  way: Way,
): Task<OpenedFile> {
  if (truncate && probe.size > 0) yield* runOn(descriptor, OPERATION.TRUNCATE);
  return { descriptor, capabilities: capabilitiesOf(probe, way) };
}

function capabilitiesOf(probe: FileProbe, way: Way): Capabilities {
  const { filesystem, physicalBlock } = probe;
  const { tier, offsetAlignment } = way;
  const blocks = physicalBlock === undefined
    ? deviceBlocks(probe.deviceMajor, probe.deviceMinor, offsetAlignment)
    : {
      logical: probe.offsetAlignment || undefined,
      physical: physicalBlock,
      reason: "the device itself (BLKPBSZGET)",
    };
  const { kind, reason } = engine();
  return Object.freeze({
    ...way,
    logicalBlock: blocks.logical ??
      (tier === "direct" ? offsetAlignment : blocks.physical),
    physicalBlock: blocks.physical,
    physicalBlockReason: blocks.reason,
    durableWrites: probe.syncsApart ? "fdatasync" : "RWF_DSYNC",
    get names() {
      return namesBeside(probe);
    },
    filesystem,
    copyOnWrite: isCopyOnWrite(filesystem),
    engine: kind,
    engineReason: reason,
  });
}

/** Removes a file that this call made. A failure counts less than the error that led here. */
function* removeAgain(path: string): Task<void> {
  try {
    yield* perform(pair(Deno, "remove", path));
  } catch {
    // The file stays.
  }
}
