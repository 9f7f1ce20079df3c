import type { OperationKind } from "./operation.ts";

/** The weight of a new latency in the average. */
const WEIGHT = 1 / 8;
/**
 * The shortest wait that pays: below it the timer costs as much. Also the average latency of a
 * class before anything was measured.
 */
const LEAST_MICROS = 100;
/**
 * A completion that is further away is left to the reaper: waiting would delay the program.
 */
const MOST_MICROS = 500;
/** A wait lasts up to this many times the average latency. */
const FACTOR = 3;

/**
 * Operations of a class take about equally long: 0 for reads, 1 for writes, 2 for syncs and changes
 * of size.
 */
const CLASSES: Readonly<Record<OperationKind["counter"], number>> = {
  reads: 0,
  writes: 1,
  syncs: 2,
  resizes: 2,
};

/**
 * Estimates from the latencies of the operations in flight how long it pays to wait for the next
 * completion on the program's thread.
 *
 * The reaper costs two wake-ups of threads. A wait in the kernel costs nothing if it is longer than
 * the operation takes; a wait that ends too early has the costs of both. So a wait lasts up to
 * three times the average latency, and operations of more than 500 us are left to the reaper at
 * once. `bench/README.md` has the measurements.
 */
export class WaitBudget {
  /** The average latency by class, in microseconds. */
  readonly #latencies = new Float64Array(3).fill(LEAST_MICROS);
  /** Operations in flight by class. */
  readonly #counts = new Uint32Array(3);

  /** Whether only reads are in flight. */
  get hasOnlyReads(): boolean {
    return this.#counts[1]! + this.#counts[2]! === 0;
  }

  /** Notes that an operation begins. */
  begin(kind: OperationKind): void {
    this.#counts[CLASSES[kind.counter]]!++;
  }

  /** Notes that an operation is over, and how long it took. */
  end(kind: OperationKind, latencyMicros: number): void {
    const which = CLASSES[kind.counter];
    this.#counts[which]!--;
    this.#latencies[which]! += (latencyMicros - this.#latencies[which]!) *
      WEIGHT;
  }

  /** Returns for how many microseconds to wait for `min` completions; 0 for not at all. */
  micros(min: number): number {
    let soonest = Infinity;
    for (let which = 0; which < this.#counts.length; which++) {
      const count = this.#counts[which]!;
      // Many in flight complete one after the other, so the next one comes sooner than the latency.
      if (count > 0) {
        soonest = Math.min(soonest, this.#latencies[which]! / count);
      }
    }
    const expected = soonest * min;
    if (expected > MOST_MICROS) return 0;
    return Math.max(LEAST_MICROS, FACTOR * expected);
  }
}
