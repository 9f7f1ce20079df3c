/** The number of intervals that the rate is a mean of. */
const INTERVALS = 10;
/** Length of an interval, in milliseconds. */
const INTERVAL_MS = 1000;

/** Counts events a second, as a mean over the last ten seconds. */
export class Rate {
  readonly #counts = new Float64Array(INTERVALS);
  readonly #startedMs = performance.now();
  /** The interval that is counted now, from the start. */
  #interval = 0;

  /** Counts events. */
  add(count: number): void {
    this.#advance();
    this.#counts[this.#interval % INTERVALS]! += count;
  }

  /** Events a second. */
  get perSecond(): number {
    this.#advance();
    const total = this.#counts.reduce((sum, count) => sum + count, 0);
    const elapsedMs = performance.now() - this.#startedMs;
    const inCurrentMs = elapsedMs - this.#interval * INTERVAL_MS;
    const spanMs = Math.min(
      elapsedMs,
      (INTERVALS - 1) * INTERVAL_MS + inCurrentMs,
    );
    return spanMs === 0 ? 0 : total / spanMs * 1000;
  }

  /** Empties the intervals that have begun since the last call. */
  #advance(): void {
    const now = Math.floor(
      (performance.now() - this.#startedMs) / INTERVAL_MS,
    );
    const passed = Math.min(INTERVALS, now - this.#interval);
    for (let i = 1; i <= passed; i++) {
      this.#counts[(this.#interval + i) % INTERVALS] = 0;
    }
    this.#interval = now;
  }
}
