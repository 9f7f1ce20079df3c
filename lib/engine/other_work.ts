/** For how long the thread waits without a turn of the event loop while nobody else needs it: what comes all the same is late by so much. */
const LONE_MICROS = 500;
/** And when somebody else needed it a moment ago. */
const SHARED_MICROS = 100;
/** A turn of the event loop takes 2 to 5 us; one that took longer than this had other work in it. */
const QUIET_MICROS = 30;
/**
 * The share of the time that other work may have and still pass for an accident: the collector of garbage, an interrupt or another process look the same.
 */
const SHARE = 0.04;
/** What is above that share is summed up, in microseconds: from so much on the waits are shorter, */
const SOME_MICROS = 150;
/** and from so much on there are none. */
const MANY_MICROS = 600;
/** After so many short turns of the event loop the next one is taken to be short, too. */
const SHORT_TURNS = 8;
/**
 * For how long nobody waits then, before it is tried again; twice as long each time that the first try shows the same.
 */
const BUSY_MS = { first: 20, last: 640 } as const;

/**
 * What the program does on its thread beside what completions are the cause of, and so for how long that thread may wait in the kernel.
 *
 * A bounded wait saves the reaper's wake-up, 30 us an operation, but everything else is late by it, at each of the turns of the event loop that it takes: a
 * server needs five or so for an answer. Asked 500 times a second beside a log under full load it answered with a p99 of 8.6 ms where the thread waited 100 us
 * at a time, of 4.4 with what is here, of 3.4 where the reaper alone waits, and of 2.9 beside the same load through `Deno.FsFile`. Limits of
 * 400 and 200 us above 3 and 2 % gave 3.8 and 3.2 ms, but took one appender that is alone for a busy program now and then: up to 121 us an append, not 93.
 */
export class OtherWork {
  /** When the engine, or what continues after a completion, last had the thread, in milliseconds; infinity if that is not known. */
  #ownUntil = Infinity;
  /** Other work above its share, as a bucket that leaks: so many microseconds at `#levelAt`. */
  #level = 0;
  #levelAt = 0;
  #busyUntil = 0;
  #busyMs: number = BUSY_MS.first;
  /** Turns in a row that were short, whatever was done in them. */
  #shortTurns = 0;

  /** What happened until `now` is the engine's doing. */
  own(now: number): void {
    this.#ownUntil = now;
  }

  /** Something goes on that the engine is the cause of: for how long is not known. */
  continues(): void {
    this.#ownUntil = Infinity;
  }

  /** A turn of the event loop ends; the engine's last call was at `calledAt`. */
  turn(now: number, calledAt: number): void {
    const short = (now - calledAt) * 1000 < QUIET_MICROS;
    this.#shortTurns = short ? this.#shortTurns + 1 : 0;
    const otherMicros = (now - this.#ownUntil) * 1000;
    if (otherMicros > QUIET_MICROS) this.#add(now, otherMicros);
    this.#ownUntil = Infinity;
  }

  /** For how many microseconds the thread may wait between two turns of the event loop; 0 for not at all. */
  stretchMicros(now: number): number {
    if (now < this.#busyUntil) return 0;
    return this.#levelOf(now) > SOME_MICROS ? SHARED_MICROS : LONE_MICROS;
  }

  /** Whether turns of the event loop are short, what continues after completions included. */
  get shortTurns(): boolean {
    return this.#shortTurns >= SHORT_TURNS;
  }

  #add(now: number, micros: number): void {
    if (now < this.#busyUntil) return;
    this.#level = this.#levelOf(now) + micros;
    this.#levelAt = now;
    if (this.#level <= MANY_MICROS) return;
    const again = now - this.#busyUntil < BUSY_MS.first;
    this.#busyMs = again
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
