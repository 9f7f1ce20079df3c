import type { Command } from "commander";
import { Log, previewRetention, type RetentionReport } from "../../log/mod.ts";
import { bytes, duration, wholeNumber } from "../_amounts.ts";
import { command, type MakeCommand } from "../_command.ts";
import type { Console } from "../_console.ts";
import { formatBytes, formatCount } from "../_terminal.ts";

interface Options {
  bytes?: number;
  age?: number;
  hardBytes?: number;
  before?: number;
  dryRun?: true;
  json?: true;
}

const HELP = `
A segment that a cursor still needs stays, and so do the segments after it, unless the log is
larger than --hard-bytes. The last segment always stays.

If the last message of a segment has a time in the future, --age keeps the segment until that time
has passed. --before removes it earlier.

Examples:
  basalt retain data/log --bytes 10G --age 7d --dry-run
      what would be removed
  basalt retain data/log --bytes 10G --age 7d
      remove it
  basalt retain data/log --before 120000
      whole segments below an offset`;

/** `basalt retain`: removes the oldest segments of a log. */
export const retain: MakeCommand = (console) =>
  command(
    "retain",
    "Remove the oldest segments of a log by size, age or offset. No other process may be writing the log.",
    HELP,
  )
    .argument("<dir>", "the log's directory")
    .option("--bytes <bytes>", "remove while the log is larger", bytes)
    .option("--age <duration>", "remove what is older", duration)
    .option(
      "--hard-bytes <bytes>",
      "also remove what cursors need while the log is larger",
      bytes,
    )
    .option(
      "--before <offset>",
      "remove what is below this offset",
      wholeNumber,
    )
    .option("--dry-run", "show what would be removed, and change nothing")
    .option("--json", "print one JSON object")
    .action(async (dir: string, options: Options, made: Command) => {
      const { dryRun = false, json, age, ...limits } = options;
      const retention = { ...limits, ...age !== undefined && { ageMs: age } };
      if (Object.keys(retention).length === 0) {
        made.error("error: give --bytes, --age, --hard-bytes or --before");
      }
      let report: RetentionReport;
      if (dryRun) report = await previewRetention(dir, retention);
      else {
        await using log = await Log.open(dir, { create: false });
        report = await log.retain(retention);
      }
      if (json) console.json(report);
      else showReport(report, dryRun, console);
    });

function showReport(
  report: RetentionReport,
  isDry: boolean,
  console: Console,
): void {
  const { firstOffset, passedCursors } = report;
  const [remove, begin] = isDry
    ? ["would remove", "would begin"]
    : ["removed", "begins"];
  const segments = formatCount(report.removedSegments, "segment");
  const bytes = formatBytes(report.removedBytes);
  console.text(
    `${remove} ${segments}, ${bytes}: the log ${begin} at offset ${firstOffset}`,
  );
  if (passedCursors.length > 0) {
    console.text(`cursors that still needed them: ${passedCursors.join(", ")}`);
  }
}
