import { onAbort, step, type Task } from "../base/mod.ts";

/** Wakes all waiting calls when something has changed. */
export class Signal {
  readonly #waiters = new Set<() => void>();

  /**
   * Resolves at the next {@linkcode Signal.fire}; rejects with the reason of `abort` if that is
   * aborted first.
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

  /** Wakes all calls that wait now. */
  fire(): void {
    for (const done of this.#waiters) done();
    this.#waiters.clear();
  }
}

/** Wraps a wait for a signal as a task. A caller that blocks cannot be woken, so it throws. */
export function waiting<T>(wait: () => Promise<T>): Task<T> {
  return step(wait, () => {
    throw new TypeError("Cannot wait for messages blocking");
  });
}
