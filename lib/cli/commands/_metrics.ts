import { directoryMetrics } from "../../log/mod.ts";
import { command, type MakeCommand } from "../_command.ts";

const HELP = `
The figures come from the files of the log. A program that has the log open can serve more of them
with metricsText().

Examples:
  basalt metrics data/log > /var/lib/node_exporter/log.prom
      for the textfile collector`;

/** `basalt metrics`: prints figures of a log for Prometheus. */
export const metrics: MakeCommand = (console) =>
  command(
    "metrics",
    "Print the figures of a log and its cursors in the text format of Prometheus.",
    HELP,
  )
    .argument("<dir>", "the log's directory")
    .action(async (dir: string) =>
      console.write(new TextEncoder().encode(await directoryMetrics(dir)))
    );
