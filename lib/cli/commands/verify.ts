import type { Command } from "commander";
import {
  type LogFault,
  verifyLog,
  type VerifyProgress,
} from "../../log/mod.ts";
import { command } from "../command.ts";
import type { Console } from "../console.ts";
import { formatBytes, formatCount } from "../terminal.ts";

const HELP = `
Every batch, every index entry, names, gaps, overlaps and unpaired files; it goes on after a
fault. A log may be verified while another process writes it. Exit code 0: sound; 1: not.

With --json a line for each fault, and a last one with "sound" and the counts.

Examples:
  basalt verify data/log
      a line for each fault, and the counts
  basalt verify data/log --json | jq .kind
      the kinds of the faults, for another program`;

/** `basalt verify`: everything that is wrong with a log. */
export function verify(console: Console): Command {
  return command(
    "verify",
    "Read a whole log and name everything that is wrong with it. Nothing is changed.",
    HELP,
  )
    .argument("<dir>", "the log's directory")
    .option("--json", "a JSON object for each fault, and one at the end")
    .action((dir: string, options: { json?: true }) =>
      verifyDirectory(dir, options, console)
    );
}

async function verifyDirectory(
  dir: string,
  options: { json?: true },
  console: Console,
): Promise<void> {
  const counts: VerifyProgress = {
    messages: 0,
    bytes: 0,
    totalBytes: 0,
    faults: 0,
  };
  const onProgress = (progress: Readonly<VerifyProgress>): void => {
    Object.assign(counts, progress);
    console.progress(() =>
      `verifying ${formatBytes(counts.bytes)} of ${
        formatBytes(counts.totalBytes)
      }, ${formatCount(counts.faults, "fault")}`
    );
  };
  for await (const fault of verifyLog(dir, { onProgress })) {
    if (options.json) console.json(fault);
    else console.line(inWords(fault));
    console.flush();
  }
  const { messages, bytes, faults } = counts;
  const sound = faults === 0;
  console.exitCode = sound ? 0 : 1;
  if (options.json) console.json({ path: dir, sound, messages, bytes, faults });
  else {
    console.line(
      `'${dir}' is ${sound ? "sound" : "not sound"}: ${
        formatCount(messages, "good message")
      }, ${formatBytes(bytes)}, ${formatCount(faults, "fault")}`,
    );
  }
}

function inWords(fault: LogFault): string {
  const { path, position, byteLength, offset, kind, message } = fault;
  return `${path}: byte ${position}, ${byteLength} bytes, offset ${offset}: ${kind}: ${message}`;
}
