import type { Command } from "commander";
import type {
  CarriedCursor,
  PartitionAddress,
  TransferOptions,
  TransferReport,
} from "../iggy/mod.ts";
import { wholeNumber } from "./_amounts.ts";
import type { Console } from "./_console.ts";
import { formatBytes, formatCount } from "./_terminal.ts";

/** The options that `export` and `import` share. */
export interface TransferFlags {
  /** The directory of the partition that is imported. */
  from?: string;
  /** The directory of the partition that gets an export. */
  to?: string;
  /** The server's data directory. */
  iggy?: string;
  /** The stream's name or id. */
  stream?: number | string;
  /** The topic's name or id. */
  topic?: number | string;
  /** The partition's id. */
  partition?: number;
  /** Whether nothing is changed. */
  dryRun?: true;
  /** Whether to report as JSON. */
  json?: true;
}

/** What the help of both commands says. */
export const TRANSFER_HELP =
  `Everything is verified while it is copied, and the source stays as it is. A file gets its name
only when all files are durable. The same command completes an interrupted copy.

Give the partition by its directory, or by --iggy (the server's 'system.path'), --stream and
--topic. Up to Iggy 0.8 streams and topics have names and ids, and digits are an id. In Iggy 0.9
give ids. The server must not be running. The command notices a process that has a file of the
partition open, but not a server that starts later.`;

/** Adds the options that both commands share. */
export function transferOptions(
  made: Command,
  flag: "from" | "to",
): Command {
  return made
    .option(`--${flag} <directory>`, "the partition's directory")
    .option("--iggy <directory>", "the server's data directory")
    .option("--stream <stream>", "the stream's name or id", address)
    .option("--topic <topic>", "the topic's name or id", address)
    .option("--partition <id>", "the partition's id", wholeNumber)
    .option("--dry-run", "verify and report, but change nothing")
    .option("--json", "report as JSON");
}

function address(text: string): number | string {
  return /^\d+$/.test(text) ? wholeNumber(text) : text;
}

/**
 * Copies from or to the partition that the options name, and shows the report.
 *
 * @param copy Copies with these options of the library.
 */
export async function transfer(
  made: Command,
  flag: "from" | "to",
  flags: TransferFlags,
  console: Console,
  copy: (
    partition: string | PartitionAddress,
    options: TransferOptions,
  ) => Promise<TransferReport>,
): Promise<void> {
  const report = await copy(partitionOf(made, flag, flags), {
    dryRun: flags.dryRun === true,
    onProgress: ({ bytes, totalBytes }) =>
      console.progress(() =>
        `copied ${formatBytes(bytes)} of ${formatBytes(totalBytes)}`
      ),
  });
  if (flags.json) return console.json(report);
  for (const line of describe(report)) console.text(line, " ".repeat(11));
  console.text(
    report.isDone
      ? "Done."
      : "Nothing was changed. Leave out --dry-run to copy.",
  );
}

/** Returns the partition that the options name; ends with wrong use if they name none, or two. */
function partitionOf(
  made: Command,
  flag: "from" | "to",
  { [flag]: dir, iggy, stream, topic, partition }: TransferFlags,
): string | PartitionAddress {
  if (dir !== undefined) {
    if ((iggy ?? stream ?? topic) === undefined) return dir;
  } else if (
    iggy !== undefined && stream !== undefined && topic !== undefined
  ) {
    const id = partition !== undefined && { partition };
    return { dataDirectory: iggy, stream, topic, ...id };
  }
  return made.error(
    `error: give --${flag}, or --iggy with --stream and --topic`,
  );
}

function describe(report: TransferReport): string[] {
  const { firstOffset, nextOffset, splits, files, cursors } = report;
  const existing = files.filter(({ wasThere }) => wasThere).length;
  const format = report.format ?? "0.9, without messages";
  const notes: [count: number, what: string][] = [
    [splits.batchesByLength, "batches split at 1 MiB"],
    [splits.batchesByTime, "batches split for their producer times"],
    [splits.segments, "segments split at 1 GiB"],
    [report.producersRemoved, "producer sections removed"],
    [report.zerosCut, "bytes of zeros after the data left out"],
    [report.tornBytesCut, "bytes of a torn tail left out"],
  ];
  const strangers = report.consumerOffsets.filter(({ kind, id }) =>
    !cursors.some((each) => each.kind === kind && each.id === id)
  );
  return [
    `from       ${report.from}`,
    `to         ${report.to}`,
    `partition  ${report.partition}, Iggy ${format}`,
    `messages   ${report.messages}, offsets [${firstOffset}, ${nextOffset}), all verified`,
    `batches    ${report.batches}`,
    `segments   ${report.segments}, ${formatBytes(report.bytesWritten)}${
      existing > 0 ? `; ${formatCount(existing, "file")} existed before` : ""
    }`,
    ...notes.filter(([count]) => count > 0)
      .map(([count, what]) => `note       ${count} ${what}`),
    ...report.replaces.map((name) => `replaces   ${name}, which is empty`),
    ...report.leaves.map((name) => `stays      ${name}`),
    ...cursors.map((each) => `cursor     ${describeCursor(each)}`),
    ...strangers.map(({ kind, id, offset }) =>
      `stored     ${kind} ${id} is at offset ${offset}`
    ),
  ];
}

function describeCursor(
  { cursor, kind, id, position, sourcePosition, wasThere }: CarriedCursor,
): string {
  const moved = position === sourcePosition
    ? ""
    : `; it was at ${sourcePosition}, where there is no message`;
  const there = wasThere ? "; it existed before" : "";
  return `${cursor} at offset ${position} is ${kind} ${id}${moved}${there}`;
}
