import type { Command } from "npm:commander@14.0.0";
import { handOver as copy } from "../../iggy/mod.ts";
import { command } from "../command.ts";
import type { Console } from "../console.ts";
import { TRANSFER_NOTES, transferCommand } from "../transfer.ts";

/** `basalt hand-over`: a closed log into a stopped Iggy server's partition. */
export function handOver(console: Console): Command {
  const made = command(
    "hand-over",
    "Copy a closed log into an empty partition of a stopped Iggy server.",
    {
      notes: [
        ...TRANSFER_NOTES,
        "Create the stream and the topic with the server first, and stop it.",
      ],
      examples: [
        [
          "basalt hand-over data/log --iggy local_data --stream orders --topic eu",
          "what would be done",
        ],
        [
          "basalt hand-over data/log --iggy local_data --stream orders --topic eu --yes",
          "do it; then start the server",
        ],
      ],
    },
  ).argument("<dir>", "the log's directory");
  return transferCommand(made, copy, console);
}
