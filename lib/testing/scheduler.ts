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
  complete?(): void;
  /**
   * Tells whoever waits for it, after completing: in a turn of its own, or within a call that
   * blocks until it is over.
   */
  settle(): void;
  /** The disk crashed before it completed. */
  cancel?(): void;
}

/**
 * Completes operations in later turns of the event loop, one a turn, in an order that the seed
 * decides.
 *
 * A turn comes when everything that could run has run. If all that is left waits for its time, the
 * clock jumps to the earliest: nothing takes real time.
 */
export class Scheduler {
  readonly #random: SeededRandom;
  readonly #clock: SimulatedClock;
  readonly #inFlight: Set<InFlight> = new Set();
  /** Timers: they wait for the clock and do not move it. */
  readonly #timers: Set<InFlight> = new Set();
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
    clock.onAdvance = () => this.#callTurnIfDue();
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

  /** Begins a timer, which is over once the clock has come that far for other reasons. */
  beginTimer(timer: InFlight): void {
    this.#timers.add(timer);
    this.#callTurnIfDue();
  }

  /** Takes an operation or a timer out that nobody waits for any more. */
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

  /** Whether no operation of the disk is in flight, or completed with nobody told. */
  get isIdle(): boolean {
    return ![...this.#inFlight, ...this.#completed].some(({ number }) =>
      number !== undefined
    );
  }

  /**
   * Completes all operations of an owner, and tells everybody that waits for them; what that begins
   * stays in flight.
   */
  settleOwn(owner: unknown): void {
    for (;;) {
      const own = this.inFlight.filter((each) => each.owner === owner);
      if (own.length === 0) break;
      this.#complete(own[this.#random.below(own.length)]!);
    }
    for (const operation of [...this.#completed]) {
      // Telling one may settle the others.
      const isLeft = operation.owner === owner &&
        this.#completed.delete(operation);
      if (isLeft) operation.settle();
    }
  }

  /** The disk crashed: cancels everything. */
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

  /** The timer that is over by now and was due before all others; of several, the oldest. */
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

  /** What completes without being told to. */
  get #ready(): readonly InFlight[] {
    const { inFlight } = this;
    return this.#manual ? inFlight.filter(({ parks }) => !parks) : inFlight;
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
