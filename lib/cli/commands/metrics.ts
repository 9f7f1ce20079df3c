import type { Command } from "commander";
import { directoryMetrics } from "../../log/mod.ts";
import { command } from "../command.ts";
import type { Console } from "../console.ts";

const HELP = `
They are what the files tell. A program serves more of its own log by metricsText().

Examples:
  basalt metrics data/log > /var/lib/node_exporter/log.prom
      for the textfile collector`;

/** `basalt metrics`: figures of a log for Prometheus. */
export function metrics(console: Console): Command {
  return command(
    "metrics",
    "Print the figures of a log and its cursors in the text format of Prometheus.",
    HELP,
  )
    .argument("<dir>", "the log's directory")
    .action(async (dir: string) =>
      console.write(new TextEncoder().encode(await directoryMetrics(dir)))
    );
}
