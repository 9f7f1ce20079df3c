import { type Command, InvalidArgumentError, Option } from "commander";
import {
  type CursorNames,
  exportToIggy,
  type IggyFormat,
} from "../../iggy/mod.ts";
import { command } from "../_command.ts";
import type { Console } from "../_console.ts";
import {
  transfer,
  TRANSFER_HELP,
  type TransferFlags,
  transferOptions,
} from "../_transfer.ts";

interface Flags extends TransferFlags {
  format: IggyFormat;
  consumer?: CursorNames;
  group?: CursorNames;
}

const HELP = `
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
export function exportLog(console: Console): Command {
  const made = command(
    "export",
    "Copy a closed log into an empty partition of a stopped Iggy server.",
    HELP,
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
      const { format, partition, consumer = {}, group = {} } = flags;
      return transfer(
        made,
        "to",
        flags,
        console,
        (target, options) =>
          exportToIggy(dir, target, {
            ...options,
            format,
            consumers: consumer,
            groups: group,
            ...typeof target === "string" && partition !== undefined &&
              { partition },
          }),
      );
    });
}

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
