/** The result of a run of a side, and the figures derived from it. */
import { build, type Histogram } from "npm:hdr-histogram-js@3.0.1";
import process from "node:process";

/** The percentiles of every latency report. fio accepts up to twenty. */
export const PERCENTILES = [
  1,
  5,
  10,
  25,
  50,
  75,
  90,
  95,
  99,
  99.5,
  99.9,
  99.95,
  99.99,
  100,
] as const;

/** Latencies in microseconds, in the order of {@linkcode PERCENTILES}. */
export type Percentiles = readonly number[];

/** The interval of a point of a throughput curve, in milliseconds. */
export const BUCKET_MS = 100;

/** One run of one side. */
export interface Measured {
  /** From the start of the first operation to the end of the last one. */
  seconds: number;
  operations: number;
  bytes: number;
  /** User and system time of all threads. */
  cpuSeconds?: number;
  /** Latencies of the operations, pooled over all actors. */
  percentiles?: Percentiles;
  /** Bytes completed in each {@linkcode BUCKET_MS}. */
  series?: readonly number[];
}

/**
 * A histogram of latencies of any number of actors, exact to three digits, from a nanosecond to ten
 * minutes.
 */
export class Latencies {
  readonly #nanoseconds: Histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: 600e9,
    numberOfSignificantValueDigits: 3,
  });

  /** Records a latency. */
  record(ms: number): void {
    this.#nanoseconds.recordValue(Math.max(0, Math.round(ms * 1e6)));
  }

  /** Number of recorded latencies. */
  get count(): number {
    return this.#nanoseconds.totalCount;
  }

  /** The percentiles, in microseconds. */
  percentiles(): Percentiles {
    return PERCENTILES.map((percentile) =>
      this.#nanoseconds.getValueAtPercentile(percentile) / 1e3
    );
  }
}

/** A throughput curve: bytes by time. */
export class Series {
  readonly #start = performance.now();
  readonly #bytes: number[] = [];

  /** Counts bytes that were completed now. */
  add(bytes: number, now: number = performance.now()): void {
    const bucket = Math.floor((now - this.#start) / BUCKET_MS);
    while (this.#bytes.length <= bucket) this.#bytes.push(0);
    this.#bytes[bucket]! += bytes;
  }

  /** The complete buckets, without the last one. */
  get values(): readonly number[] {
    return this.#bytes.slice(0, -1);
  }
}

/**
 * Measures elapsed time and processor time of this process from a start, including all its threads,
 * those of the library and of the ring.
 */
export class Stopwatch {
  #cpu = process.cpuUsage();
  #start = performance.now();

  /** The time since the start, in milliseconds. */
  get ms(): number {
    return performance.now() - this.#start;
  }

  /** The elapsed time and processor time. */
  stop(): { seconds: number; cpuSeconds: number } {
    const seconds = this.ms / 1e3;
    const { user, system } = process.cpuUsage(this.#cpu);
    return { seconds, cpuSeconds: (user + system) / 1e6 };
  }
}

/** A figure of a run, and how its values are formatted. */
export interface Metric {
  of(run: Measured): number;
  format(value: number): string;
}

function percentile(wanted: (typeof PERCENTILES)[number]): Metric {
  const at = PERCENTILES.indexOf(wanted);
  return {
    of(run) {
      const value = run.percentiles?.[at];
      if (value === undefined) throw new Error("No latencies in this run");
      return value;
    },
    format: formatMicros,
  };
}

function cpu(run: Measured): number {
  if (run.cpuSeconds === undefined) throw new Error("No CPU time in this run");
  return run.cpuSeconds;
}

/** Operations per elapsed time. */
export const RATE: Metric = {
  of: (run) => run.operations / run.seconds,
  format: (value) => `${formatCount(value)}/s`,
};

/** Bytes per elapsed time. */
export const THROUGHPUT: Metric = {
  of: (run) => run.bytes / run.seconds,
  format: (value) => `${(value / 1e9).toPrecision(3)} GB/s`,
};

/** Elapsed time per operation, shown with operations per second. */
export const TIME: Metric = {
  of: (run) => run.seconds / run.operations * 1e6,
  format: (value) => `${formatMicros(value)}, ${formatCount(1e6 / value)}/s`,
};

/** Processor time per operation. */
export const CPU_PER_OPERATION: Metric = {
  of: (run) => cpu(run) / run.operations * 1e6,
  format: formatMicros,
};

/** Processor time per 10^9 bytes. */
export const CPU_PER_GB: Metric = {
  of: (run) => cpu(run) / (run.bytes / 1e9) * 1e3,
  format: (value) => `${value.toPrecision(3)} ms/GB`,
};

/** The median latency. */
export const P50: Metric = percentile(50);

/** The latency that one operation in a hundred exceeds. */
export const P99: Metric = percentile(99);

/** Formats microseconds with three digits, in a suitable unit. */
export function formatMicros(micros: number): string {
  const [value, unit] = micros < 1
    ? [micros * 1e3, "ns"]
    : micros < 1e3
    ? [micros, "us"]
    : [micros / 1e3, "ms"];
  return `${Number(value.toPrecision(3))} ${unit}`;
}

/** Formats a count with three digits and a decimal prefix. */
export function formatCount(count: number): string {
  if (count >= 1e6) return `${(count / 1e6).toPrecision(3)} M`;
  if (count >= 1e3) return `${(count / 1e3).toPrecision(3)} k`;
  return count.toPrecision(3);
}
