import type { Command } from "commander";
import { Log } from "../../log/mod.ts";
import { pull as pullInto } from "../../ship/mod.ts";
import { command } from "../_command.ts";
import type { Console } from "../_console.ts";
import { NATS_HELP, type NatsFlags, natsOptions, withNats } from "../_nats.ts";
import { formatCount } from "../_terminal.ts";

interface Flags extends NatsFlags {
  from: string;
  follow?: true;
}

const HELP = `
The log is created if it does not exist. Otherwise pulling continues at its end. Shipped messages
get their old offsets again, and a missing message ends the command.

${NATS_HELP}

Examples:
  basalt pull data/restored --from nats://127.0.0.1:4222 --stream edge --subject edge.7
      restore a log that was shipped
  basalt pull data/commands --from nats://127.0.0.1:4222 --stream commands --subject commands.7 --follow
      bring messages to the edge as they come`;

/** `basalt pull`: appends a subject of a JetStream stream to a log. */
export function pull(console: Console): Command {
  const made = command(
    "pull",
    "Append the messages of a subject of a NATS JetStream stream to a log: the reverse of ship.",
    HELP,
  )
    .argument("<dir>", "the log's directory")
    .requiredOption("--from <urls>", "the servers");
  return natsOptions(made)
    .option("--follow", "continue with messages that come later, until Ctrl-C")
    .action((dir: string, flags: Flags) => {
      const { from: servers, follow = false, stream, subject } = flags;
      const how = { ...flags, servers, waits: follow };
      return withNats(how, console, async (connection, { signal }) => {
        const { jetStreamSource } = await import("../../jetstream/mod.ts");
        const source = jetStreamSource(connection, { stream, subject });
        await using log = await Log.open(dir);
        const report = await pullInto(source, log, {
          follow,
          signal,
          onProgress: (next) => console.progress(() => `pulled up to ${next}`),
        });
        const count = formatCount(report.messages, "message");
        const text =
          `${count} durable in '${dir}', which ends before offset ${report.nextOffset}`;
        return [report, text];
      });
    });
}
