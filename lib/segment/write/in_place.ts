/** Durable writes that are remembered. */
const WINDOW = 128;
/** So many must be known before one is made in place: a log's first writes are not typical. */
const LEAST_SAMPLES = 32;
/** At most one of the window may have taken longer than this: the bound of the device's p99, in microseconds. */
const MAX_MICROS = 1000;
/** The share of the time that other work on the thread may take. */
const MAX_LOAD = 0.05;
/** What a turn of the event loop takes without any work in it, at most, in microseconds. */
const EMPTY_TURN_MICROS = 30;
/** How fast the load follows: the weight of a millisecond. */
const LOAD_WEIGHT = 1 / 32;

/**
 * Decides whether a lone durable append may be written on the program's own thread.
 *
 * Handing a write to a ring or a thread costs two wake-ups, 5 to 100 us each. While one appender waits for each
 * of its messages and the program has nothing else to do, its thread waits in the kernel anyway, so the write
 * itself may be made there. The price: nothing else runs during the write. So it is made in place only while
 * - the storage has no other operation in flight, and lets the thread wait (`isIdle`),
 * - other work took at most 5 % of the recent time,
 * - at most one of the last 128 durable writes took longer than 1 ms, and at least 32 are known.
 *
 * A device that becomes slow is noticed after one write, and then needs 32 fast ones to be trusted again. A
 * device that hangs blocks the thread for that one write.
 */
export class InPlacePolicy {
  readonly #isIdle: () => boolean;
  /** The last latencies in microseconds, as a ring. */
  readonly #latencies = new Float64Array(WINDOW);
  #count = 0;
  #slow = 0;
  /** The share of the recent time that other work took. */
  #load = 0;

  /** @param isIdle Whether the storage has no operation in flight and lets the program's thread wait. */
  constructor(isIdle: () => boolean) {
    this.#isIdle = isIdle;
  }

  /** Whether the next lone durable write may be made in place. */
  get allows(): boolean {
    return this.#count >= LEAST_SAMPLES && this.#slow <= 1 &&
      this.#load <= MAX_LOAD &&
      this.#isIdle();
  }

  /** Notes how long a durable write of a lone appender took. */
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

  /** Notes a turn of the event loop: how long it took, and how long before it the last one ended. */
  turned(turnMicros: number, sinceLastMicros: number): void {
    const other = turnMicros > EMPTY_TURN_MICROS ? turnMicros : 0;
    const total = Math.max(turnMicros + sinceLastMicros, 1);
    const weight = Math.min(1, LOAD_WEIGHT * Math.max(1, total / 1000));
    this.#load += weight * (other / total - this.#load);
  }
}
