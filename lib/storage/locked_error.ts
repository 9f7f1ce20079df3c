/** A process that holds a lock. */
export interface LockOwner {
  /** The number of the process. */
  pid: number;
  /** When it took the lock, in microseconds since the Unix epoch. */
  since: number;
}

/**
 * Reports that another process or isolate holds a lock.
 *
 * @example Fields and message
 * ```ts
 * import { LockedError } from "@basalt/io";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new LockedError("/data/log", { pid: 4711, since: 1700000000000000 });
 * assertEquals(error.pid, 4711);
 * assertEquals(
 *   error.message,
 *   "Cannot lock '/data/log': process 4711, since 2023-11-14T22:13:20.000Z, holds it",
 * );
 * ```
 */
export class LockedError extends Error {
  /** `"LockedError"`. */
  override readonly name: string = "LockedError";
  /** The directory. */
  readonly path: string;
  /** The number of the process that holds it; `undefined` if it is not known. */
  readonly pid: number | undefined;
  /**
   * When it took the lock, in microseconds since the Unix epoch; `undefined` if it is not known.
   */
  readonly since: number | undefined;

  /** Makes the error; the owner is a process, or a description of it. */
  constructor(
    path: string,
    owner?: LockOwner | string,
    options?: ErrorOptions,
  ) {
    const process = typeof owner === "object" ? owner : undefined;
    const who = process === undefined ? owner : `${describeOwner(process)},`;
    super(
      `Cannot lock '${path}': ${who ?? "another process or log"} holds it`,
      options,
    );
    this.path = path;
    this.pid = process?.pid;
    this.since = process?.since;
  }
}

/** A lock's owner in words. */
export function describeOwner({ pid, since }: LockOwner): string {
  return `process ${pid}, since ${new Date(since / 1000).toISOString()}`;
}
