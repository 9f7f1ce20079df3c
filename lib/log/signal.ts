import { onAbort, step, type Task } from "../base/mod.ts";

/** Tells all who wait that something has changed. */
export class Signal {
  readonly #waiters = new Set<() => void>();

  /**
   * Resolves when {@linkcode Signal.fire} is called next; rejects with the reason of `abort` when
   * that is aborted.
   */
  wait(abort: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (abort.aborted) return reject(abort.reason);
      const done = (): void => {
        unlisten();
        resolve();
      };
      const unlisten = onAbort(abort, () => {
        this.#waiters.delete(done);
        reject(abort.reason);
      });
      this.#waiters.add(done);
    });
  }

  /** Wakes all who wait now. */
  fire(): void {
    for (const done of this.#waiters) done();
    this.#waiters.clear();
  }
}

/** Makes a task of a wait for a signal: a caller that blocks could not be woken. */
export function waiting<T>(wait: () => Promise<T>): Task<T> {
  return step(wait, () => {
    throw new TypeError("Cannot wait for messages blocking");
  });
}
