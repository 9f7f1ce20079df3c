/** Number of latest durable writes that count, for each way to write. */
const WINDOW = 128;
/**
 * Nothing is written in place before this many writes: the first writes of a log are not typical.
 */
const LEAST_SAMPLES = 32;
/** Upper bound of the device's p99, in microseconds. */
const MAX_MICROS = 1000;
/** One of this many writes is a trial in place, where the engine's latencies do not suffice. */
const LEAST_TRIAL_GAP = 8;
/** Upper bound of that number, after slow trials. */
const MOST_TRIAL_GAP = 1024;
/** Time between two pauses, in microseconds; longer where pauses take long. */
const STRETCH_MICROS = { least: 1000, most: 10_000 } as const;
/** Share of the time that pauses may take. */
const PAUSE_SHARE = 0.035;
/** Share of the time that other work on the thread may take. */
const MAX_LOAD = 0.05;
/** A pause without other work takes at most this much longer than usual, in microseconds. */
const JITTER_MICROS = 30;
/** Weight of a pause in the load. */
const LOAD_WEIGHT = 1 / 32;
/** The estimate of the usual pause starts with the shortest of this many. */
const FIRST_PAUSES = 64;
/** How far a pause moves that estimate, as a share of it. */
const USUAL_STEP = 1 / 512;

/** What an {@linkcode InPlacePolicy} asks the storage. */
export interface InPlaceStorage {
  /** Microseconds since the Unix epoch. */
  now(): number;
  /** Whether no operation is in flight, and the program's thread may wait. */
  isIdle(): boolean;
}

/** The latest latencies of one way to write. */
class Latencies {
  readonly #micros = new Float64Array(WINDOW);
  /** Number of latencies since the last reset. */
  count = 0;
  /** Number of latencies of the window above the bound. */
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

  /** Whether enough latencies are known, and their p99 is below the bound. */
  get areFast(): boolean {
    return this.count >= LEAST_SAMPLES && this.slow <= 1;
  }

  /** Whether enough latencies are known, and at least half are below the bound. */
  get areMostlyFast(): boolean {
    return this.count >= LEAST_SAMPLES &&
      2 * this.slow <= Math.min(this.count, WINDOW);
  }
}

/**
 * Decides whether a durable flush may be written on the program's own thread.
 *
 * Handing a write to a ring or a thread costs two wake-ups, 5 to 100 us each. While all appenders
 * wait for it and the program has nothing else to do, the thread waits in the kernel anyway. So the
 * thread may as well write. The price is that nothing else runs during the write. Therefore a flush
 * is written in place only while
 * - the storage has no other operation in flight, and lets the thread wait (`isIdle`),
 * - other work took at most 5 % of the recent time: every 1 to 10 ms there is a pause, in which
 *   other work can run, and its duration above the usual one counts as work,
 * - the device's p99 is below 1 ms: at most one of the last 128 writes took longer, and at least 32
 *   are known.
 *
 * The latency of a write by the engine includes two wake-ups. Where some wake-ups are slow, it says
 * too little about the device. If at least half of those writes are fast, one of eight is a trial
 * in place, and 32 trials decide.
 *
 * One slow write in place is enough to stop. After it come 32 writes by the engine, and trials
 * become rarer each time. A device that hangs blocks the thread for one write.
 */
export class InPlacePolicy {
  readonly #storage: InPlaceStorage;
  readonly #byEngine = new Latencies();
  readonly #inPlace = new Latencies();
  /** Writes by the engine since the last one in place. */
  #sinceTrial = 0;
  #trialGap = LEAST_TRIAL_GAP;
  /** Whether writes in place were slow. Then only trials count. */
  #needsTrials = false;
  /**
   * Usual duration of a pause, about the lower quartile, in microseconds; 0 before the first pause.
   */
  #pauseMicros = 0;
  #pauses = 0;
  #pausedAt = 0;
  /** Share of the recent time that other work took. */
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

  /** Notes the duration of a durable write that was alone in flight. */
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

  /** Whether it is time for a pause. */
  get isPauseDue(): boolean {
    const { least, most } = STRETCH_MICROS;
    const wanted = this.#pauseMicros / PAUSE_SHARE;
    const stretch = Math.min(Math.max(wanted, least), most);
    return this.#storage.now() - this.#pausedAt >= stretch;
  }

  /** Notes the duration of a pause, in which other work could run. */
  paused(micros: number): void {
    const usual = this.#pauseMicros;
    const now = this.#storage.now();
    const totalMicros = Math.max(now - this.#pausedAt, 1);
    this.#pausedAt = now;
    if (this.#pauses++ < FIRST_PAUSES) {
      this.#pauseMicros = usual === 0 ? micros : Math.min(usual, micros);
    } else {
      // Both directions balance where a quarter of the pauses is shorter.
      this.#pauseMicros += USUAL_STEP * usual * (micros > usual ? 1 : -3);
    }
    const otherMicros = Math.max(0, micros - usual - JITTER_MICROS);
    const other = usual === 0 ? 0 : Math.min(1, otherMicros / totalMicros);
    this.#load += LOAD_WEIGHT * (other - this.#load);
  }
}
