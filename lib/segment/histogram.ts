import type { RecordableHistogram } from "node:perf_hooks";
import { nodeModule } from "../native/mod.ts";

/** What was recorded, as it was at one moment; all zeros if nothing was. */
export interface HistogramSnapshot {
  /** How many values. */
  count: number;
  /** The least of them. */
  min: number;
  /** Their mean. */
  mean: number;
  /** Half of them are not above this; of this and the next ones the three leading digits are exact. */
  p50: number;
  /** 90 % of them are not above this. */
  p90: number;
  /** 99 % of them are not above this. */
  p99: number;
  /** 99.9 % of them are not above this. */
  p999: number;
  /** The greatest of them. */
  max: number;
}

const NOTHING: HistogramSnapshot = {
  count: 0,
  min: 0,
  mean: 0,
  p50: 0,
  p90: 0,
  p99: 0,
  p999: 0,
  max: 0,
};

/** Counts whole numbers of 1 and more by their size. Recording one takes 65 ns. */
export class Histogram {
  /** Made with the first value: it takes 360 KiB that the collector of garbage does not see, and a log that is only read needs none. */
  #histogram: RecordableHistogram | undefined;

  /** Counts a value; what is below 1 as 1. */
  record(value: number): void {
    this.#histogram ??= nodeModule("node:perf_hooks").createHistogram();
    this.#histogram.record(Math.max(1, Math.round(value)));
  }

  /** What was recorded so far. */
  snapshot(): HistogramSnapshot {
    const histogram = this.#histogram;
    if (histogram === undefined) return { ...NOTHING };
    const { count, min, mean, max } = histogram;
    const at = (percent: number): number => histogram.percentile(percent);
    return {
      count,
      min,
      mean,
      p50: at(50),
      p90: at(90),
      p99: at(99),
      p999: at(99.9),
      max,
    };
  }
}
