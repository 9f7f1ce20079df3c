import type { Command } from "npm:commander@14.0.0";
import { takeOver as copy } from "../../iggy/mod.ts";
import { command } from "../command.ts";
import type { Console } from "../console.ts";
import { TRANSFER_NOTES, transferCommand } from "../transfer.ts";

/** `basalt take-over`: a stopped Iggy server's partition as a log. */
export function takeOver(console: Console): Command {
  const made = command(
    "take-over",
    "Copy a partition of a stopped Iggy server into a directory, as a log.",
    {
      notes: [
        ...TRANSFER_NOTES,
        "What consumers stored is told, not copied.",
      ],
      examples: [
        [
          "basalt take-over data/log --iggy local_data --stream orders --topic eu --yes",
          "make data/log of it",
        ],
        [
          "basalt take-over data/log --iggy local_data --stream 0 --topic 0 --partition 2 --json",
          "what would be done, for another program",
        ],
      ],
    },
  ).argument(
    "<dir>",
    "the directory that becomes a log; made if there is none",
  );
  return transferCommand(made, copy, console);
}
