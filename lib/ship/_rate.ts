/** The number of seconds that the rate is a mean of. */
const SECONDS = 10;

/** Counts events a second, as a mean over the last ten seconds. */
export class Rate {
  readonly #startedMs = performance.now();
  /** Events in each of the last seconds. */
  readonly #counts = new Float64Array(SECONDS);
  /** The second that is counted now, from the start. */
  #second = 0;

  /** Counts events. */
  add(count: number): void {
    this.#advance();
    this.#counts[this.#second % SECONDS]! += count;
  }

  /** Events a second. */
  get perSecond(): number {
    const elapsedSeconds = this.#advance();
    const total = this.#counts.reduce((sum, count) => sum + count, 0);
    const inCurrent = elapsedSeconds - this.#second;
    const spanSeconds = Math.min(elapsedSeconds, SECONDS - 1 + inCurrent);
    return spanSeconds === 0 ? 0 : total / spanSeconds;
  }

  /** Empties the seconds that have begun since the last call. Returns the time since the start. */
  #advance(): number {
    const elapsedSeconds = (performance.now() - this.#startedMs) / 1000;
    const now = Math.floor(elapsedSeconds);
    const first = Math.max(this.#second, now - SECONDS) + 1;
    for (let second = first; second <= now; second++) {
      this.#counts[second % SECONDS] = 0;
    }
    this.#second = now;
    return elapsedSeconds;
  }
}
