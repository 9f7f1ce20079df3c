import { pair, perform, type Task } from "../base/mod.ts";
import { engine, OPERATION } from "../engine/mod.ts";
import {
  errnoName,
  native,
  systemError,
  UnsupportedError,
} from "../native/mod.ts";
import type { Capabilities } from "./capabilities.ts";
import type { Descriptor, OpenHow } from "./_descriptor.ts";
import type { OpenRequest } from "./direct_file_options.ts";
import { unless } from "./errors.ts";
import { runOn } from "./_file_operation.ts";
import { isCopyOnWrite } from "./_filesystems.ts";
import { openDescriptor } from "./_open_descriptor.ts";
import { deviceBlocks } from "./_physical_block.ts";
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

/** Why a file cannot be opened directly. */
interface Refusal {
  readonly reason: string;
  /** The file of the attempt, if it opened. */
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
export function openFile(
  path: string,
  request: OpenRequest,
): Task<OpenedFile> {
  return new FileOpening(path, request).run();
}

class FileOpening {
  readonly #path: string;
  readonly #request: OpenRequest;
  readonly #access: OpenHow;
  /**
   * Whether this call made the file. Also true after an attempt that failed, because `open(2)`
   * makes the file before it refuses `O_DIRECT`.
   */
  #isMade = false;

  constructor(path: string, request: OpenRequest) {
    this.#path = path;
    this.#request = request;
    this.#access = { read: request.read, write: request.write };
  }

  *run(): Task<OpenedFile> {
    let refusal: Refusal | undefined;
    if (this.#request.direct !== "never") {
      const direct = yield* this.#openDirectly();
      if ("descriptor" in direct) return direct;
      refusal = direct;
    }
    const descriptor = yield* this.#openThroughCache(refusal);
    try {
      const probe = probeSupported(descriptor);
      this.#check(probe, refusal);
      const way = cachedWay(descriptor, refusal);
      return yield* this.#finish(descriptor, probe, way);
    } catch (error) {
      descriptor[Symbol.dispose]();
      const isLeft = this.#isMade && error instanceof UnsupportedError;
      if (isLeft) yield* removeAgain(this.#path);
      throw error;
    }
  }

  /** Opens with `O_DIRECT`, or returns why the file or its filesystem does not allow that. */
  *#openDirectly(): Task<OpenedFile | Refusal> {
    const how = { ...this.#access, direct: true };
    const descriptor = yield* unless("EINVAL", this.#openOrMake(how));
    if (descriptor === undefined) {
      const reason = "the kernel refuses O_DIRECT for it (EINVAL)";
      return { reason, probe: undefined };
    }
    try {
      const probe = probeSupported(descriptor);
      const support = directSupport(probe, kernelRelease());
      if (typeof support === "string") {
        descriptor[Symbol.dispose]();
        return { reason: support, probe };
      }
      return yield* this.#finish(descriptor, probe, {
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
  *#openThroughCache(refusal: Refusal | undefined): Task<Descriptor> {
    const opening = openDescriptor(this.#path, this.#access);
    if (refusal?.probe !== undefined) return yield* opening;
    if (this.#isMade) {
      const descriptor = yield* unless("ENOENT", opening);
      if (descriptor !== undefined) return descriptor;
      // EINVAL was caused by the name, not by O_DIRECT, and nothing was made.
    }
    return yield* this.#openOrMake(this.#access);
  }

  /** Opens a file, and makes it if that was asked for. */
  *#openOrMake(how: OpenHow): Task<Descriptor> {
    const { create, createNew, mode } = this.#request;
    const path = this.#path;
    this.#isMade = false;
    if (!create && !createNew) return yield* openDescriptor(path, how);
    for (let round = 0; round < 2; round++) {
      const found = createNew
        ? undefined
        : yield* unless("ENOENT", openDescriptor(path, how));
      if (found !== undefined) return found;
      this.#isMade = true;
      const making = openDescriptor(path, { ...how, make: "new", mode });
      const made = createNew ? yield* making : yield* unless("EEXIST", making);
      if (made !== undefined) return made;
      this.#isMade = false;
    }
    // A link to a file that does not exist yet, or a file that comes and goes.
    return yield* openDescriptor(path, { ...how, make: "missing", mode });
  }

  /** Checks what is open now, after a direct attempt that was refused. */
  #check(probe: FileProbe, refusal: Refusal | undefined): void {
    const before = refusal?.probe ?? probe;
    if (before.inode !== probe.inode || before.device !== probe.device) {
      const advice = "it was replaced meanwhile";
      throw systemError("EBUSY", "open", this.#path, advice);
    }
    if (this.#request.direct !== "require") return;
    throw new UnsupportedError(
      `Cannot open '${this.#path}' with direct: "require"`,
      {
        found: refusal!.reason,
        needed: "a file that can be read and written past the page cache",
      },
    );
  }

  /** Truncates the file if that was asked for, now that nothing else can fail. */
  *#finish(
    descriptor: Descriptor,
    probe: FileProbe,
    way: Way,
  ): Task<OpenedFile> {
    const isCut = this.#request.truncate && probe.size > 0;
    if (isCut) yield* runOn(descriptor, OPERATION.TRUNCATE);
    return { descriptor, capabilities: capabilitiesOf(probe, way) };
  }
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
