import type { Command } from "npm:commander@14.0.0";
import type {
  handOver,
  takeOver,
  TransferOptions,
  TransferReport,
} from "../iggy/mod.ts";
import { jsonOption, wholeNumber } from "./command.ts";
import type { Console } from "./console.ts";
import { formatBytes } from "./terminal.ts";

interface Options {
  iggy: string;
  stream: number | string;
  topic: number | string;
  partition: number;
  yes?: true;
  json?: true;
}

/** What the help of both commands says. */
export const TRANSFER_NOTES: readonly string[] = [
  "Without --yes everything is checked and told, and nothing is changed. What is copied stays where it was;\nan interrupted copy is completed by the same command.",
  "--iggy is the server's 'system.path': what Iggy 0.7.3 to 0.8 leaves there. The server must not be running: whoever has\na file of the partition open is noticed, a server that starts meanwhile is not. Streams and topics go by\nname, or by id: digits are an id. Files belong to who runs this: the server must be allowed to write them.",
];

/** Adds to a command what handing over and taking over have in common. */
export function transferCommand(
  made: Command,
  transfer: typeof handOver | typeof takeOver,
  console: Console,
): Command {
  return made
    .requiredOption("--iggy <directory>", "the server's data directory")
    .requiredOption("--stream <stream>", "the stream's name or id", address)
    .requiredOption("--topic <topic>", "the topic's name or id", address)
    .option("--partition <id>", "the partition's id", wholeNumber, 0)
    .option("--yes", "do it")
    .addOption(jsonOption("report as JSON"))
    .action((dir: string, options: Options) =>
      run(dir, options, transfer, console)
    );
}

function address(text: string): number | string {
  return /^\d+$/.test(text) ? wholeNumber(text) : text;
}

async function run(
  dir: string,
  options: Options,
  transfer: typeof handOver | typeof takeOver,
  console: Console,
): Promise<void> {
  const { iggy, stream, topic, partition, yes, json } = options;
  const settings: TransferOptions = {
    dataDirectory: iggy,
    stream,
    topic,
    partition,
    dryRun: !yes,
    onProgress: ({ bytes, totalBytes }) =>
      console.progress(() =>
        `verifying ${formatBytes(bytes)} of ${formatBytes(totalBytes)}`
      ),
  };
  const report = await transfer(dir, settings);
  if (json) return console.json(report);
  for (const line of inWords(report)) console.line(line);
  console.line(
    report.done ? "Done." : "Nothing was changed: the same with --yes does it.",
  );
}

function inWords(report: TransferReport): string[] {
  const { stream, topic, firstOffset, nextOffset, files, replaces } = report;
  const there = files.filter((file) => file.there).length;
  return [
    `from       ${report.from}`,
    `to         ${report.to}`,
    `partition  ${report.partition} of topic ${topic.id} ('${topic.name}'), stream ${stream.id} ('${stream.name}'), Iggy ${report.serverVersion}`,
    `messages   ${
      nextOffset - firstOffset
    }, offsets from ${firstOffset} up to, not including, ${nextOffset}, all verified`,
    `to copy    ${files.length - there} files, ${
      formatBytes(report.copiedBytes)
    }${there > 0 ? `; ${there} are there already` : ""}`,
    ...replaces.map((name) => `replaces   ${name}, which is empty`),
    ...report.leaves.map((name) => `stays      ${name}`),
    ...report.consumerOffsets.map(({ kind, id, offset }) =>
      `stored     ${kind} ${id} has come to offset ${offset}`
    ),
  ];
}
