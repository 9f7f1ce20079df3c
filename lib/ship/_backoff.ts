import { delay } from "../base/mod.ts";

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

  /** Waits after a failure, or until the signal is aborted. */
  async wait(signal: AbortSignal): Promise<void> {
    const longestMs = Math.min(MAX_MS, FIRST_MS * 2 ** this.#failures++);
    // Not below half: attempts of many shippers spread, and still become rarer.
    await delay(longestMs * (1 + Math.random()) / 2, signal);
  }
}
