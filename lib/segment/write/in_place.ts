/** Durable writes of each way that are remembered. */
const WINDOW = 128;
/** A write is made in place only after this many are known: a log's first ones are not typical. */
const LEAST_SAMPLES = 32;
/** The bound of the device's p99, in microseconds. */
const MAX_MICROS = 1000;
/** One write of this many is tried in place where the engine's latencies do not tell. */
const LEAST_TRIAL_GAP = 8;
/** The same after trials that were slow. */
const MOST_TRIAL_GAP = 1024;
/**
 * Between two pauses writes follow each other for this long, in microseconds, and for longer where
 * pauses are dear.
 */
const STRETCH_MICROS = { least: 1000, most: 10_000 } as const;
/** The share of the time that pauses may take. */
const PAUSE_SHARE = 0.035;
/** The share of the time that other work on the thread may take. */
const MAX_LOAD = 0.05;
/** A pause without other work in it takes at most this much longer than usual, in microseconds. */
const JITTER_MICROS = 30;
/** The weight of a pause in the load. */
const LOAD_WEIGHT = 1 / 32;
/** The shortest of this many pauses is where the usual one begins. */
const FIRST_PAUSES = 64;
/** How far a pause moves the usual one, as a share of it. */
const USUAL_STEP = 1 / 512;

/** What an {@linkcode InPlacePolicy} asks the storage. */
export interface InPlaceStorage {
  /** Microseconds since the Unix epoch. */
  now(): number;
  /** Whether no operation is in flight, and the program's thread may wait. */
  isIdle(): boolean;
}

/** The last latencies of one way to write. */
class Latencies {
  readonly #micros = new Float64Array(WINDOW);
  /** Latencies noted since the last reset. */
  count = 0;
  /** Those of the window that are above the bound. */
  slow = 0;

  note(micros: number): void {
    const at = this.count++ % WINDOW;
    if (this.count > WINDOW && this.#micros[at]! > MAX_MICROS) this.slow--;
    this.#micros[at] = micros;
    if (micros > MAX_MICROS) this.slow++;
  }

  reset(): void {
    this.count = this.slow = 0;
  }

  /** Whether their p99 is known to be below the bound. */
  get areFast(): boolean {
    return this.count >= LEAST_SAMPLES && this.slow <= 1;
  }

  /** Whether at least half of them are below the bound, of enough. */
  get areMostlyFast(): boolean {
    return this.count >= LEAST_SAMPLES &&
      2 * this.slow <= Math.min(this.count, WINDOW);
  }
}

/**
 * Decides whether a durable flush may be written on the program's own thread.
 *
 * Handing a write to a ring or a thread costs two wake-ups, 5 to 100 us each. While all appenders
 * wait for it and the program has nothing else to do, its thread waits in the kernel anyway, so the
 * write itself may be made there. The price: nothing else runs during the write. So it is made in
 * place only while
 * - the storage has no other operation in flight, and lets the thread wait (`isIdle`),
 * - other work took at most 5 % of the recent time: after every 1 to 10 ms there is a pause, in
 *   which others can run, and what it takes beyond the usual is their work,
 * - the device's p99 is below 1 ms: at most one of the last 128 writes took longer, and at least 32
 *   are known.
 *
 * The latency of a write by the engine is that of the device and of two wake-ups. Where wake-ups
 * are slow now and then, it says too little of the device. If at least half of those writes are
 * fast, one of eight is tried in place, and 32 of these tell.
 *
 * A device that becomes slow is noticed after one write. After that, 32 writes by the engine come
 * first, and trials become rarer each time. A device that hangs blocks the thread for one write.
 */
export class InPlacePolicy {
  readonly #storage: InPlaceStorage;
  readonly #byEngine = new Latencies();
  readonly #inPlace = new Latencies();
  /** Writes by the engine since the last one in place. */
  #sinceTrial = 0;
  #trialGap = LEAST_TRIAL_GAP;
  /** Whether writes in place were slow, so that only trials tell. */
  #needsTrials = false;
  /** The usual duration of a pause, about its lower quartile; 0 before the first. */
  #pauseMicros = 0;
  #pauses = 0;
  #pausedAt = 0;
  /** The share of the recent time that other work took. */
  #load = 0;

  constructor(storage: InPlaceStorage) {
    this.#storage = storage;
  }

  /** Whether the next durable flush may be written in place. */
  get allows(): boolean {
    if (this.#load > MAX_LOAD || !this.#storage.isIdle()) return false;
    if (!this.#byEngine.areMostlyFast) return false;
    if (this.#inPlace.areFast) return true;
    if (this.#byEngine.areFast && !this.#needsTrials) return true;
    return this.#sinceTrial >= this.#trialGap;
  }

  /** Notes how long a durable write took during which nothing else was in flight. */
  written(micros: number, wasInPlace: boolean): void {
    if (!wasInPlace) {
      this.#byEngine.note(micros);
      this.#sinceTrial++;
      return;
    }
    this.#sinceTrial = 0;
    this.#inPlace.note(micros);
    const areFast = this.#inPlace.areFast;
    if (areFast) {
      this.#needsTrials = false;
      this.#trialGap = LEAST_TRIAL_GAP;
    }
    if (micros <= MAX_MICROS) return;
    this.#byEngine.reset();
    if (areFast) return;
    this.#inPlace.reset();
    this.#needsTrials = true;
    this.#trialGap = Math.min(2 * this.#trialGap, MOST_TRIAL_GAP);
  }

  /** Whether writes have followed each other for as long as others can wait. */
  get isPauseDue(): boolean {
    const { least, most } = STRETCH_MICROS;
    const wanted = this.#pauseMicros / PAUSE_SHARE;
    const stretch = Math.min(Math.max(wanted, least), most);
    return this.#storage.now() - this.#pausedAt >= stretch;
  }

  /** Notes a pause, in which others could run. */
  paused(micros: number): void {
    const usual = this.#pauseMicros;
    const now = this.#storage.now();
    const totalMicros = Math.max(now - this.#pausedAt, 1);
    this.#pausedAt = now;
    if (this.#pauses++ < FIRST_PAUSES) {
      this.#pauseMicros = usual === 0 ? micros : Math.min(usual, micros);
    } else {
      // A quarter of the pauses is shorter where both directions balance.
      this.#pauseMicros += USUAL_STEP * usual * (micros > usual ? 1 : -3);
    }
    const otherMicros = Math.max(0, micros - usual - JITTER_MICROS);
    const other = usual === 0 ? 0 : Math.min(1, otherMicros / totalMicros);
    this.#load += LOAD_WEIGHT * (other - this.#load);
  }
}
