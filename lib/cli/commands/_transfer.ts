import { type Command, InvalidArgumentError, Option } from "commander";
import {
  type CarriedCursor,
  type CursorNames,
  exportToIggy,
  type IggyFormat,
  importFromIggy,
  type PartitionAddress,
  type TransferOptions,
  type TransferReport,
} from "../../iggy/mod.ts";
import { wholeNumber } from "../_amounts.ts";
import { command, type MakeCommand } from "../_command.ts";
import type { Console } from "../_console.ts";
import { formatBytes, formatCount } from "../_terminal.ts";

/** The options of `export` and `import`. */
interface Flags {
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
  /** Whether an import leaves out what a killed server left. */
  cutTornTail?: true;
  /** The format that an export writes. */
  format: IggyFormat;
  /** The cursors that become offsets of consumers. */
  consumer?: CursorNames;
  /** The cursors that become offsets of groups. */
  group?: CursorNames;
}

/** What the help of both commands says. */
const TRANSFER_HELP =
  `Everything is verified while it is copied, and the source stays as it is. A file gets its name
only when all files are durable. The same command completes an interrupted copy.

Give the partition by its directory, or by --iggy (the server's 'system.path'), --stream and
--topic. Up to Iggy 0.8 streams and topics have names and ids, and digits are an id. In Iggy 0.9
give ids. The server must not be running. The command notices a process that has a file of the
partition open, but not a server that starts later.`;

const EXPORT_HELP = `
${TRANSFER_HELP}

First create the stream and the topic with the server, and stop it. The copied files belong to the
user of this command, and the server must be able to write them.

Examples:
  basalt export data/log --to local_data/streams/0/topics/0/partitions/0 --dry-run
      verify, and show what would be done
  basalt export data/log --iggy local_data --stream 0 --topic 0
      do it; then start the server
  basalt export data/log --iggy local_data --stream orders --topic eu --format 0.8
      the same for a server up to 0.8
  basalt export data/log --iggy local_data --stream 0 --topic 0 --consumer 1=billing
      let consumer 1 continue where cursor billing stopped`;

/** `basalt export`: copies a closed log into a stopped Iggy server's partition. */
export const exportLog: MakeCommand = (console) => {
  const made = command(
    "export",
    "Copy a closed log into an empty partition of a stopped Iggy server.",
    EXPORT_HELP,
  ).argument("<dir>", "the log's directory");
  return transferOptions(made, "to")
    .addOption(
      new Option("--format <version>", "the server's format")
        .choices(["0.9", "0.8"]).default("0.9"),
    )
    .option(
      "--consumer <id=cursor>",
      "store a cursor's position for a consumer; may be repeated",
      cursorName,
    )
    .option(
      "--group <id=cursor>",
      "store it for a group of consumers; may be repeated",
      cursorName,
    )
    .action((dir: string, flags: Flags) => {
      const { format, consumer: consumers = {}, group: groups = {} } = flags;
      return transfer(made, "to", flags, console, (target, options) => {
        const { partition } = flags;
        const id = typeof target === "string" && partition !== undefined &&
          { partition };
        const all = { ...options, format, consumers, groups, ...id };
        return exportToIggy(dir, target, all);
      });
    });
};

/** Parses an id and the name of a cursor, and adds them to those before. */
function cursorName(text: string, before: CursorNames = {}): CursorNames {
  const [, id, name] = /^(\d+)=(.+)$/.exec(text) ?? [];
  if (id === undefined || name === undefined) {
    throw new InvalidArgumentError("Give an id and a cursor: 1=billing.");
  }
  if (Number(id) in before) {
    throw new InvalidArgumentError(`Give id ${id} once.`);
  }
  return { ...before, [Number(id)]: name };
}

const IMPORT_HELP = `
${TRANSFER_HELP}

The format is detected. Stored offsets of consumers and groups become cursors with names such as
consumer-7 and group-2.

Examples:
  basalt import data/log --from local_data/streams/0/topics/0/partitions/0
      make a log of a partition
  basalt import data/log --iggy local_data --stream orders --topic eu --dry-run --json
      what would be done, for another program`;

/** `basalt import`: copies a stopped Iggy server's partition into a log. */
export const importLog: MakeCommand = (console) => {
  const made = command(
    "import",
    "Copy a partition of a stopped Iggy server into a directory, as a log.",
    IMPORT_HELP,
  ).argument(
    "<dir>",
    "the directory that becomes a log; created if it does not exist",
  );
  return transferOptions(made, "from")
    .option(
      "--cut-torn-tail",
      "leave out what a killed server left after its last whole message",
    )
    .action((dir: string, flags: Flags) =>
      transfer(made, "from", flags, console, (source, options) => {
        const tornTail = flags.cutTornTail ? "cut" : "refuse";
        return importFromIggy(source, dir, { ...options, tornTail });
      })
    );
};

/** Adds the options that both commands share. */
function transferOptions(made: Command, flag: "from" | "to"): Command {
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
async function transfer(
  made: Command,
  flag: "from" | "to",
  flags: Flags,
  console: Console,
  copy: (
    partition: string | PartitionAddress,
    options: TransferOptions,
  ) => Promise<TransferReport>,
): Promise<void> {
  const report = await copy(partitionOf(made, flag, flags), {
    dryRun: flags.dryRun === true,
    onProgress: ({ bytes, totalBytes }) =>
      console.progress.show(() =>
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
  { [flag]: dir, iggy, stream, topic, partition }: Flags,
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
