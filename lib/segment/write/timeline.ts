/** Gives out the append times of a log: they never decrease, across segments and reopening. */
export class Timeline {
  readonly #now: () => number;
  #lastMicros: number;

  /** @param lastMicros The last timestamp of the log, in microseconds; 0 for an empty one. */
  constructor(now: () => number, lastMicros: number) {
    this.#now = now;
    this.#lastMicros = lastMicros;
  }

  /**
   * How far the clock is behind the last timestamp, in microseconds; 0 if it is not. Until it has
   * caught up, all messages get that timestamp.
   */
  get clockBehindMicros(): number {
    return Math.max(0, this.#lastMicros - this.#now());
  }

  /** Returns the time for the batches that are sealed now, in microseconds since the Unix epoch. */
  next(): number {
    return this.#lastMicros = Math.max(this.#now(), this.#lastMicros);
  }
}
