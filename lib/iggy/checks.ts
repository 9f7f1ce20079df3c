import type { Task } from "../base/mod.ts";
import { join } from "../log/names.ts";
import {
  describeOwner,
  DiskStorage,
  isOpenElsewhere,
  Locked,
  type LockOwner,
} from "../storage/mod.ts";
import { listDirectory, type Listing, OWNER_NAME } from "./directory.ts";
import { type Place, readSmall } from "./files.ts";

const OWNER_MAGIC = "BASALTWR";
// Offsets in an owner file (`docs/format.md#the-owner-file-writer`).
const PID = 40;
const STARTED_AT = 48;

/**
 * Runs a task while no writer can open the log in a directory.
 *
 * @throws {Locked} If a writer has it open.
 */
export function* withLock<T>(
  place: Place,
  dir: string,
  task: () => Task<T>,
): Task<T> {
  const lock = place.storage.lock(dir);
  if (lock === undefined) throw new Locked(dir, yield* readOwner(place, dir));
  try {
    return yield* task();
  } finally {
    lock.release();
  }
}

/**
 * Refuses a log that its writer did not close.
 *
 * @throws {Deno.errors.Busy} If its owner file is there.
 */
export function* refuseUnclosed(
  place: Place,
  dir: string,
  listing: Listing,
): Task<void> {
  if (!listing.hasOwner) return;
  const owner = yield* readOwner(place, dir);
  const who = owner === undefined ? "an unknown process" : describeOwner(owner);
  throw new Deno.errors.Busy(
    `Cannot copy '${dir}': its writer (${who}) did not close it: open it with 'Log.open', which recovers it, and close it`,
  );
}

/** Returns the process that an owner file names. */
function* readOwner(
  place: Place,
  dir: string,
): Task<LockOwner | undefined> {
  const bytes = yield* readSmall(place, join(dir, OWNER_NAME));
  if (bytes === undefined || bytes.length < STARTED_AT + 8) return undefined;
  const magic = new TextDecoder().decode(bytes.subarray(0, OWNER_MAGIC.length));
  if (magic !== OWNER_MAGIC) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const number = (at: number) => Number(view.getBigUint64(at, true));
  return { pid: number(PID), since: number(STARTED_AT) };
}

/**
 * Refuses a partition of which another process has a file open: a running server has those of every last segment.
 *
 * @throws {Locked} If so.
 * @throws {Unsupported} If the kernel does not tell.
 */
export function* refuseServed(
  { storage }: Place,
  partition: string,
): Task<void> {
  // No other process has a simulated disk's files.
  if (!(storage.storage instanceof DiskStorage)) return;
  const { names } = yield* listDirectory(storage, partition);
  for (const name of names) {
    if (!(yield* isOpenElsewhere(join(partition, name)))) continue;
    throw new Locked(
      partition,
      `whoever has '${name}' open (a running Iggy server: stop it first)`,
    );
  }
}
