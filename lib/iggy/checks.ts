import type { Task } from "../base/mod.ts";
import {
  closeSegment,
  join,
  listDirectory,
  type Listing,
  openSegment,
  readMark,
  Verification,
  type VerifyOptions,
} from "../log/mod.ts";
import { CorruptSegment, sealedExtent } from "../segment/mod.ts";
import {
  describeOwner,
  DiskStorage,
  isOpenElsewhere,
  Locked,
} from "../storage/mod.ts";
import type { Place } from "./files.ts";
import { fileNames } from "./transfer.ts";

/**
 * Does something while nobody can open the log in a directory for writing.
 *
 * @throws {Locked} If a writer has it open.
 */
export function* withLock<T>(
  { storage, pool }: Place,
  dir: string,
  task: () => Task<T>,
): Task<T> {
  const lock = storage.lock(dir);
  if (lock === undefined) {
    throw new Locked(dir, yield* readMark(storage, dir, pool));
  }
  try {
    return yield* task();
  } finally {
    lock.release();
  }
}

/**
 * Refuses a log that its writer did not close.
 *
 * @throws {Deno.errors.Busy} If the mark of a writer is there.
 */
export function* refuseUnclosed(
  { storage, pool }: Place,
  dir: string,
  listing: Listing,
): Task<void> {
  if (!listing.marked) return;
  const owner = yield* readMark(storage, dir, pool);
  const who = owner === undefined ? "an unknown process" : describeOwner(owner);
  throw new Deno.errors.Busy(
    `Cannot copy '${dir}': its writer (${who}) did not close it: open it with 'Log.open', which recovers it, and close it`,
  );
}

/**
 * Refuses a partition of which somebody has a file open: a running server has those of every partition's last segment.
 *
 * @throws {Locked} If so.
 * @throws {Unsupported} If the kernel does not tell.
 */
export function* refuseServed(
  { storage }: Place,
  partition: string,
  listing: Listing,
): Task<void> {
  // Nobody else has a simulated disk's files.
  if (!(storage.storage instanceof DiskStorage)) return;
  for (const name of fileNames(listing)) {
    if (!(yield* isOpenElsewhere(join(partition, name)))) continue;
    throw new Locked(
      partition,
      `whoever has '${name}' open (a running Iggy server: stop it first)`,
    );
  }
}

/**
 * Reads a closed log whole: every message, every index entry. Answers the offset behind its last message.
 *
 * @throws {CorruptSegment} With the first thing that is wrong.
 * @throws {Deno.errors.NotFound} If there is no log.
 */
export function* proveSound(
  { storage, pool }: Place,
  dir: string,
  onProgress: VerifyOptions["onProgress"],
): Task<number> {
  const verification = new Verification(dir, {
    storage: storage.storage,
    pool,
    ...(onProgress === undefined ? {} : { onProgress }),
  });
  yield* verification.run();
  for (const { kind, message, ...place } of verification.faults) {
    // A server's clock may go back, and neither a server nor a log minds; files that are none of the log's stay behind.
    if (kind === "timestamp" || kind === "name") continue;
    const own = kind === "overlap" ? "gap" : kind;
    throw new CorruptSegment(message, { ...place, kind: own });
  }
  const { firstOffset } = (yield* listDirectory(storage, dir)).segments.at(-1)!;
  const files = yield* openSegment(storage, dir, firstOffset, { write: false });
  try {
    const extent = yield* sealedExtent(files, pool);
    if (extent !== undefined) return firstOffset + extent.count;
    // It was sound a moment ago.
    throw new Locked(dir, "whoever is changing it");
  } finally {
    yield* closeSegment(files);
  }
}
