/** The first delay of a series of failures, in milliseconds; it doubles. */
const FIRST_MS = 50;
/** Upper bound of the delay, in milliseconds. */
const MAX_MS = 10_000;

/** Delays between attempts: each twice as long as the one before it, with jitter. */
export class Backoff {
  #failures = 0;

  /** Starts again at the shortest delay. */
  reset(): void {
    this.#failures = 0;
  }

  /** Waits after a failure; rejects with the signal's reason when it is aborted. */
  async wait(signal: AbortSignal): Promise<void> {
    const longestMs = Math.min(MAX_MS, FIRST_MS * 2 ** this.#failures++);
    // Not below half: attempts of many shippers spread, and still become rarer.
    const delayMs = longestMs * (1 + Math.random()) / 2;
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, delayMs);
    const abort = (): void => reject(signal.reason);
    signal.addEventListener("abort", abort);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
    }
  }
}
