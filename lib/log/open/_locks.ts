import type { Task } from "../../base/mod.ts";
import type { StorageLock, TaskStorage } from "../../storage/mod.ts";

/** Interval between two attempts to take a lock, in milliseconds. */
const POLL_MS = 20;
/**
 * A caller that blocks tries this often again, 1 ms apart: a process that only looks whether the
 * lock is held may take it for an instant.
 */
const BLOCKING_LOOKS = 3;

/**
 * Opens what a lock protects, and tries again while another owner holds the lock; returns
 * `undefined` if it still does at the end.
 *
 * @param open Returns `undefined` while another owner holds the lock.
 * @param timeoutMs How long to try, in milliseconds; `undefined` for a caller that blocks.
 */
export function* openLocked<T>(
  storage: TaskStorage,
  open: () => Task<T | undefined>,
  timeoutMs: number | undefined,
): Task<T | undefined> {
  const pollMs = timeoutMs === undefined ? 1 : POLL_MS;
  for (let waitedMs = 0;; waitedMs += pollMs) {
    const opened = yield* open();
    const isOver = waitedMs >= (timeoutMs ?? BLOCKING_LOOKS);
    if (opened !== undefined || isOver) return opened;
    yield* storage.delay(pollMs);
  }
}

/**
 * Refuses a path that leads to another directory than the locked one: names must not be created,
 * removed or opened there.
 *
 * `docs/format.md#open-directory`
 *
 * @param action What cannot be done, such as `"close log"`.
 * @throws {Deno.errors.BadResource} If the directory was moved or replaced.
 */
export function refuseMoved(
  lock: StorageLock,
  dir: string,
  action: string,
): void {
  if (lock.isAtPath()) return;
  throw new Deno.errors.BadResource(
    `Cannot ${action} '${dir}': the directory was moved or replaced, and the path does not lead to it any more`,
  );
}
