import { onAbort } from "../base/mod.ts";

/** Tells those who wait that there may be something new. */
export class Wakeup {
  readonly #waiters = new Set<() => void>();

  /** Resolves at the next {@linkcode Wakeup.wake}; rejects with the signal's reason when it is aborted. */
  wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const done = (): void => {
        unlisten();
        resolve();
      };
      const unlisten = onAbort(signal, () => {
        this.#waiters.delete(done);
        reject(signal.reason);
      });
      this.#waiters.add(done);
    });
  }

  /** Wakes everybody who waits now. */
  wake(): void {
    for (const done of this.#waiters) done();
    this.#waiters.clear();
  }
}
