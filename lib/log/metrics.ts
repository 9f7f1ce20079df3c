/**
 * Metrics of a log as text for Prometheus.
 *
 * @module
 */
import type { HistogramSnapshot } from "../segment/mod.ts";
import { inspectLog } from "./repair/inspect.ts";
import type { Log } from "./log.ts";
import type { LogReaderOptions } from "./log_options.ts";
import { LogReader } from "./log_reader.ts";

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

/** A figure: a number, one for each cursor by name, or a histogram of microseconds. */
type Figure = number | Map<string, number> | HistogramSnapshot;

/** Returns figures of a log in the text format of Prometheus, version 0.0.4. */
function textOf(
  log: string,
  figures: { [Metric in keyof typeof HELP]?: Figure },
): string {
  const lines: string[] = [];
  const head = (name: string, type: string): void => {
    const help = HELP[name as keyof typeof HELP];
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
  };
  const sample = (name: string, value: number, labels = {}): void => {
    const text = Object.entries({ log, ...labels })
      .map(([key, value]) => `${key}="${escaped(value)}"`).join(",");
    lines.push(`${name}{${text}} ${value}`);
  };
  for (const [name, figure] of Object.entries(figures)) {
    if (typeof figure === "number") {
      head(name, name.endsWith("_total") ? "counter" : "gauge");
      sample(name, figure);
    } else if (figure instanceof Map) {
      if (figure.size > 0) head(name, "gauge");
      for (const [cursor, value] of figure) sample(name, value, { cursor });
    } else {
      // A summary in seconds.
      const { p50, p90, p99, p999, mean, count } = figure;
      head(name, "summary");
      const quantiles = { 0.5: p50, 0.9: p90, 0.99: p99, 0.999: p999 };
      for (const [quantile, value] of Object.entries(quantiles)) {
        sample(name, value / 1e6, { quantile });
      }
      sample(`${name}_sum`, mean * count / 1e6);
      sample(`${name}_count`, count);
    }
  }
  return `${lines.join("\n")}\n`;
}

function escaped(value: string): string {
  return value.replaceAll(/["\\]/g, "\\$&").replaceAll("\n", "\\n");
}

/** Returns a figure of each cursor by name. */
function byName<Cursor extends { name: string }>(
  cursors: readonly Cursor[],
  figureOf: (cursor: Cursor) => number,
): Map<string, number> {
  return new Map(cursors.map((each) => [each.name, figureOf(each)]));
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
  return textOf(log.path, {
    basalt_log_first_offset: log.firstOffset,
    basalt_log_next_offset: log.nextOffset,
    basalt_log_durable_offset: log.durableOffset,
    basalt_log_segments: stats.segments,
    basalt_log_pending_bytes: stats.pendingBytes,
    basalt_log_prepared_bytes: stats.preparedBytes,
    basalt_log_waiting: stats.waiting,
    basalt_log_appended_messages_total: stats.appendedMessages,
    basalt_log_appended_bytes_total: stats.appendedBytes,
    basalt_log_syncs_total: stats.syncs,
    basalt_log_rolls_total: stats.rolls,
    basalt_log_flush_duration_seconds: stats.flushMicros,
    basalt_retention_runs_total: retention.runs,
    basalt_retention_failures_total: retention.failures,
    basalt_retention_removed_bytes_total: retention.removedBytes,
    basalt_retention_passed_cursors_total: retention.passedCursors,
    basalt_cursor_position: byName(cursors, (each) => each.position),
    basalt_cursor_lag_messages: byName(cursors, (each) => each.lagMessages),
  });
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
  return textOf(log.path, {
    basalt_log_first_offset: log.firstOffset,
    basalt_log_next_offset: log.nextOffset,
    basalt_log_segments: log.segments.length,
    basalt_log_data_bytes: log.dataBytes,
    basalt_log_prepared_bytes: log.preparedBytes,
    basalt_log_locked: Number(log.locked),
    basalt_cursor_position: byName(cursors, (each) => each.position),
    basalt_cursor_lag_messages: byName(cursors, ({ lag }) => lag.messages),
    basalt_cursor_lag_bytes: byName(cursors, ({ lag }) => lag.bytes),
  });
}
