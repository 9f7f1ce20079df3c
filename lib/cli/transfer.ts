import type { Command } from "commander";
import type {
  CarriedCursor,
  PartitionAddress,
  TransferOptions,
  TransferReport,
} from "../iggy/mod.ts";
import { wholeNumber } from "./amounts.ts";
import type { Console } from "./console.ts";
import { formatBytes, formatCount } from "./terminal.ts";

/** The options that both commands have. */
export interface TransferFlags {
  /** The server's data directory. */
  iggy?: string;
  /** The stream's name or id. */
  stream?: number | string;
  /** The topic's name or id. */
  topic?: number | string;
  /** The partition's id. */
  partition?: number;
  /** Change nothing. */
  dryRun?: true;
  /** Report as JSON. */
  json?: true;
}

/** What the help of both commands says. */
export const TRANSFER_HELP =
  `Everything is verified while it is copied. The source stays as it is, nothing gets its name
before all of it is durable, and the same command completes an interrupted copy.

A partition is given by its directory, or by --iggy (the server's 'system.path'), --stream and
--topic. Streams and topics of Iggy up to 0.8 go by name or by id, and digits are an id; those of
Iggy 0.9 go by id. The server must not be running: a process with a file of the partition open is
noticed, a server that starts meanwhile is not.`;

/** Adds to a command what both have in common. */
export function transferOptions(made: Command, flag: string): Command {
  return made
    .option(`--${flag} <directory>`, "the partition's directory")
    .option("--iggy <directory>", "the server's data directory")
    .option("--stream <stream>", "the stream's name or id", address)
    .option("--topic <topic>", "the topic's name or id", address)
    .option("--partition <id>", "the partition's id", wholeNumber)
    .option("--dry-run", "verify and tell, but change nothing")
    .option("--json", "report as JSON");
}

function address(text: string): number | string {
  return /^\d+$/.test(text) ? wholeNumber(text) : text;
}

/**
 * Returns the partition that the options name.
 *
 * @throws {InvalidArgumentError} If they name none, or two.
 */
export function partitionOf(
  made: Command,
  flag: string,
  dir: string | undefined,
  { iggy, stream, topic, partition }: TransferFlags,
): string | PartitionAddress {
  const isAddress = iggy !== undefined && stream !== undefined &&
    topic !== undefined && dir === undefined;
  if (isAddress) {
    return {
      dataDirectory: iggy,
      stream,
      topic,
      ...partition !== undefined && { partition },
    };
  }
  const isPath = dir !== undefined && iggy === undefined &&
    stream === undefined && topic === undefined;
  if (isPath) return dir;
  return made.error(
    `error: give --${flag}, or --iggy with --stream and --topic`,
  );
}

/** Returns the options of the library for those of the command. */
export function settingsOf(
  flags: TransferFlags,
  console: Console,
): TransferOptions {
  return {
    dryRun: flags.dryRun === true,
    onProgress: ({ bytes, totalBytes }) =>
      console.progress(() =>
        `copied ${formatBytes(bytes)} of ${formatBytes(totalBytes)}`
      ),
  };
}

/** Shows a report. */
export function show(
  report: TransferReport,
  flags: TransferFlags,
  console: Console,
): void {
  if (flags.json) return console.json(report);
  for (const line of inWords(report)) console.line(line);
  console.line(
    report.isDone
      ? "Done."
      : "Nothing was changed: the same without --dry-run does it.",
  );
}

function inWords(report: TransferReport): string[] {
  const { firstOffset, nextOffset, splits, files } = report;
  const there = files.filter(({ wasThere }) => wasThere).length;
  const format = report.format ?? "0.9, without messages";
  return [
    `from       ${report.from}`,
    `to         ${report.to}`,
    `partition  ${report.partition}, Iggy ${format}`,
    `messages   ${report.messages}, offsets [${firstOffset}, ${nextOffset}), all verified`,
    `batches    ${report.batches}`,
    `segments   ${report.segments}, ${formatBytes(report.bytesWritten)}${
      there > 0 ? `; ${formatCount(there, "file")} of them from before` : ""
    }`,
    ...counted(splits.batchesByLength, "batches split at 1 MiB"),
    ...counted(splits.batchesByTime, "batches split for their producer times"),
    ...counted(splits.segments, "segments split at 1 GiB"),
    ...counted(report.producersRemoved, "producer sections removed"),
    ...counted(report.zerosCut, "bytes of zeros after the data left out"),
    ...counted(report.tornBytesCut, "bytes of a torn tail left out"),
    ...report.replaces.map((name) => `replaces   ${name}, which is empty`),
    ...report.leaves.map((name) => `stays      ${name}`),
    ...report.cursors.map(carriedInWords),
    ...strangers(report),
  ];
}

function carriedInWords(
  { cursor, kind, id, position, sourcePosition, wasThere }: CarriedCursor,
): string {
  const moved = position === sourcePosition
    ? ""
    : `; it was at ${sourcePosition}, where there is no message`;
  const there = wasThere ? "; it was there already" : "";
  return `cursor     ${cursor} at offset ${position} is ${kind} ${id}${moved}${there}`;
}

/** Offsets in the target of an export that no cursor accounts for. */
function strangers({ cursors, consumerOffsets }: TransferReport): string[] {
  return consumerOffsets
    .filter(({ kind, id }) =>
      !cursors.some((each) => each.kind === kind && each.id === id)
    )
    .map(({ kind, id, offset }) =>
      `stored     ${kind} ${id} has come to offset ${offset}`
    );
}

function counted(count: number, what: string): string[] {
  return count === 0 ? [] : [`note       ${count} ${what}`];
}
