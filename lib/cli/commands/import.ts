import type { Command } from "commander";
import { importFromIggy } from "../../iggy/mod.ts";
import { command } from "../command.ts";
import type { Console } from "../console.ts";
import {
  partitionOf,
  settingsOf,
  show,
  TRANSFER_HELP,
  type TransferFlags,
  transferOptions,
} from "../transfer.ts";

interface Flags extends TransferFlags {
  from?: string;
  cutTornTail?: true;
}

const HELP = `
${TRANSFER_HELP}

The format is detected. Consumers and groups that the server knows become cursors: consumer-7,
group-2.

Examples:
  basalt import data/log --from local_data/streams/0/topics/0/partitions/0
      make data/log of it
  basalt import data/log --iggy local_data --stream orders --topic eu --dry-run --json
      what would be done, for another program`;

/** `basalt import`: a stopped Iggy server's partition as a log. */
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
    .action(async (dir: string, flags: Flags) => {
      const { from, cutTornTail } = flags;
      const source = partitionOf(made, "from", from, flags);
      const report = await importFromIggy(source, dir, {
        ...settingsOf(flags, console),
        tornTail: cutTornTail ? "cut" : "refuse",
      });
      show(report, flags, console);
    });
}
