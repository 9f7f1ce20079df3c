import {
  type LogFault,
  verifyLog,
  type VerifyProgress,
} from "../../log/mod.ts";
import { command, type MakeCommand } from "../_command.ts";
import { formatBytes, formatCount } from "../_terminal.ts";

const HELP = `
It checks every batch and every index entry, and finds wrong names, gaps, overlaps and unpaired
files. It continues after a fault. Another process may write the log meanwhile. The exit code is 0
if the log is sound, else 1.

With --json each fault is one line, and the last line has "sound" and the counts.

Examples:
  basalt verify data/log
      a line for each fault, and the counts
  basalt verify data/log --json | jq .kind
      the kinds of the faults, for another program`;

/** `basalt verify`: reports everything that is wrong with a log. */
export const verify: MakeCommand = (console) =>
  command(
    "verify",
    "Read a whole log and report every fault. Nothing is changed.",
    HELP,
  )
    .argument("<dir>", "the log's directory")
    .option("--json", "print a JSON object for each fault, and one at the end")
    .action(async (path: string, { json }: { json?: true }) => {
      let counts = { messages: 0, bytes: 0, faults: 0 };
      const onProgress = (progress: Readonly<VerifyProgress>): void => {
        counts = progress;
        const { bytes, totalBytes, faults } = progress;
        console.progress.show(() => {
          const of = `${formatBytes(bytes)} of ${formatBytes(totalBytes)}`;
          return `verifying ${of}, ${formatCount(faults, "fault")}`;
        });
      };
      for await (const fault of verifyLog(path, { onProgress })) {
        if (json) console.json(fault);
        else console.text(describe(fault), "  ");
        console.flush();
      }
      const { messages, bytes, faults } = counts;
      const sound = faults === 0;
      if (!sound) console.exitCode = 1;
      if (json) return console.json({ path, sound, messages, bytes, faults });
      const found = [
        formatCount(messages, "good message"),
        formatBytes(bytes),
        formatCount(faults, "fault"),
      ];
      const verdict = sound ? "sound" : "not sound";
      console.text(`'${path}' is ${verdict}: ${found.join(", ")}`);
    });

function describe(fault: LogFault): string {
  const { path, position, byteLength, offset, kind, message } = fault;
  return `${path}: byte ${position}, ${byteLength} bytes, offset ${offset}: ${kind}: ${message}`;
}
