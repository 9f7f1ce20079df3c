/**
 * Exports figures of logs and pools to OpenTelemetry.
 *
 * @example The figures of a log
 * ```ts
 * import { metrics } from "npm:@opentelemetry/api@1.10.0";
 * import type { Log } from "@basalt/io";
 * import { instrument } from "@basalt/io/otel";
 *
 * const observe = (log: Log): Disposable =>
 *   instrument({ meter: metrics.getMeter("my-service"), log });
 * ```
 *
 * @module
 */
import type { Channel } from "node:diagnostics_channel";
import { type FlushEvent, loadEvents, type Log } from "../log/mod.ts";
import { nodeModule } from "../native/mod.ts";
import type { BufferPool } from "../pool/mod.ts";

/** Attributes that distinguish the series of an instrument. */
export type Attributes = Record<string, string>;

/** How an instrument describes itself. */
export interface InstrumentDescription {
  /** What the instrument measures. */
  description: string;
  /** The unit, such as `"By"`. */
  unit: string;
}

/** An instrument that is read when it is collected. */
// deno-lint-ignore ban-types -- only its maker knows more of it
export type Observable = {};

/** Takes the values of a collection. */
export interface ObservableResult {
  /** Records the value of an instrument. */
  observe(metric: Observable, value: number, attributes?: Attributes): void;
}

/** The part of a meter of `npm:@opentelemetry/api@1` that Basalt uses. */
export interface Meter {
  /** Makes a gauge. */
  createObservableGauge(
    name: string,
    options: InstrumentDescription,
  ): Observable;
  /** Makes a counter. */
  createObservableCounter(
    name: string,
    options: InstrumentDescription,
  ): Observable;
  /** Makes a histogram. */
  createHistogram(
    name: string,
    options: InstrumentDescription,
  ): { record(value: number, attributes?: Attributes): void };
  /** Registers a function that reads instruments when they are collected. */
  addBatchObservableCallback(
    callback: (result: ObservableResult) => void,
    observables: Observable[],
  ): void;
  /** Ends that. */
  removeBatchObservableCallback(
    callback: (result: ObservableResult) => void,
    observables: Observable[],
  ): void;
}

/** What to observe. */
export interface InstrumentOptions {
  /** Makes the instruments, such as `metrics.getMeter("my-service")`. */
  meter: Meter;
  /** A log, with the cursors that it has open. Default: none. */
  log?: Log;
  /** A pool. Default: none. */
  pool?: BufferPool;
}

/** The name, the unit and the description of the instrument of a figure. */
type Instruments = Readonly<Record<string, readonly [string, string, string]>>;

const LOG_GAUGES = {
  pendingBytes: ["basalt.log.pending", "By", "Messages in memory only"],
  preparedBytes: ["basalt.log.prepared", "By", "Space after the data"],
  segments: ["basalt.log.segments", "{segment}", "Segments"],
  waiting: ["basalt.log.waiting", "{call}", "Calls that wait for a flush"],
  lagMessages: [
    "basalt.cursor.lag",
    "{message}",
    "Durable messages that are not committed",
  ],
} as const;

const LOG_COUNTERS = {
  appendedBytes: ["basalt.log.appended", "By", "Bytes appended"],
  appendedMessages: ["basalt.log.messages", "{message}", "Messages appended"],
  syncs: ["basalt.log.syncs", "{sync}", "Times that messages became durable"],
  removedBytes: ["basalt.log.removed", "By", "Bytes that retention removed"],
  failures: [
    "basalt.log.retention.failures",
    "{run}",
    "Runs of retention that failed",
  ],
} as const;

const POOL_GAUGES = {
  inUseBytes: ["basalt.pool.used", "By", "Blocks in use"],
  mappedBytes: ["basalt.pool.mapped", "By", "Blocks that are mapped"],
  limitBytes: ["basalt.pool.limit", "By", "The limit"],
} as const;

/**
 * Makes instruments of the figures of a log and a pool; disposing of what it returns removes them.
 *
 * Gauges and counters are read when they are collected. The durations of flushes are a histogram,
 * `basalt.log.flush.duration` in seconds, recorded after each flush.
 *
 * @example Instrumenting a log
 * ```ts
 * import { metrics } from "npm:@opentelemetry/api@1.10.0";
 * import { BufferPool, Log } from "@basalt/io";
 * import { instrument } from "@basalt/io/otel";
 *
 * const dir = Deno.makeTempDirSync();
 * {
 *   await using log = await Log.open(dir);
 *   const meter = metrics.getMeter("my-service");
 *   using _instruments = instrument({ meter, log, pool: BufferPool.default() });
 *   await log.appendDurable("hello");
 * }
 * Deno.removeSync(dir, { recursive: true });
 * ```
 */
export function instrument(
  { meter, log, pool }: InstrumentOptions,
): Disposable {
  const ends: (() => void)[] = [];
  if (log !== undefined) {
    ends.push(observeLog(meter, log), recordFlushes(meter, log));
  }
  if (pool !== undefined) ends.push(observePool(meter, pool));
  return {
    [Symbol.dispose](): void {
      for (const end of ends.splice(0)) end();
    },
  };
}

/** Observes a log and its open cursors; returns what ends that. */
function observeLog(meter: Meter, log: Log): () => void {
  const attributes = attributesOf(log);
  return observe(meter, LOG_GAUGES, LOG_COUNTERS, (record) => {
    const { retention, cursors, ...stats } = log.stats();
    record({ ...stats, ...retention }, attributes);
    for (const { name, lagMessages } of cursors) {
      record({ lagMessages }, { ...attributes, "basalt.cursor.name": name });
    }
  });
}

/** Observes a pool; returns what ends that. */
function observePool(meter: Meter, pool: BufferPool): () => void {
  return observe(meter, POOL_GAUGES, {}, (record) => record(pool.stats()));
}

function attributesOf(log: Log): Attributes {
  return { "basalt.log.path": log.path };
}

/** Makes instruments that are read together; returns what ends that. */
function observe<Gauges extends Instruments, Counters extends Instruments>(
  meter: Meter,
  gauges: Gauges,
  counters: Counters,
  read: (
    record: (
      figures: { readonly [Name in keyof (Gauges & Counters)]?: number },
      attributes?: Attributes,
    ) => void,
  ) => void,
): () => void {
  const made = new Map<keyof (Gauges & Counters), Observable>();
  for (const [figure, [name, unit, description]] of Object.entries(gauges)) {
    const gauge = meter.createObservableGauge(name, { unit, description });
    made.set(figure, gauge);
  }
  for (const [figure, [name, unit, description]] of Object.entries(counters)) {
    const counter = meter.createObservableCounter(name, { unit, description });
    made.set(figure, counter);
  }
  const observables = [...made.values()];
  const callback = (result: ObservableResult): void =>
    read((figures, attributes) => {
      for (const [figure, instrument] of made) {
        const value = figures[figure];
        if (value === undefined) continue;
        result.observe(instrument, value, attributes);
      }
    });
  meter.addBatchObservableCallback(callback, observables);
  return () => meter.removeBatchObservableCallback(callback, observables);
}

/** Records how long the flushes of a log take; returns what ends that. */
function recordFlushes(meter: Meter, log: Log): () => void {
  loadEvents();
  const histogram = meter.createHistogram("basalt.log.flush.duration", {
    description: "Time of a flush",
    unit: "s",
  });
  const attributes = attributesOf(log);
  const { channel } = nodeModule("node:diagnostics_channel");
  const flushes: Channel = channel("basalt:flush");
  const listen = (event: unknown): void => {
    const { log: path, durationMicros } = event as FlushEvent;
    if (path === log.path) histogram.record(durationMicros / 1e6, attributes);
  };
  flushes.subscribe(listen);
  return () => void flushes.unsubscribe(listen);
}
