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

interface Instrument extends InstrumentDescription {
  kind: "Gauge" | "Counter";
}

const LOG_INSTRUMENTS = {
  "basalt.log.pending": gauge("By", "Messages in memory only"),
  "basalt.log.prepared": gauge("By", "Space after the data"),
  "basalt.log.segments": gauge("{segment}", "Segments"),
  "basalt.log.waiting": gauge("{call}", "Calls that wait for a flush"),
  "basalt.log.appended": counter("By", "Bytes appended"),
  "basalt.log.messages": counter("{message}", "Messages appended"),
  "basalt.log.syncs": counter("{sync}", "Times that messages became durable"),
  "basalt.log.removed": counter("By", "Bytes that retention removed"),
  "basalt.log.retention.failures": counter(
    "{run}",
    "Runs of retention that failed",
  ),
  "basalt.cursor.lag": gauge(
    "{message}",
    "Durable messages that are not committed",
  ),
};

const POOL_INSTRUMENTS = {
  "basalt.pool.used": gauge("By", "Blocks in use"),
  "basalt.pool.mapped": gauge("By", "Blocks that are mapped"),
  "basalt.pool.limit": gauge("By", "The limit"),
};

function gauge(unit: string, description: string): Instrument {
  return { kind: "Gauge", unit, description };
}

function counter(unit: string, description: string): Instrument {
  return { kind: "Counter", unit, description };
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
  return observe(meter, LOG_INSTRUMENTS, (record) => {
    const stats = log.stats();
    const { retention } = stats;
    record("basalt.log.pending", stats.pendingBytes, attributes);
    record("basalt.log.prepared", stats.preparedBytes, attributes);
    record("basalt.log.segments", stats.segments, attributes);
    record("basalt.log.waiting", stats.waiting, attributes);
    record("basalt.log.appended", stats.appendedBytes, attributes);
    record("basalt.log.messages", stats.appendedMessages, attributes);
    record("basalt.log.syncs", stats.syncs, attributes);
    record("basalt.log.removed", retention.removedBytes, attributes);
    record("basalt.log.retention.failures", retention.failures, attributes);
    for (const { name, lagMessages } of stats.cursors) {
      const both = { ...attributes, "basalt.cursor.name": name };
      record("basalt.cursor.lag", lagMessages, both);
    }
  });
}

/** Observes a pool; returns what ends that. */
function observePool(meter: Meter, pool: BufferPool): () => void {
  return observe(meter, POOL_INSTRUMENTS, (record) => {
    const { inUseBytes, mappedBytes, limitBytes } = pool.stats();
    record("basalt.pool.used", inUseBytes);
    record("basalt.pool.mapped", mappedBytes);
    record("basalt.pool.limit", limitBytes);
  });
}

function attributesOf(log: Log): Attributes {
  return { "basalt.log.path": log.path };
}

/** Records the value of an instrument at a collection. */
type RecordValue<Name> = (
  name: Name,
  value: number,
  attributes?: Attributes,
) => void;

/** Makes instruments that are read together; returns what ends that. */
function observe<Name extends string>(
  meter: Meter,
  instruments: Readonly<Record<Name, Instrument>>,
  read: (record: RecordValue<Name>) => void,
): () => void {
  const made = new Map(
    Object.entries<Instrument>(instruments).map((
      [name, { kind, ...options }],
    ) => [name, meter[`createObservable${kind}`](name, options)]),
  );
  const callback = (result: ObservableResult): void =>
    read((name, ...values) => result.observe(made.get(name)!, ...values));
  const all = [...made.values()];
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
