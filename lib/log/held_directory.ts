import type { StorageLock } from "../storage/mod.ts";

/**
 * Refuses a path that leads to another directory than the one that is locked: names must not be
 * made, removed or opened there.
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
