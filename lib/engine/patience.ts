import { OPERATION } from "./operation.ts";

/** Before anything was measured, by class. */
const FIRST_MICROS = [100, 200, 2000] as const;
/** What a new latency counts for in the average. */
const WEIGHT = 1 / 8;
/** The shortest wait that pays: below it the timer costs as much. */
const LEAST_MICROS = 100;
/** A completion that is further away than this is the reaper's: waiting would only hold up the program. */
const MOST_MICROS = 500;
/** How many times the usual time a wait goes on. */
const FACTOR = 3;

/** The class of an operation: those of one class take about as long. 0 for reads, 1 for writes, 2 for syncs and changes of size. */
export function classOf(code: number): number {
  return code === OPERATION.READ ? 0 : code === OPERATION.WRITE ? 1 : 2;
}

/**
 * How long it pays to wait for the next completion in the kernel, on the program's thread, before the reaper is asked to.
 *
 * The reaper costs two wake-ups of threads: about 30 us for an operation that takes 60. A bounded wait costs nothing (0.9 us at depth 1), but only while it
 * is longer than the operation usually takes. Measured on durable writes of 127 us, against a native loop: 100 us of waiting gave the worst of both (p99 1.92 of
 * the loop, the reaper alone 1.84), 250 us p50 1.04 and p99 1.02. So the wait follows the average latency of what is in flight, three times as long, for the
 * slowest 1 % of those writes took 228 us; and what takes longer than 500 us (a sync that writes a journal) is left to the reaper at once.
 */
export class Patience {
  /** The average latency by class. */
  readonly #latencies = Float64Array.from(FIRST_MICROS);
  /** Operations in flight by class. */
  readonly #counts = new Uint32Array(FIRST_MICROS.length);

  /** Whether only reads are in flight. */
  get onlyReads(): boolean {
    return this.#counts[1]! + this.#counts[2]! === 0;
  }

  /** An operation of a class begins. */
  begin(kind: number): void {
    this.#counts[kind]!++;
  }

  /** An operation of a class is over after so many microseconds. */
  end(kind: number, latencyMicros: number): void {
    this.#counts[kind]!--;
    this.#latencies[kind]! += (latencyMicros - this.#latencies[kind]!) * WEIGHT;
  }

  /** Microseconds to wait for `min` completions before the reaper is asked; 0 for not at all. */
  micros(min: number): number {
    let soonest = Infinity;
    for (let kind = 0; kind < this.#counts.length; kind++) {
      const count = this.#counts[kind]!;
      // Many in flight complete one after the other: the next one is not as far away as the latency of each.
      if (count > 0) {
        soonest = Math.min(soonest, this.#latencies[kind]! / count);
      }
    }
    const expected = soonest * min;
    if (expected > MOST_MICROS) return 0;
    return Math.max(LEAST_MICROS, FACTOR * expected);
  }
}
