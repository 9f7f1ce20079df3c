/** The clock of a simulated disk, in microseconds: time passes only by these methods. */
export class SimulatedClock {
  /** Time that passes at each {@linkcode SimulatedClock.now}. */
  stepMicros: number;
  /** Called after time has passed. */
  onAdvance: () => void = () => {};
  /** Time since the clock was made; never decreases. */
  #elapsedMicros = 0;
  /** The time since the Unix epoch at which the elapsed time is 0. */
  #originMicros: number;

  /** Starts a clock. */
  constructor(micros: number, stepMicros: number) {
    this.#originMicros = micros;
    this.stepMicros = stepMicros;
  }

  /** Time since the clock was made, which setting it does not change. */
  get elapsedMicros(): number {
    return this.#elapsedMicros;
  }

  /** Time since the Unix epoch. May be set, also back. */
  get micros(): number {
    return this.#originMicros + this.#elapsedMicros;
  }

  set micros(value: number) {
    this.#originMicros = value - this.#elapsedMicros;
  }

  /** Returns the time since the Unix epoch; then a step passes. */
  now(): number {
    const { micros } = this;
    if (this.stepMicros > 0) this.#pass(this.#elapsedMicros + this.stepMicros);
    return micros;
  }

  /** Returns the elapsed time that it will be after some more. */
  dueMicros(milliseconds: number): number {
    return this.#elapsedMicros + Math.round(milliseconds * 1000);
  }

  /** Lets time pass. */
  advance(milliseconds: number): void {
    this.#pass(this.dueMicros(milliseconds));
  }

  /** Lets time pass until this much has elapsed. */
  reach(elapsedMicros: number): void {
    this.#pass(Math.max(this.#elapsedMicros, elapsedMicros));
  }

  #pass(elapsedMicros: number): void {
    this.#elapsedMicros = elapsedMicros;
    this.onAdvance();
  }
}
