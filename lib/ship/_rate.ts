/** The number of seconds that the rate is a mean of. */
const SECONDS = 10;

/** Counts events a second, as a mean over the last ten seconds. */
export class Rate {
  readonly #startedMs = performance.now();
  /** Events in each of the last seconds that had any, by its number from the start. */
  readonly #counts = new Map<number, number>();

  /** Counts events. */
  add(count: number): void {
    const second = Math.floor(this.#advance());
    this.#counts.set(second, (this.#counts.get(second) ?? 0) + count);
  }

  /** Events a second. */
  get perSecond(): number {
    const elapsedSeconds = this.#advance();
    const total = this.#counts.values().reduce((sum, each) => sum + each, 0);
    const spanSeconds = Math.min(
      elapsedSeconds,
      SECONDS - 1 + elapsedSeconds % 1,
    );
    return spanSeconds === 0 ? 0 : total / spanSeconds;
  }

  /** Forgets the seconds that are too long ago. Returns the time since the start. */
  #advance(): number {
    const elapsedSeconds = (performance.now() - this.#startedMs) / 1000;
    for (const second of this.#counts.keys()) {
      if (second <= elapsedSeconds - SECONDS) this.#counts.delete(second);
    }
    return elapsedSeconds;
  }
}
