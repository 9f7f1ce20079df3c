import type { SeededRandom } from "./random.ts";
import type { SimulatedClock } from "./simulated_clock.ts";

/** An operation that was begun and is not over. */
export interface InFlight {
  /** When it can complete at the earliest: elapsed time of the disk's clock. */
  readonly dueMicros: number;
  /** What it belongs to; operations of one owner can be waited for. */
  readonly owner: unknown;
  /** Whether it waits for the test in manual mode. */
  readonly parks: boolean;
  /** The operation's number, if it is one of the disk. */
  readonly number?: number;
  /** Carries it out, at the moment of completion; never throws. */
  complete(): void;
  /** Tells whoever waits for it; called in a turn of its own, after completing. */
  settle(): void;
  /** The disk crashed before it completed. */
  cancel(): void;
}

/**
 * Completes operations in later turns of the event loop, one a turn, in an order that the seed decides.
 *
 * A turn comes when everything that could run has run. If all that is left waits for its time, the clock jumps to the earliest: nothing takes real time.
 */
export class Scheduler {
  readonly #random: SeededRandom;
  readonly #clock: SimulatedClock;
  readonly #inFlight: Set<InFlight> = new Set();
  /** Completed, but nobody was told yet. */
  readonly #completed: Set<InFlight> = new Set();
  readonly #manual: boolean;
  #turnComes = false;

  /**
   * Makes one with nothing in flight.
   *
   * @param manual Whether operations that park are completed by the test only.
   */
  constructor(random: SeededRandom, clock: SimulatedClock, manual: boolean) {
    this.#random = random;
    this.#clock = clock;
    this.#manual = manual;
  }

  /** What was begun and has not completed, in the order of beginning. */
  get inFlight(): readonly InFlight[] {
    return [...this.#inFlight];
  }

  /** Begins an operation. */
  begin(operation: InFlight): void {
    this.#inFlight.add(operation);
    this.#callTurn();
  }

  /** Takes an operation out that nobody waits for any more. */
  withdraw(operation: InFlight): void {
    this.#inFlight.delete(operation);
  }

  /** Completes an operation now; who waits for it is told in a later turn. Answers `false` if there is none. */
  completeNumber(number: number): boolean {
    const found = this.inFlight.find((each) => each.number === number);
    if (found !== undefined) this.#complete(found);
    this.#callTurn();
    return found !== undefined;
  }

  /** Completes all operations of an owner at once; who waits for them is told in later turns. */
  completeOwn(owner: unknown): void {
    for (;;) {
      const own = this.inFlight.filter((each) => each.owner === owner);
      if (own.length === 0) return;
      this.#complete(own[this.#random.below(own.length)]!);
    }
  }

  /** The disk crashed: cancels everything. */
  cancelAll(): void {
    const operations = this.inFlight;
    this.#inFlight.clear();
    for (const operation of operations) {
      operation.cancel();
      this.#completed.add(operation);
    }
    if (operations.length > 0) this.#callTurn();
  }

  #callTurn(): void {
    if (this.#turnComes) return;
    this.#turnComes = true;
    setImmediate(() => this.#turn());
  }

  #turn(): void {
    this.#turnComes = false;
    if (this.#completed.size === 0) this.#completeOne();
    for (const operation of this.#completed) {
      this.#completed.delete(operation);
      operation.settle();
      break;
    }
    if (this.#ready.length + this.#completed.size > 0) this.#callTurn();
  }

  /** What completes without being told to. */
  get #ready(): readonly InFlight[] {
    const { inFlight } = this;
    return this.#manual ? inFlight.filter(({ parks }) => !parks) : inFlight;
  }

  #completeOne(): void {
    const inFlight = this.#ready;
    if (inFlight.length === 0) return;
    this.#clock.reach(Math.min(...inFlight.map((each) => each.dueMicros)));
    const { elapsedMicros } = this.#clock;
    const due = inFlight.filter((each) => each.dueMicros <= elapsedMicros);
    this.#complete(due[this.#random.below(due.length)]!);
  }

  #complete(operation: InFlight): void {
    this.#inFlight.delete(operation);
    this.#clock.reach(operation.dueMicros);
    operation.complete();
    this.#completed.add(operation);
  }
}
