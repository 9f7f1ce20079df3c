/**
 * Figures of a log as text for Prometheus.
 *
 * @module
 */
import type { HistogramSnapshot } from "../segment/mod.ts";
import { inspectLog } from "./inspect.ts";
import type { Log } from "./log.ts";
import type { LogReaderOptions } from "./log_options.ts";
import { LogReader } from "./log_reader.ts";

type Labels = Readonly<Record<string, string | number>>;

/** Gathers metrics in the text format of Prometheus, version 0.0.4. */
class MetricsText {
  readonly #lines: string[] = [];
  readonly #labels: Labels;

  /** @param labels What every sample has. */
  constructor(labels: Labels) {
    this.#labels = labels;
  }

  add(
    name: string,
    type: "gauge" | "counter",
    help: string,
    values: number | readonly (readonly [Labels, number])[],
  ): this {
    const samples = typeof values === "number"
      ? [[{}, values]] as const
      : values;
    if (samples.length === 0) return this;
    this.#head(name, type, help);
    for (const [labels, value] of samples) this.#sample(name, labels, value);
    return this;
  }

  /** Adds a histogram of microseconds as a summary in seconds. */
  seconds(name: string, help: string, micros: HistogramSnapshot): this {
    this.#head(name, "summary", help);
    for (const [quantile, value] of quantilesOf(micros)) {
      this.#sample(name, { quantile }, value / 1e6);
    }
    this.#sample(`${name}_sum`, {}, micros.mean * micros.count / 1e6);
    this.#sample(`${name}_count`, {}, micros.count);
    return this;
  }

  #head(name: string, type: string, help: string): void {
    this.#lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
  }

  #sample(name: string, labels: Labels, value: number): void {
    const text = Object.entries({ ...this.#labels, ...labels })
      .map(([key, value]) => `${key}="${escaped(String(value))}"`).join(",");
    this.#lines.push(`${name}{${text}} ${value}`);
  }

  toString(): string {
    return `${this.#lines.join("\n")}\n`;
  }
}

function quantilesOf(
  { p50, p90, p99, p999 }: HistogramSnapshot,
): [number, number][] {
  return [[0.5, p50], [0.9, p90], [0.99, p99], [0.999, p999]];
}

function escaped(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')
    .replaceAll("\n", "\\n");
}

const LAG = "Durable messages that a cursor has not committed.";

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
  return new MetricsText({ log: log.path })
    .add(
      "basalt_log_first_offset",
      "gauge",
      "Offset of the first message.",
      log.firstOffset,
    )
    .add(
      "basalt_log_next_offset",
      "gauge",
      "Offset of the next message.",
      log.nextOffset,
    )
    .add(
      "basalt_log_durable_offset",
      "gauge",
      "Messages below it survive a power cut.",
      log.durableOffset,
    )
    .add("basalt_log_segments", "gauge", "Segments.", stats.segments)
    .add(
      "basalt_log_pending_bytes",
      "gauge",
      "Bytes of messages in memory only.",
      stats.pendingBytes,
    )
    .add(
      "basalt_log_prepared_bytes",
      "gauge",
      "Bytes allocated after the data.",
      stats.preparedBytes,
    )
    .add(
      "basalt_log_waiting",
      "gauge",
      "Calls that wait for a flush.",
      stats.waiting,
    )
    .add(
      "basalt_log_appended_messages_total",
      "counter",
      "Messages appended.",
      stats.appendedMessages,
    )
    .add(
      "basalt_log_appended_bytes_total",
      "counter",
      "Bytes appended.",
      stats.appendedBytes,
    )
    .add(
      "basalt_log_syncs_total",
      "counter",
      "Times that messages were made durable.",
      stats.syncs,
    )
    .add(
      "basalt_log_rolls_total",
      "counter",
      "Segments that were closed.",
      stats.rolls,
    )
    .seconds(
      "basalt_log_flush_duration_seconds",
      "Time of a flush.",
      stats.flushMicros,
    )
    .add(
      "basalt_retention_runs_total",
      "counter",
      "Runs of retention.",
      retention.runs,
    )
    .add(
      "basalt_retention_failures_total",
      "counter",
      "Runs that failed.",
      retention.failures,
    )
    .add(
      "basalt_retention_removed_bytes_total",
      "counter",
      "Bytes removed.",
      retention.removedBytes,
    )
    .add(
      "basalt_retention_passed_cursors_total",
      "counter",
      "Cursors that lost messages they needed.",
      retention.passedCursors,
    )
    .add(
      "basalt_cursor_position",
      "gauge",
      "Committed position.",
      cursors.map(({ name, position }) => [{ cursor: name }, position]),
    )
    .add(
      "basalt_cursor_lag_messages",
      "gauge",
      LAG,
      cursors.map(({ name, lagMessages }) => [{ cursor: name }, lagMessages]),
    )
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
  return new MetricsText({ log: log.path })
    .add(
      "basalt_log_first_offset",
      "gauge",
      "Offset of the first message.",
      log.firstOffset,
    )
    .add(
      "basalt_log_next_offset",
      "gauge",
      "Offset of the next message.",
      log.nextOffset,
    )
    .add("basalt_log_segments", "gauge", "Segments.", log.segments.length)
    .add("basalt_log_data_bytes", "gauge", "Bytes of messages.", log.dataBytes)
    .add(
      "basalt_log_prepared_bytes",
      "gauge",
      "Bytes allocated after the data.",
      log.preparedBytes,
    )
    .add(
      "basalt_log_locked",
      "gauge",
      "1 while a writer has it open.",
      Number(log.locked),
    )
    .add(
      "basalt_cursor_position",
      "gauge",
      "Committed position.",
      cursors.map(({ name, position }) => [{ cursor: name }, position]),
    )
    .add(
      "basalt_cursor_lag_messages",
      "gauge",
      LAG,
      cursors.map(({ name, lag }) => [{ cursor: name }, lag.messages]),
    )
    .add(
      "basalt_cursor_lag_bytes",
      "gauge",
      "Their bytes, estimated.",
      cursors.map(({ name, lag }) => [{ cursor: name }, lag.bytes]),
    )
    .toString();
}
