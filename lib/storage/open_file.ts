import type { Task } from "../base/mod.ts";
import { engine, OPERATION } from "../engine/mod.ts";
import {
  errnoName,
  native,
  systemError,
  UnsupportedError,
} from "../native/mod.ts";
import type { Capabilities } from "./capabilities.ts";
import { denoRemove } from "./deno_calls.ts";
import { closeDescriptor, openDescriptor, type OpenHow } from "./descriptor.ts";
import type { OpenRequest } from "./direct_file_options.ts";
import { codeOf } from "./errors.ts";
import { runOn } from "./open_descriptor.ts";
import { isCopyOnWrite } from "./filesystems.ts";
import { deviceBlocks } from "./physical_block.ts";
import { namesBeside } from "./sync_directory.ts";
import {
  directSupport,
  type FileProbe,
  kernelRelease,
  kindOf,
  probeFile,
} from "./probe.ts";

/** An open file of the library, and what it can do. */
export interface OpenedFile {
  /** The library's number of it. */
  readonly file: number;
  /** What it can do, and why. */
  readonly capabilities: Capabilities;
}

/** Which of the ways to the device a file goes, and what it asks for. */
type Way = Pick<
  Capabilities,
  | "tier"
  | "tierReason"
  | "memoryAlignment"
  | "offsetAlignment"
  | "readOffsetAlignment"
  | "alignmentReason"
>;

/** A descriptor, and whether this call made the file. */
interface Found {
  readonly file: number;
  readonly made: boolean;
}

/** Why a file does not go directly, and what is known of it from the attempt. */
interface Refusal {
  readonly reason: string;
  /** Whether the attempt made the file: `open(2)` makes it before it refuses `O_DIRECT`. */
  readonly made: boolean;
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
 *   that
 *   this call made is removed again.
 */
export function* openFile(
  path: string,
  request: OpenRequest,
): Task<OpenedFile> {
  const access = { read: request.read, write: request.write };
  let refusal: Refusal | undefined;
  if (request.direct !== "never") {
    const direct = yield* openDirectly(path, access, request);
    if ("file" in direct) return direct;
    refusal = direct;
  }
  const { file, made } = yield* openThroughCache(
    path,
    access,
    request,
    refusal,
  );
  try {
    const probe = probeSupported(file, path);
    if (
      refusal?.probe !== undefined &&
      (refusal.probe.inode !== probe.inode ||
        refusal.probe.deviceMajor !== probe.deviceMajor ||
        refusal.probe.deviceMinor !== probe.deviceMinor)
    ) {
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
    return yield* finish(file, path, request, probe, cachedWay(file, refusal));
  } catch (error) {
    closeDescriptor(file);
    if (made && error instanceof UnsupportedError) yield* removeAgain(path);
    throw error;
  }
}

/** Opens with `O_DIRECT`; tells why not, where the file or its filesystem does not go along. */
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
      made: attempt.exclusive,
      probe: undefined,
    };
  }
  const { file, made } = found;
  let probe: FileProbe;
  try {
    probe = probeSupported(file, path);
    const support = directSupport(probe, kernelRelease());
    if (support.possible) {
      return yield* finish(file, path, request, probe, {
        ...support,
        tier: "direct",
        tierReason: `O_DIRECT, confirmed by ${support.reason}`,
        alignmentReason: support.reason,
      });
    }
    closeDescriptor(file);
    return { reason: support.reason, made, probe };
  } catch (error) {
    closeDescriptor(file);
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
  if (refusal === undefined || !(refusal.made || refusal.probe)) {
    return yield* openOrMake(path, access, request, { exclusive: false });
  }
  try {
    return {
      file: yield* openDescriptor(path, access),
      made: refusal.made,
    };
  } catch (error) {
    // EINVAL was about the name, not about O_DIRECT: nothing was made.
    if (codeOf(error) !== "ENOENT" || refusal.probe) throw error;
    return yield* openOrMake(path, access, request, { exclusive: false });
  }
}

/** Opens, and knows whether this call made the file. */
function* openOrMake(
  path: string,
  how: OpenHow,
  { create, createNew, mode }: OpenRequest,
  attempt: { exclusive: boolean },
): Task<Found> {
  const exclusive = { ...how, make: "new", mode } as const;
  if (!create && !createNew) {
    return { file: yield* openDescriptor(path, how), made: false };
  }
  for (let round = 0; round < 2; round++) {
    if (!createNew) {
      try {
        return { file: yield* openDescriptor(path, how), made: false };
      } catch (error) {
        if (codeOf(error) !== "ENOENT") throw error;
      }
    }
    attempt.exclusive = true;
    try {
      return { file: yield* openDescriptor(path, exclusive), made: true };
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw error;
      attempt.exclusive = false;
      if (createNew) throw error;
    }
  }
  // A link to a file that is not there yet, or one that comes and goes.
  const either = { ...how, make: "missing", mode } as const;
  const file = yield* openDescriptor(path, either);
  return { file, made: false };
}

/**
 * What the kernel tells of a file, which must be one with positions: a regular one or a block
 * device.
 */
function probeSupported(file: number, path: string): FileProbe {
  const probe = probeFile(file, path);
  const kind = probe.mode & S_IFMT;
  if (kind === S_IFREG || kind === S_IFBLK) return probe;
  if (kind === S_IFDIR) {
    throw systemError("EISDIR", "open", path, "a regular file is needed");
  }
  throw new UnsupportedError(`Cannot open '${path}'`, {
    found: kindOf(probe.mode),
    needed: "a regular file or a block device",
  });
}

/** The way of a file through the page cache. */
function cachedWay(file: number, refusal: Refusal | undefined): Way {
  const any = {
    memoryAlignment: 1,
    offsetAlignment: 1,
    readOffsetAlignment: 1,
    alignmentReason: "the page cache takes any position and length",
  };
  if (refusal === undefined) {
    return {
      ...any,
      tier: "buffered",
      tierReason: 'asked for with direct: "never"',
    };
  }
  const uncached = native().basalt_file_probe_uncached(file);
  if (uncached === 1) {
    return {
      ...any,
      tier: "uncached",
      tierReason:
        `not direct: ${refusal.reason}; its filesystem drops pages when done (RWF_DONTCACHE)`,
    };
  }
  const why = uncached < 0
    ? `asking for RWF_DONTCACHE gave ${errnoName(-uncached)}`
    : "RWF_DONTCACHE is refused (it needs Linux 6.14 and the filesystem's consent)";
  return {
    ...any,
    tier: "buffered",
    tierReason: `not direct: ${refusal.reason}; not uncached: ${why}`,
  };
}

/** Cuts the file if that was asked for, now that nothing else can fail; tells what it can do. */
function* finish(
  file: number,
  path: string,
  request: OpenRequest,
  probe: FileProbe,
  way: Way,
): Task<OpenedFile> {
  if (request.truncate && probe.sizeBytes > 0) {
    yield* runOn(file, path, OPERATION.TRUNCATE);
  }
  return { file, capabilities: capabilitiesOf(probe, way) };
}

function capabilitiesOf(probe: FileProbe, way: Way): Capabilities {
  const { tier, offsetAlignment } = way;
  const blocks = probe.physicalBlock === undefined
    ? deviceBlocks(probe.deviceMajor, probe.deviceMinor, offsetAlignment)
    : {
      logical: probe.offsetAlignment || undefined,
      physical: probe.physicalBlock,
      reason: "the device itself (BLKPBSZGET)",
    };
  const { kind, reason } = engine();
  return Object.freeze({
    tier: way.tier,
    tierReason: way.tierReason,
    memoryAlignment: way.memoryAlignment,
    offsetAlignment,
    readOffsetAlignment: way.readOffsetAlignment,
    alignmentReason: way.alignmentReason,
    logicalBlock: blocks.logical ??
      (tier === "direct" ? offsetAlignment : blocks.physical),
    physicalBlock: blocks.physical,
    physicalBlockReason: blocks.reason,
    durableWrites: probe.syncsApart ? "fdatasync" : "RWF_DSYNC",
    get names() {
      return namesBeside(probe);
    },
    filesystem: probe.filesystem,
    copyOnWrite: isCopyOnWrite(probe.filesystem),
    engine: kind,
    engineReason: reason,
  });
}

/**
 * Removes a file that this call made; what cannot be removed stays, the error that led here counts
 * more.
 */
function* removeAgain(path: string): Task<void> {
  try {
    yield* denoRemove(path);
  } catch {
    // Nothing to tell anybody: see above.
  }
}
