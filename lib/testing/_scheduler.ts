import type { SeededRandom } from "./random.ts";
import type { SimulatedClock } from "./_simulated_clock.ts";

/** An operation in flight, a delay or a timer. */
export interface InFlight {
  /** Earliest time of completion: elapsed time of the disk's clock. */
  readonly dueMicros: number;
  /** The owner, whose operations can be completed together. */
  readonly owner?: unknown;
  /** The number, if it is an operation of the disk, which waits for the test in manual mode. */
  readonly number?: number;
  /** Does the work, at completion; never throws. */
  complete?(): void;
  /** Tells the caller, after completion: in a separate turn, or in a call that blocks. */
  settle(): void;
  /** Called instead of `complete` if the disk crashes. */
  cancel?(): void;
}

/**
 * Completes operations in later turns of the event loop, one a turn, in an order that the seed
 * decides.
 *
 * If all operations wait for their time, the clock jumps to the earliest: nothing takes real time.
 */
export class Scheduler {
  readonly #random: SeededRandom;
  readonly #clock: SimulatedClock;
  readonly #inFlight: Set<InFlight> = new Set();
  /** Timers wait for the clock and do not advance it. */
  readonly #timers: Set<InFlight> = new Set();
  /** Completed operations whose callers were not told yet. */
  readonly #completed: Set<InFlight> = new Set();
  readonly #manual: boolean;
  #turnComes = false;

  /**
   * Makes a scheduler with nothing in flight.
   *
   * @param manual Whether operations of the disk are completed by the test only.
   */
  constructor(random: SeededRandom, clock: SimulatedClock, manual: boolean) {
    this.#random = random;
    this.#clock = clock;
    this.#manual = manual;
    clock.onAdvance = () => this.#callTurnIfDue();
  }

  /** Operations and delays that have not completed, in the order in which they began. */
  get inFlight(): readonly InFlight[] {
    return [...this.#inFlight];
  }

  /** Begins an operation. */
  begin(operation: InFlight): void {
    this.#inFlight.add(operation);
    this.#callTurn();
  }

  /** Begins a timer, which ends once other causes have advanced the clock that far. */
  beginTimer(timer: InFlight): void {
    this.#timers.add(timer);
    this.#callTurnIfDue();
  }

  /** Removes an operation or a timer. */
  withdraw(operation: InFlight): void {
    this.#inFlight.delete(operation);
    this.#timers.delete(operation);
  }

  /**
   * Completes an operation now; its caller is told in a later turn. Returns `false` if no such
   * operation is in flight.
   */
  completeNumber(number: number): boolean {
    const found = this.inFlight.find((each) => each.number === number);
    if (found !== undefined) this.#complete(found);
    this.#callTurn();
    return found !== undefined;
  }

  /** Whether every operation of the disk has completed and its caller was told. */
  get isIdle(): boolean {
    return ![...this.#inFlight, ...this.#completed].some(({ number }) =>
      number !== undefined
    );
  }

  /** Completes all operations of an owner, and tells their callers; what these begin stays. */
  settleOwn(owner: unknown): void {
    for (;;) {
      const own = this.inFlight.filter((each) => each.owner === owner);
      if (own.length === 0) break;
      this.#complete(own[this.#random.below(own.length)]!);
    }
    for (const operation of [...this.#completed]) {
      // Telling one caller may settle the others.
      const isLeft = operation.owner === owner &&
        this.#completed.delete(operation);
      if (isLeft) operation.settle();
    }
  }

  /** Cancels everything after a crash. */
  cancelAll(): void {
    const operations = this.inFlight;
    this.#inFlight.clear();
    this.#timers.clear();
    for (const operation of operations) {
      operation.cancel?.();
      this.#completed.add(operation);
    }
    if (operations.length > 0) this.#callTurn();
  }

  #callTurnIfDue(): void {
    if (this.#dueTimer !== undefined) this.#callTurn();
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
    else this.#callTurnIfDue();
  }

  /** The timer that has ended and was due first; of several, the oldest. */
  get #dueTimer(): InFlight | undefined {
    let first: InFlight | undefined;
    for (const timer of this.#timers) {
      if (timer.dueMicros > this.#clock.elapsedMicros) continue;
      if (first === undefined || timer.dueMicros < first.dueMicros) {
        first = timer;
      }
    }
    return first;
  }

  /** Operations that complete without the test. */
  get #ready(): readonly InFlight[] {
    const { inFlight } = this;
    return this.#manual
      ? inFlight.filter(({ number }) => number === undefined)
      : inFlight;
  }

  #completeOne(): void {
    const ready = this.#ready;
    if (ready.length > 0) {
      const all = [...ready, ...this.#timers];
      this.#clock.reach(Math.min(...all.map((each) => each.dueMicros)));
    }
    const { elapsedMicros } = this.#clock;
    const due = ready.filter((each) => each.dueMicros <= elapsedMicros);
    const timer = this.#dueTimer;
    if (timer !== undefined) due.push(timer);
    if (due.length === 0) return;
    this.#complete(due[this.#random.below(due.length)]!);
  }

  #complete(operation: InFlight): void {
    this.#inFlight.delete(operation);
    this.#timers.delete(operation);
    this.#clock.reach(operation.dueMicros);
    operation.complete?.();
    this.#completed.add(operation);
  }
}
