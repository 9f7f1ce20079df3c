/** The values recorded so far; all zeros if there are none. */
export interface HistogramSnapshot {
  /** Number of values. */
  count: number;
  /** The smallest value. */
  min: number;
  /** The mean. */
  mean: number;
  /** Median. Percentiles are exact to three significant digits. */
  p50: number;
  /** 90th percentile. */
  p90: number;
  /** 99th percentile. */
  p99: number;
  /** 99.9th percentile. */
  p999: number;
  /** The largest value. */
  max: number;
}

/** Values have 11 significant bits. Each value below this has a slot of its own. */
const EXACT = 2048;
/** Number of slots for each power of two above. */
const PLACES = EXACT / 2;
/** Number of slots at the start. It grows when needed. */
const FIRST_PLACES = 64;

/**
 * Counts integers of at least 1 by their size.
 *
 * The array of counts grows with the greatest value: 64 KiB for 0.1 s in microseconds, at most 360
 * KiB. A histogram of `node:perf_hooks` takes 350 KiB from the start, and the garbage collector
 * does not see it: a program that opens many logs would grow by gigabytes.
 */
export class Histogram {
  #counts = new Float64Array(FIRST_PLACES);
  #count = 0;
  #sum = 0;
  #min = Infinity;
  #max = 0;

  /** Counts a value. A value below 1 counts as 1. */
  record(value: number): void {
    const whole = Math.min(
      Math.max(1, Math.round(value)),
      Number.MAX_SAFE_INTEGER,
    );
    const place = placeOf(whole);
    if (place >= this.#counts.length) this.#grow(place + 1);
    this.#counts[place]!++;
    this.#count++;
    this.#sum += whole;
    if (whole < this.#min) this.#min = whole;
    if (whole > this.#max) this.#max = whole;
  }

  /** Returns the figures of all values so far. */
  snapshot(): HistogramSnapshot {
    const count = this.#count;
    return {
      count,
      min: count === 0 ? 0 : this.#min,
      mean: this.#sum / Math.max(1, count),
      p50: this.#percentile(50),
      p90: this.#percentile(90),
      p99: this.#percentile(99),
      p999: this.#percentile(99.9),
      max: this.#max,
    };
  }

  /** Returns the greatest value of the slot that holds the percentile. */
  #percentile(percent: number): number {
    const wanted = Math.ceil(this.#count * percent / 100);
    let place = 0;
    for (let below = this.#counts[0]!; below < wanted;) {
      below += this.#counts[++place]!;
    }
    return Math.min(greatestAt(place), this.#max);
  }

  #grow(places: number): void {
    const grown = new Float64Array(Math.max(places, 2 * this.#counts.length));
    grown.set(this.#counts);
    this.#counts = grown;
  }
}

/** Returns the slot of a value: its 11 leading bits, after the slots of smaller powers of two. */
function placeOf(value: number): number {
  const high = Math.floor(value / 2 ** 32);
  const bits = high > 0 ? 64 - Math.clz32(high) : 32 - Math.clz32(value);
  const shift = Math.max(0, bits - 11);
  return shift * PLACES + Math.floor(value / 2 ** shift);
}

/** Returns the greatest value of a slot. */
function greatestAt(place: number): number {
  const shift = Math.max(0, Math.floor(place / PLACES) - 1);
  return (place - shift * PLACES + 1) * 2 ** shift - 1;
}
