/** The result of a run of a side, and the figures derived from it. */
import { build, type Histogram } from "npm:hdr-histogram-js@3.0.1";
import process from "node:process";

/** The percentiles that every latency is reported at; fio takes up to twenty. */
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

/** How long a point of a throughput curve covers, in milliseconds. */
export const BUCKET_MS = 100;

/** One run of one side. */
export interface Measured {
  /** From the first operation's start to the last one's end. */
  seconds: number;
  operations: number;
  bytes: number;
  /** User and system time of all threads. */
  cpuSeconds?: number;
  /** Of each operation, pooled over all actors. */
  percentiles?: Percentiles;
  /** Bytes that were completed in each {@linkcode BUCKET_MS}. */
  series?: readonly number[];
}

/**
 * Latencies of any number of actors in one histogram, to three digits, from a nanosecond to ten
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

  /** How many were recorded. */
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

/** Bytes by time: a throughput curve. */
export class Series {
  readonly #start = performance.now();
  readonly #bytes: number[] = [];

  /** Counts bytes that were completed now. */
  add(bytes: number, now: number = performance.now()): void {
    const bucket = Math.floor((now - this.#start) / BUCKET_MS);
    while (this.#bytes.length <= bucket) this.#bytes.push(0);
    this.#bytes[bucket]! += bytes;
  }

  /** The whole buckets: the last one ends before its time. */
  get values(): readonly number[] {
    return this.#bytes.slice(0, -1);
  }
}

/**
 * Seconds and processor seconds of this process from a start: all its threads, those of the library
 * and of the ring included.
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

/** A figure of a run, and how its values are written. */
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

/** Operations by elapsed time. */
export const RATE: Metric = {
  of: (run) => run.operations / run.seconds,
  format: (value) => `${formatCount(value)}/s`,
};

/** Bytes by elapsed time. */
export const THROUGHPUT: Metric = {
  of: (run) => run.bytes / run.seconds,
  format: (value) => `${(value / 1e9).toPrecision(3)} GB/s`,
};

/** Elapsed time by operations; beside it the operations in a second. */
export const TIME: Metric = {
  of: (run) => run.seconds / run.operations * 1e6,
  format: (value) => `${formatMicros(value)}, ${formatCount(1e6 / value)}/s`,
};

/** Processor time by operations. */
export const CPU_PER_OPERATION: Metric = {
  of: (run) => cpu(run) / run.operations * 1e6,
  format: formatMicros,
};

/** Processor time by 10^9 bytes. */
export const CPU_PER_GB: Metric = {
  of: (run) => cpu(run) / (run.bytes / 1e9) * 1e3,
  format: (value) => `${value.toPrecision(3)} ms/GB`,
};

/** The median latency. */
export const P50: Metric = percentile(50);

/** The latency that one operation of a hundred exceeds. */
export const P99: Metric = percentile(99);

/** Microseconds with three digits, in the unit that suits. */
export function formatMicros(micros: number): string {
  const [value, unit] = micros < 1
    ? [micros * 1e3, "ns"]
    : micros < 1e3
    ? [micros, "us"]
    : [micros / 1e3, "ms"];
  return `${Number(value.toPrecision(3))} ${unit}`;
}

/** A count with three digits and a decimal prefix. */
export function formatCount(count: number): string {
  if (count >= 1e6) return `${(count / 1e6).toPrecision(3)} M`;
  if (count >= 1e3) return `${(count / 1e3).toPrecision(3)} k`;
  return count.toPrecision(3);
}
