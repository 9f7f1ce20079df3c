import { delay } from "../base/mod.ts";
import { ShippingError } from "./shipping_error.ts";

/** The first delay of a series of failures, in milliseconds; it doubles. */
const FIRST_MS = 50;
/** Upper bound of the delay, in milliseconds. */
const MAX_MS = 10_000;

/** A failure of the other system, which may pass. */
class PeerFailure {
  readonly error: unknown;
  constructor(error: unknown) {
    this.error = error;
  }
}

/** Calls the other system. Unlike errors of the log, its failures may be retried. */
export async function callPeer<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw error instanceof ShippingError ? error : new PeerFailure(error);
  }
}

/** Attempts to transfer messages, with growing delays while the other system fails. */
export class Attempts {
  readonly #signal: AbortSignal;
  #failures = 0;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** Notes progress: the next delay is the shortest one again. */
  progress(): void {
    this.#failures = 0;
  }

  /**
   * Repeats an attempt until it succeeds or the signal is aborted.
   *
   * @param onFailure Receives each failure of the other system. If it throws, the attempts end.
   */
  async run(
    attempt: () => Promise<void>,
    onFailure: (error: unknown) => void,
  ): Promise<void> {
    while (!this.#signal.aborted) {
      try {
        return await attempt();
      } catch (error) {
        if (this.#signal.aborted) return;
        if (!(error instanceof PeerFailure)) throw error;
        onFailure(error.error);
      }
      const longestMs = Math.min(MAX_MS, FIRST_MS * 2 ** this.#failures++);
      // Not below half: attempts of many shippers spread, and still become rarer.
      await delay(longestMs * (1 + Math.random()) / 2, this.#signal);
    }
  }
}
