/** How long the thread waits between two turns of the event loop while nobody else needs it. */
const LONE_MICROS = 500;
/** The same when somebody else needed it a moment ago. */
const SHARED_MICROS = 100;
/** A turn of the event loop takes 2 to 5 us; a longer one than this had other work in it. */
const QUIET_MICROS = 30;
/**
 * The share of the time that other work may take without any effect: the garbage collector, an
 * interrupt or another process look the same.
 */
const SHARE = 0.04;
/** Other work above that share is summed up: from this many microseconds on, waits are shorter. */
const SOME_MICROS = 150;
/** From this many microseconds on there are no waits. */
const MANY_MICROS = 600;
/** After this many short turns of the event loop the next one is expected to be short, too. */
const SHORT_TURNS = 8;
/**
 * The time without waits before the next try; it doubles each time that the first try shows the
 * same.
 */
const BUSY_MS = { first: 20, last: 640 } as const;

/**
 * Estimates how busy the event loop is with work other than our completions, and from that how long
 * the thread may block in the kernel.
 *
 * A wait saves the reaper's wake-up, but everything else is late by it, at each turn of the event
 * loop that it takes. `bench/README.md` has the measurements.
 */
export class EventLoopLoad {
  /**
   * When the engine, or what continues after a completion, last had the thread, in milliseconds;
   * infinity if that is not known.
   */
  #ownUntil = Infinity;
  /** Other work above its share, as a leaky bucket: microseconds at `#levelAt`. */
  #level = 0;
  #levelAt = 0;
  #busyUntil = 0;
  #busyMs: number = BUSY_MS.first;
  /** Turns in a row that were short, whatever was done in them. */
  #shortTurns = 0;

  /** Attributes what happened until `now` to the engine. */
  own(now: number): void {
    this.#ownUntil = now;
  }

  /** Attributes what follows to the engine, for an unknown time. */
  continues(): void {
    this.#ownUntil = Infinity;
  }

  /** Notes the end of a turn of the event loop; the engine's last call was at `calledAt`. */
  turn(now: number, calledAt: number): void {
    const isShort = (now - calledAt) * 1000 < QUIET_MICROS;
    this.#shortTurns = isShort ? this.#shortTurns + 1 : 0;
    const otherMicros = (now - this.#ownUntil) * 1000;
    if (otherMicros > QUIET_MICROS) this.#add(now, otherMicros);
    this.#ownUntil = Infinity;
  }

  /**
   * Returns for how many microseconds the thread may wait between two turns of the event loop; 0
   * for not at all.
   */
  stretchMicros(now: number): number {
    if (now < this.#busyUntil) return 0;
    return this.#levelOf(now) > SOME_MICROS ? SHARED_MICROS : LONE_MICROS;
  }

  /** Whether turns of the event loop are short, what continues after completions included. */
  get areTurnsShort(): boolean {
    return this.#shortTurns >= SHORT_TURNS;
  }

  #add(now: number, micros: number): void {
    if (now < this.#busyUntil) return;
    this.#level = this.#levelOf(now) + micros;
    this.#levelAt = now;
    if (this.#level <= MANY_MICROS) return;
    const isAgain = now - this.#busyUntil < BUSY_MS.first;
    this.#busyMs = isAgain
      ? Math.min(2 * this.#busyMs, BUSY_MS.last)
      : BUSY_MS.first;
    this.#busyUntil = this.#levelAt = now + this.#busyMs;
    // If it goes on, the next turn shows it.
    this.#level = MANY_MICROS;
  }

  #levelOf(now: number): number {
    const passedMicros = Math.max(0, now - this.#levelAt) * 1000;
    return Math.max(0, this.#level - SHARE * passedMicros);
  }
}
