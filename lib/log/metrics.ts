/**
 * Metrics of a log as text for Prometheus.
 *
 * @module
 */
import type { HistogramSnapshot } from "../segment/mod.ts";
import { inspectLog } from "./inspect.ts";
import type { Log } from "./log.ts";
import type { LogReaderOptions } from "./log_options.ts";
import { LogReader } from "./log_reader.ts";

type Labels = Readonly<Record<string, string | number>>;

/** Help texts by metric. Metrics that end in `_total` are counters. */
const HELP = {
  basalt_log_first_offset: "Offset of the first message.",
  basalt_log_next_offset: "Offset of the next message.",
  basalt_log_durable_offset: "Messages below it survive a power cut.",
  basalt_log_segments: "Segments.",
  basalt_log_data_bytes: "Bytes of messages.",
  basalt_log_pending_bytes: "Bytes of messages in memory only.",
  basalt_log_prepared_bytes: "Bytes allocated after the data.",
  basalt_log_locked: "1 while a writer has it open.",
  basalt_log_waiting: "Calls that wait for a flush.",
  basalt_log_appended_messages_total: "Messages appended.",
  basalt_log_appended_bytes_total: "Bytes appended.",
  basalt_log_syncs_total: "Times that messages were made durable.",
  basalt_log_rolls_total: "Segments that were closed.",
  basalt_log_flush_duration_seconds: "Time of a flush.",
  basalt_retention_runs_total: "Runs of retention.",
  basalt_retention_failures_total: "Runs that failed.",
  basalt_retention_removed_bytes_total: "Bytes removed.",
  basalt_retention_passed_cursors_total:
    "Cursors that lost messages they needed.",
  basalt_cursor_position: "Committed position.",
  basalt_cursor_lag_messages:
    "Durable messages that a cursor has not committed.",
  basalt_cursor_lag_bytes: "Their bytes, estimated.",
} as const;

type Metric = keyof typeof HELP;

/** Writes metrics in the text format of Prometheus, version 0.0.4. */
class MetricsText {
  readonly #lines: string[] = [];
  readonly #log: string;

  /** @param log The label that every sample has. */
  constructor(log: string) {
    this.#log = log;
  }

  add(name: Metric, value: number): this {
    this.#head(name, name.endsWith("_total") ? "counter" : "gauge");
    this.#sample(name, {}, value);
    return this;
  }

  /** Adds a sample for each cursor. */
  cursors<T extends { name: string }>(
    name: Metric,
    cursors: readonly T[],
    valueOf: (cursor: T) => number,
  ): this {
    if (cursors.length > 0) this.#head(name, "gauge");
    for (const each of cursors) {
      this.#sample(name, { cursor: each.name }, valueOf(each));
    }
    return this;
  }

  /** Adds a histogram of microseconds as a summary in seconds. */
  seconds(name: Metric, micros: HistogramSnapshot): this {
    const { p50, p90, p99, p999, mean, count } = micros;
    this.#head(name, "summary");
    const quantiles = { 0.5: p50, 0.9: p90, 0.99: p99, 0.999: p999 };
    for (const [quantile, value] of Object.entries(quantiles)) {
      this.#sample(name, { quantile }, value / 1e6);
    }
    this.#sample(`${name}_sum`, {}, mean * count / 1e6);
    this.#sample(`${name}_count`, {}, count);
    return this;
  }

  #head(name: Metric, type: string): void {
    this.#lines.push(`# HELP ${name} ${HELP[name]}`, `# TYPE ${name} ${type}`);
  }

  #sample(name: string, labels: Labels, value: number): void {
    const text = Object.entries({ log: this.#log, ...labels })
      .map(([key, value]) => `${key}="${escaped(String(value))}"`).join(",");
    this.#lines.push(`${name}{${text}} ${value}`);
  }

  toString(): string {
    return `${this.#lines.join("\n")}\n`;
  }
}

function escaped(value: string): string {
  return value.replaceAll(/["\\]/g, "\\$&").replaceAll("\n", "\\n");
}

/**
 * Returns the figures of an open log in the text format of Prometheus.
 *
 * It includes the cursors that this log has open; {@linkcode directoryMetrics} also includes those
 * of other processes.
 *
 * @example The response to a scrape
 * ```ts
 * import { Log, metricsText } from "@basalt/io";
 * import { assert } from "@std/assert";
 *
 * const dir = Deno.makeTempDirSync();
 * {
 *   await using log = await Log.open(dir);
 *   await log.appendDurable("hello");
 *   const text = metricsText(log);
 *   assert(text.includes(`basalt_log_durable_offset{log="${dir}"} 1\n`));
 * }
 * Deno.removeSync(dir, { recursive: true });
 * ```
 */
export function metricsText(log: Log): string {
  const stats = log.stats();
  const { retention, cursors } = stats;
  return new MetricsText(log.path)
    .add("basalt_log_first_offset", log.firstOffset)
    .add("basalt_log_next_offset", log.nextOffset)
    .add("basalt_log_durable_offset", log.durableOffset)
    .add("basalt_log_segments", stats.segments)
    .add("basalt_log_pending_bytes", stats.pendingBytes)
    .add("basalt_log_prepared_bytes", stats.preparedBytes)
    .add("basalt_log_waiting", stats.waiting)
    .add("basalt_log_appended_messages_total", stats.appendedMessages)
    .add("basalt_log_appended_bytes_total", stats.appendedBytes)
    .add("basalt_log_syncs_total", stats.syncs)
    .add("basalt_log_rolls_total", stats.rolls)
    .seconds("basalt_log_flush_duration_seconds", stats.flushMicros)
    .add("basalt_retention_runs_total", retention.runs)
    .add("basalt_retention_failures_total", retention.failures)
    .add("basalt_retention_removed_bytes_total", retention.removedBytes)
    .add("basalt_retention_passed_cursors_total", retention.passedCursors)
    .cursors("basalt_cursor_position", cursors, (each) => each.position)
    .cursors("basalt_cursor_lag_messages", cursors, (each) => each.lagMessages)
    .toString();
}

/**
 * Returns figures of a log's directory in the text format of Prometheus, read from its files.
 *
 * @throws {Deno.errors.NotFound} If there is no log in the directory.
 *
 * @example A file for a collector
 * ```ts
 * import { directoryMetrics, Log } from "@basalt/io";
 * import { assert } from "@std/assert";
 *
 * const dir = Deno.makeTempDirSync();
 * {
 *   await using log = await Log.open(dir);
 *   await log.appendDurable("hello");
 * }
 * const text = await directoryMetrics(dir);
 * assert(text.includes(`basalt_log_next_offset{log="${dir}"} 1\n`));
 * Deno.removeSync(dir, { recursive: true });
 * ```
 */
export async function directoryMetrics(
  path: string | URL,
  options: LogReaderOptions = {},
): Promise<string> {
  const log = await inspectLog(path, options);
  const cursors = await new LogReader(path, options).cursors();
  return new MetricsText(log.path)
    .add("basalt_log_first_offset", log.firstOffset)
    .add("basalt_log_next_offset", log.nextOffset)
    .add("basalt_log_segments", log.segments.length)
    .add("basalt_log_data_bytes", log.dataBytes)
    .add("basalt_log_prepared_bytes", log.preparedBytes)
    .add("basalt_log_locked", Number(log.locked))
    .cursors("basalt_cursor_position", cursors, (each) => each.position)
    .cursors("basalt_cursor_lag_messages", cursors, ({ lag }) => lag.messages)
    .cursors("basalt_cursor_lag_bytes", cursors, ({ lag }) => lag.bytes)
    .toString();
}
