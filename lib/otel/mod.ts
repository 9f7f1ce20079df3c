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

/** Reads the figures of one moment, and gives those of one instrument each. */
interface Instrument {
  name: string;
  kind: "gauge" | "counter";
  description: string;
  unit: string;
}

const LOG_INSTRUMENTS = {
  pending: gauge("basalt.log.pending", "By", "Messages in memory only"),
  prepared: gauge("basalt.log.prepared", "By", "Space after the data"),
  segments: gauge("basalt.log.segments", "{segment}", "Segments"),
  waiting: gauge("basalt.log.waiting", "{call}", "Calls that wait for a flush"),
  appended: counter("basalt.log.appended", "By", "Bytes appended"),
  messages: counter("basalt.log.messages", "{message}", "Messages appended"),
  syncs: counter(
    "basalt.log.syncs",
    "{sync}",
    "Times that messages became durable",
  ),
  removed: counter("basalt.log.removed", "By", "Bytes that retention removed"),
  failures: counter(
    "basalt.log.retention.failures",
    "{run}",
    "Runs of retention that failed",
  ),
  lag: gauge(
    "basalt.cursor.lag",
    "{message}",
    "Durable messages that are not committed",
  ),
};

const POOL_INSTRUMENTS = {
  used: gauge("basalt.pool.used", "By", "Blocks in use"),
  mapped: gauge("basalt.pool.mapped", "By", "Blocks that are mapped"),
  limit: gauge("basalt.pool.limit", "By", "The limit"),
};

function gauge(name: string, unit: string, description: string): Instrument {
  return { name, kind: "gauge", description, unit };
}

function counter(name: string, unit: string, description: string): Instrument {
  return { name, kind: "counter", description, unit };
}

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
    ends.push(observe(meter, LOG_INSTRUMENTS, (made, result) => {
      readLog(log, made, result);
    }));
    ends.push(recordFlushes(meter, log));
  }
  if (pool !== undefined) {
    ends.push(observe(meter, POOL_INSTRUMENTS, (made, result) => {
      const { inUseBytes, mappedBytes, limitBytes } = pool.stats();
      result.observe(made.used, inUseBytes);
      result.observe(made.mapped, mappedBytes);
      result.observe(made.limit, limitBytes);
    }));
  }
  return {
    [Symbol.dispose](): void {
      for (const end of ends.splice(0)) end();
    },
  };
}

type Made<T> = { readonly [K in keyof T]: Observable };

function readLog(
  log: Log,
  made: Made<typeof LOG_INSTRUMENTS>,
  result: ObservableResult,
): void {
  const stats = log.stats();
  const attributes = attributesOf(log);
  result.observe(made.pending, stats.pendingBytes, attributes);
  result.observe(made.prepared, stats.preparedBytes, attributes);
  result.observe(made.segments, stats.segments, attributes);
  result.observe(made.waiting, stats.waiting, attributes);
  result.observe(made.appended, stats.appendedBytes, attributes);
  result.observe(made.messages, stats.appendedMessages, attributes);
  result.observe(made.syncs, stats.syncs, attributes);
  result.observe(made.removed, stats.retention.removedBytes, attributes);
  result.observe(made.failures, stats.retention.failures, attributes);
  for (const { name, lagMessages } of stats.cursors) {
    const both = { ...attributes, "basalt.cursor.name": name };
    result.observe(made.lag, lagMessages, both);
  }
}

function attributesOf(log: Log): Attributes {
  return { "basalt.log.path": log.path };
}

/** Makes instruments that are read together; returns what ends that. */
function observe<T extends Record<string, Instrument>>(
  meter: Meter,
  instruments: T,
  read: (made: Made<T>, result: ObservableResult) => void,
): () => void {
  const made = Object.fromEntries(
    Object.entries(instruments).map(([key, each]) => {
      const { name, kind, description, unit } = each;
      const make = kind === "gauge"
        ? meter.createObservableGauge
        : meter.createObservableCounter;
      return [key, make.call(meter, name, { description, unit })];
    }),
  ) as unknown as Made<T>;
  const callback = (result: ObservableResult) => read(made, result);
  const all: Observable[] = Object.values(made);
  meter.addBatchObservableCallback(callback, all);
  return () => meter.removeBatchObservableCallback(callback, all);
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
