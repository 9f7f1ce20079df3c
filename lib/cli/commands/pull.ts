import type { Command } from "commander";
import { Log } from "../../log/mod.ts";
import { pull as pullInto } from "../../ship/mod.ts";
import { command } from "../command.ts";
import type { Console } from "../console.ts";
import { Interrupted, Interruption } from "../interruption.ts";
import {
  connectNats,
  NATS_HELP,
  type NatsFlags,
  natsOptions,
} from "../nats.ts";
import { formatCount } from "../terminal.ts";

interface Flags extends NatsFlags {
  from: string;
  follow?: true;
}

const HELP = `
The log is created if it does not exist; otherwise pulling goes on at its end.
Messages that were shipped get their offsets again: a missing message ends the command.

${NATS_HELP}

Examples:
  basalt pull data/restored --from nats://127.0.0.1:4222 --stream edge --subject edge.7
      restore a log that was shipped
  basalt pull data/commands --from nats://127.0.0.1:4222 --stream commands --subject commands.7 --follow
      take messages to the edge as they come`;

/** `basalt pull`: a subject of a JetStream stream as a log. */
export function pull(console: Console): Command {
  const made = command(
    "pull",
    "Append the messages of a subject of a NATS JetStream stream to a log: the way back of ship.",
    HELP,
  )
    .argument("<dir>", "the log's directory")
    .requiredOption("--from <urls>", "the servers");
  return natsOptions(made)
    .option("--follow", "go on with messages that come later, until Ctrl-C")
    .action((dir: string, flags: Flags) => run(dir, flags, console));
}

async function run(dir: string, flags: Flags, console: Console): Promise<void> {
  using interruption = new Interruption();
  const { signal } = interruption;
  const { from: servers, follow = false, stream, subject } = flags;
  const settings = { servers, waits: follow, signal };
  const connection = await connectNats(flags, settings, console);
  // Disposing the connection itself would wait for servers that are down.
  await using closing = new AsyncDisposableStack();
  closing.defer(() => connection.close());
  const { jetStreamSource } = await import("../../jetstream/mod.ts");
  const source = jetStreamSource(connection, { stream, subject });
  await using log = await Log.open(dir);
  const report = await pullInto(source, log, {
    follow,
    signal,
    onProgress: (next) => console.progress(() => `pulled up to ${next}`),
  });
  if (flags.json) console.json(report);
  const text = `${
    formatCount(report.messages, "message")
  } durable in '${dir}', which ends before offset ${report.nextOffset}`;
  if (signal.aborted) throw new Interrupted(`Interrupted: ${text}`);
  if (!flags.json) console.line(text);
}
