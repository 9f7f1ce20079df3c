import type { Task } from "../base/mod.ts";
import { join, readOwner } from "../log/mod.ts";
import {
  describeOwner,
  DiskStorage,
  isOpenElsewhere,
  LockedError,
} from "../storage/mod.ts";
import { listDirectory, type Listing } from "./_directory.ts";
import type { Place } from "./_files.ts";

/**
 * Runs a task while no writer can open the log in a directory.
 *
 * @throws {LockedError} If a writer has it open.
 */
export function* withLock<T>(
  place: Place,
  dir: string,
  task: () => Task<T>,
): Task<T> {
  const lock = place.storage.lock(dir);
  if (lock === undefined) {
    throw new LockedError(dir, yield* readOwner(dir, place));
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
 * @throws {Deno.errors.Busy} If its owner file is there.
 */
export function* refuseUnclosed(
  place: Place,
  dir: string,
  listing: Listing,
): Task<void> {
  if (!listing.hasOwner) return;
  const owner = yield* readOwner(dir, place);
  const writer = owner === undefined
    ? "an unknown process"
    : describeOwner(owner);
  throw new Deno.errors.Busy(
    `Cannot copy '${dir}': its writer (${writer}) did not close it: open it with 'Log.open', which recovers it, and close it`,
  );
}

/**
 * Refuses a partition of which another process has a file open: a running server has those of every
 * last segment.
 *
 * @throws {LockedError} If so.
 * @throws {UnsupportedError} If the kernel does not tell.
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
    throw new LockedError(
      partition,
      `the process that has '${name}' open (a running Iggy server: stop it first)`,
    );
  }
}
