/**
 * The append times of a log: one value for a flush, never decreasing, across segments and reopening.
 */
export class Timeline {
  readonly #now: () => number;
  /** The last time that was given out, in microseconds since the Unix epoch. */
  #last: number;
  /** The time of the group that is being gathered; set by the first run that is stamped in it. */
  #group: number | undefined;

  /** @param last The last timestamp of the log, in microseconds; 0 for an empty one. */
  constructor(now: () => number, last: number) {
    this.#now = now;
    this.#last = last;
  }

  /** The time for the run that is stamped now, in microseconds. */
  stamp(): number {
    return this.#last = this.#group ??= Math.max(this.#now(), this.#last);
  }

  /** Ends the group: the next run gets a time of its own. */
  endGroup(): void {
    this.#group = undefined;
  }
}
