import type { Command } from "commander";
import { importFromIggy } from "../../iggy/mod.ts";
import { command } from "../_command.ts";
import type { Console } from "../_console.ts";
import {
  transfer,
  TRANSFER_HELP,
  type TransferFlags,
  transferOptions,
} from "../_transfer.ts";

interface Flags extends TransferFlags {
  cutTornTail?: true;
}

const HELP = `
${TRANSFER_HELP}

The format is detected. Stored offsets of consumers and groups become cursors with names such as
consumer-7 and group-2.

Examples:
  basalt import data/log --from local_data/streams/0/topics/0/partitions/0
      make a log of a partition
  basalt import data/log --iggy local_data --stream orders --topic eu --dry-run --json
      what would be done, for another program`;

/** `basalt import`: copies a stopped Iggy server's partition into a log. */
export function importLog(console: Console): Command {
  const made = command(
    "import",
    "Copy a partition of a stopped Iggy server into a directory, as a log.",
    HELP,
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
}
