import { checked, native } from "../native/mod.ts";

/**
 * How long one call of the reaper waits. It delays the end of a terminated worker by as much, and
 * costs a wake-up when it ends.
 */
const WAIT_MS = 1000;
/** While the reaper's call has not begun, a timer looks for completions this often. */
const LOOK_MS = 2;
/** If a call of the runtime has not begun after this time, its threads are occupied. */
const STUCK_MS = 50;

/**
 * Waits for completions on a thread of the runtime, so that the program's own thread is free.
 *
 * Other calls of the program may occupy all threads of the runtime for any time. Until the reaper's
 * call has begun, a timer looks for completions.
 */
export class Reaper {
  readonly #native = native();
  readonly #port: number;
  readonly #woken: () => void;
  readonly #look: () => boolean;
  /** How often it was asked to wait, modulo 2^31. */
  #waitCount = 0;
  #askedAt = 0;
  #isWaiting = false;
  #hasEnded = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param woken Called when the wait is over.
   * @param look Collects completions; returns whether anything is in flight after that.
   */
  constructor(
    port: number,
    woken: () => void,
    look: () => boolean,
  ) {
    this.#port = port;
    this.#woken = woken;
    this.#look = look;
  }

  /** Whether it was asked to wait and has not come back. */
  get isWaiting(): boolean {
    return this.#isWaiting;
  }

  /** Asks it to wait. Returns `false` if there are completions already. */
  start(): boolean {
    if (!this.#isWaiting) {
      const ready = this.#native.basalt_engine_arm(this.#port, 1);
      if (checked(ready, "engine_arm") > 0) return false;
      this.#isWaiting = true;
      this.#waitCount = this.#waitCount + 1 & 0x7fff_ffff;
      this.#askedAt = performance.now();
      this.#native.basalt_engine_wait(this.#port, WAIT_MS).then((status) =>
        this.#done(status)
      );
    }
    if (this.#timer === undefined) this.#lookLater();
    return true;
  }

  /**
   * Returns whether it waits and comes back soon, now that nothing is in flight. The library has
   * woken it, unless its call has not begun because the threads of the runtime are occupied.
   *
   * @param now The time, in milliseconds.
   */
  isReturning(now: number): boolean {
    if (!this.#isWaiting) return false;
    if (now - this.#askedAt > STUCK_MS && !this.#hasBegun) return false;
    if (this.#timer === undefined) this.#lookLater();
    return true;
  }

  /** Whether its call has begun to wait. */
  get #hasBegun(): boolean {
    return this.#native.basalt_engine_waits(this.#port) === this.#waitCount;
  }

  /** Ends it: the wait in flight is ignored. */
  end(): void {
    this.#hasEnded = true;
    clearTimeout(this.#timer);
  }

  #done(status: number): void {
    if (this.#hasEnded) return;
    this.#isWaiting = false;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#native.basalt_engine_arm(this.#port, 0);
    checked(status, "engine_wait");
    this.#woken();
  }

  #lookLater(): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#hasBegun) return;
      const isInFlight = this.#look();
      if (this.#timer === undefined && isInFlight) this.#lookLater();
    }, LOOK_MS);
  }
}
