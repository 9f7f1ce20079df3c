/** How long the thread waits between two turns of the event loop if nothing else needs it. */
const LONE_MICROS = 500;
/** The same shortly after other work needed it. */
const SHARED_MICROS = 100;
/** A turn of the event loop takes 2 to 5 us; a longer one than this had other work in it. */
const QUIET_MICROS = 30;
/**
 * The share of the time that other work may take without an effect: garbage collection, interrupts
 * and other processes look like work.
 */
const SHARE = 0.04;
/** Other work above that share is summed up: from this many microseconds, waits are shorter. */
const SOME_MICROS = 150;
/** From this many microseconds, there are no waits. */
const MANY_MICROS = 600;
/** After this many short turns of the event loop, the next one is expected to be short, too. */
const SHORT_TURNS = 8;
/**
 * The time without waits before the next try. It doubles each time that the first try finds the
 * loop busy again.
 */
const BUSY_MS = { first: 20, last: 640 } as const;

/**
 * Estimates how busy the event loop is with work other than our completions, and from that how long
 * the thread may block in the kernel.
 *
 * A wait saves the reaper's wake-up, but delays all other work by as much, at each turn of the
 * event loop. `bench/README.md` has the measurements.
 */
export class EventLoopLoad {
  /**
   * When the engine, or code after a completion, last had the thread, in milliseconds; infinity if
   * unknown.
   */
  #ownUntil = Infinity;
  /** Other work above its share, as a leaky bucket: microseconds at `#levelAt`. */
  #level = 0;
  #levelAt = 0;
  #busyUntil = 0;
  #busyMs: number = BUSY_MS.first;
  /** Number of short turns in a row, whatever ran in them. */
  #shortTurns = 0;

  /** Attributes the time until `now` to the engine. */
  own(now: number): void {
    this.#ownUntil = now;
  }

  /** Attributes the time from now to the engine, with an unknown end. */
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

  /** Whether turns of the event loop are short, including the code after completions. */
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
    // If the loop stays busy, the next turn shows it.
    this.#level = MANY_MICROS;
  }

  #levelOf(now: number): number {
    const passedMicros = Math.max(0, now - this.#levelAt) * 1000;
    return Math.max(0, this.#level - SHARE * passedMicros);
  }
}
