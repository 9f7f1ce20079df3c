import type { Command } from "commander";
import { Log, previewRetention, type RetentionReport } from "../../log/mod.ts";
import { bytes, duration, wholeNumber } from "../amounts.ts";
import { command } from "../command.ts";
import type { Console } from "../console.ts";
import { formatBytes, formatCount } from "../terminal.ts";

interface Options {
  bytes?: number;
  age?: number;
  hardBytes?: number;
  before?: number;
  dryRun?: true;
  json?: true;
}

const HELP = `
A segment that a cursor still needs stays, and so do those after it, unless the log is above
--hard-bytes. The last segment always stays.

A segment whose last message has a time in the future is not old before that has passed:
--before is the way out.

Examples:
  basalt retain data/log --bytes 10G --age 7d --dry-run
      what would go
  basalt retain data/log --bytes 10G --age 7d
      removing it
  basalt retain data/log --before 120000
      whole segments below an offset`;

/** `basalt retain`: removes what a log need not keep. */
export function retain(console: Console): Command {
  return command(
    "retain",
    "Remove the first segments of a log that it need not keep. No other process may be writing it.",
    HELP,
  )
    .argument("<dir>", "the log's directory")
    .option("--bytes <bytes>", "while the log is larger than this", bytes)
    .option("--age <duration>", "what is older than this", duration)
    .option(
      "--hard-bytes <bytes>",
      "also what cursors need, while the log is larger than this",
      bytes,
    )
    .option("--before <offset>", "what lies below this offset", wholeNumber)
    .option("--dry-run", "tell what would go, and change nothing")
    .option("--json", "one JSON object")
    .action(async (dir: string, options: Options, made: Command) => {
      const report = await run(dir, options, made);
      if (options.json) console.json(report);
      else console.line(inWords(report, options.dryRun === true));
    });
}

async function run(
  dir: string,
  { bytes, age, hardBytes, before, dryRun }: Options,
  made: Command,
): Promise<RetentionReport> {
  const wanted = {
    ...bytes !== undefined && { bytes },
    ...age !== undefined && { ageMs: age },
    ...hardBytes !== undefined && { hardBytes },
    ...before !== undefined && { before },
  };
  if (Object.keys(wanted).length === 0) {
    made.error("error: give --bytes, --age, --hard-bytes or --before");
  }
  if (dryRun) return await previewRetention(dir, wanted);
  await using log = await Log.open(dir, { create: false });
  return await log.retain(wanted);
}

function inWords(report: RetentionReport, isDry: boolean): string {
  const { removedSegments, removedBytes, firstOffset, passedCursors } = report;
  const verb = isDry ? "would remove" : "removed";
  const lines = [
    `${verb} ${formatCount(removedSegments, "segment")}, ${
      formatBytes(removedBytes)
    }: the log ${isDry ? "would begin" : "begins"} at offset ${firstOffset}`,
  ];
  if (passedCursors.length > 0) {
    lines.push(`cursors that still needed them: ${passedCursors.join(", ")}`);
  }
  return lines.join("\n");
}
