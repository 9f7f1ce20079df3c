/** Durable writes that are remembered. */
const WINDOW = 128;
/** So many must be known before one is made in place: a log's first writes are not typical. */
const LEAST_SAMPLES = 32;
/**
 * At most one of the window may have taken longer than this: the bound of the device's p99, in
 * microseconds.
 */
const MAX_MICROS = 1000;
/**
 * Between two pauses writes follow each other for this long, in microseconds, and for longer where
 * pauses are dear.
 */
const STRETCH_MICROS = { least: 1000, most: 10_000 } as const;
/** The share of the time that pauses may take. */
const PAUSE_SHARE = 0.035;
/** The share of the time that other work on the thread may take. */
const MAX_LOAD = 0.05;
/** What a pause may take beyond the usual without other work in it, in microseconds. */
const JITTER_MICROS = 30;
/** What a pause counts for in the load. */
const LOAD_WEIGHT = 1 / 32;

/**
 * Decides whether a durable flush may be written on the program's own thread.
 *
 * Handing a write to a ring or a thread costs two wake-ups, 5 to 100 us each. While all appenders
 * wait for it and
 * the program has nothing else to do, its thread waits in the kernel anyway, so the write itself
 * may be made
 * there. The price: nothing else runs during the write. So it is made in place only while
 * - the storage has no other operation in flight, and lets the thread wait (`isIdle`),
 * - other work took at most 5 % of the recent time: after every 1 to 10 ms there is a pause, in
 *   which others can
 *   run, and what it takes beyond the usual is their work,
 * - at most one of the last 128 durable writes took longer than 1 ms, and at least 32 are known.
 *
 * A device that becomes slow is noticed after one write, and then needs 32 fast ones to be trusted
 * again. A
 * device that hangs blocks the thread for that one write.
 */
export class InPlacePolicy {
  readonly #isIdle: () => boolean;
  /** The storage's clock, in microseconds. */
  readonly #now: () => number;
  /** The last latencies in microseconds, as a ring. */
  readonly #latencies = new Float64Array(WINDOW);
  #count = 0;
  #slow = 0;
  /** What a pause takes without other work in it, about; 0 before the first. */
  #pauseMicros = 0;
  #pausedAt = 0;
  /** The share of the recent time that other work took. */
  #load = 0;

  /**
   * @param isIdle Whether the storage has no operation in flight and lets the program's thread
   * wait.
   */
  constructor(isIdle: () => boolean, now: () => number) {
    this.#isIdle = isIdle;
    this.#now = now;
  }

  /** Whether the next durable flush may be written in place. */
  get allows(): boolean {
    return this.#count >= LEAST_SAMPLES && this.#slow <= 1 &&
      this.#load <= MAX_LOAD && this.#isIdle();
  }

  /** Notes how long a durable write took that nothing else was in flight with. */
  written(micros: number, wasInPlace: boolean): void {
    if (wasInPlace && micros > MAX_MICROS) {
      this.#count = this.#slow = 0;
      return;
    }
    const at = this.#count % WINDOW;
    if (this.#count >= WINDOW && this.#latencies[at]! > MAX_MICROS) {
      this.#slow--;
    }
    this.#latencies[at] = micros;
    if (micros > MAX_MICROS) this.#slow++;
    this.#count++;
  }

  /** Whether writes have followed each other for as long as others can wait. */
  get isPauseDue(): boolean {
    const { least, most } = STRETCH_MICROS;
    const wanted = this.#pauseMicros / PAUSE_SHARE;
    const stretch = Math.min(Math.max(wanted, least), most);
    return this.#now() - this.#pausedAt >= stretch;
  }

  /** Notes a pause, in which others could run. */
  paused(micros: number): void {
    const usual = this.#pauseMicros;
    const now = this.#now();
    const totalMicros = Math.max(now - this.#pausedAt, 1);
    this.#pausedAt = now;
    this.#pauseMicros = usual === 0
      ? micros
      : Math.min(micros, usual + (micros - usual) / 1024);
    const otherMicros = Math.max(0, micros - usual - JITTER_MICROS);
    const other = usual === 0 ? 0 : Math.min(1, otherMicros / totalMicros);
    this.#load += LOAD_WEIGHT * (other - this.#load);
  }
}
