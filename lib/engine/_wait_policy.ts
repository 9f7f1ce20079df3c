import { EventLoopLoad } from "./_event_loop_load.ts";
import type { OperationKind } from "./operation.ts";
import type { EngineSettings } from "./options.ts";
import { WaitBudget } from "./_wait_budget.ts";

/**
 * From this many operations in flight, a wait is for a third of them instead of for one, so that
 * the program takes fewer turns and the device never runs dry.
 */
const MANY = 6;

/**
 * How to wait for the operations in flight:
 *
 * - `"wait"`: call the library, and let the thread wait in the kernel for completions,
 * - `"poll"`: call the library without waiting,
 * - `"reap"`: poll, and leave the waiting to the reaper.
 */
export type Decision = "wait" | "poll" | "reap";

/** The facts that a decision depends on. */
export interface Situation {
  /** Operations that go to the library with the next call. */
  readonly queuedCount: number;
  /** Operations that are with the library or queued. */
  readonly inFlightCount: number;
  /** Operations that are over, and their callers were not told yet. */
  readonly overCount: number;
}

/**
 * Decides how the program learns of completions, from the load of the event loop, the latencies of
 * the operations and the options. The engine notes every event here; a ring is not needed.
 *
 * All times are those of `performance.now()`, in milliseconds.
 */
export class WaitPolicy {
  /** After a decision to wait: for how many completions. */
  min = 1;
  /** After a decision to wait: for how many microseconds at most. */
  waitMicros = 0;

  readonly #mayWait: boolean;
  readonly #budget = new WaitBudget();
  readonly #load = new EventLoopLoad();
  /** When the library was last called. */
  #calledAt = 0;
  /** When an operation last began or completed. */
  #movedAt = 0;
  /** When the last turn of the event loop began. */
  #turnedAt = 0;
  /** How many callers were told together the last time: as many may start the next operations. */
  #toldCount = 0;
  /** Whether callers were told since the turn began. */
  #hasTold = false;

  constructor({ wait }: Pick<EngineSettings, "wait">) {
    this.#mayWait = wait === "bounded";
  }

  /** Whether the program's thread may wait at all. */
  get mayWait(): boolean {
    return this.#mayWait;
  }

  /** When the library was last called. */
  get calledAt(): number {
    return this.#calledAt;
  }

  /** Notes that an operation was started. */
  started(kind: OperationKind): void {
    this.#budget.begin(kind);
  }

  /** Notes that started operations are given to the library. */
  submitted(now: number): void {
    this.#movedAt = this.#calledAt = now;
  }

  /** Notes that an operation is over, and how long it took. */
  ended(kind: OperationKind, latencyMicros: number): void {
    this.#budget.end(kind, latencyMicros);
  }

  /** Notes that a call of the library has returned with a number of completions. */
  returned(now: number, completionCount: number): void {
    this.#calledAt = now;
    this.#load.own(now);
    if (completionCount > 0) this.#movedAt = now;
  }

  /** Notes that callers are about to be told, and run. */
  telling(count: number): void {
    this.#toldCount = count;
    this.#hasTold = true;
    this.#load.continues();
  }

  /** Notes that all work until now was the engine's, or followed from a completion. */
  own(now: number): void {
    this.#load.own(now);
  }

  /** Notes that the reaper came back: the wait begins now. */
  reaped(): void {
    this.#movedAt = this.#calledAt;
  }

  /** Notes that a turn of the event loop begins. */
  turned(now: number): void {
    this.#load.turn(now, this.#calledAt);
    this.#turnedAt = now;
    this.#hasTold = false;
  }

  /**
   * Decides what to do now: at the end of a turn in which operations were started (`queuedCount` is
   * not 0), or in a turn of the engine's own.
   *
   * @param isReaping Whether the reaper waits.
   */
  decide(situation: Situation, isReaping: boolean, now: number): Decision {
    const { inFlightCount } = situation;
    if (situation.queuedCount > 0) {
      if (isReaping || !this.#mayJoin(situation)) return "poll";
      const leftMicros = this.#stretchMicros(now) -
        (now - this.#turnedAt) * 1000;
      return this.#wait(inFlightCount, leftMicros, 0) ? "wait" : "poll";
    }
    // The code after completions usually starts more.
    if (this.#hasTold) return "poll";
    const waitedMicros = (now - this.#movedAt) * 1000;
    const stretchMicros = this.#stretchMicros(now);
    return this.#wait(inFlightCount, stretchMicros, waitedMicros)
      ? "wait"
      : "reap";
  }

  /**
   * Whether the call that submits operations may wait for them: no more will be started, and the
   * thread has no other work.
   */
  #mayJoin(situation: Situation): boolean {
    const { inFlightCount, overCount, queuedCount } = situation;
    if (overCount > 0 || queuedCount < this.#toldCount) return false;
    // After a write, others may gather in the next turn, as the group of a log does. That group
    // would have to wait for operations started before, such as preparing space ahead.
    const isAlone = this.#toldCount === 1 && inFlightCount === 1;
    return isAlone && this.#load.areTurnsShort || this.#budget.hasOnlyReads;
  }

  #stretchMicros(now: number): number {
    return this.#mayWait ? this.#load.stretchMicros(now) : 0;
  }

  /** Sets how long to wait; returns whether that is at all. */
  #wait(
    inFlightCount: number,
    stretchMicros: number,
    waitedMicros: number,
  ): boolean {
    if (stretchMicros <= 0) return false;
    this.min = inFlightCount < MANY ? 1 : inFlightCount / 3 | 0;
    const leftMicros = this.#budget.micros(this.min) - waitedMicros;
    this.waitMicros = Math.ceil(Math.min(stretchMicros, leftMicros));
    return this.waitMicros > 0;
  }
}
