import { Log, LogReader } from "../../log/mod.ts";
import {
  pull as pullInto,
  ship as shipLog,
  type Shipping,
} from "../../ship/mod.ts";
import { command, type MakeCommand } from "../_command.ts";
import type { Console } from "../_console.ts";
import { NATS_HELP, type NatsFlags, natsOptions, withNats } from "../_nats.ts";
import { formatCount } from "../_terminal.ts";

/** How often progress and failures are looked at, in milliseconds. */
const LOOK_MS = 250;

interface ShipFlags extends NatsFlags {
  to: string;
  cursor: string;
  once?: true;
  resumeFromCursor?: true;
}

interface PullFlags extends NatsFlags {
  from: string;
  follow?: true;
}

const SHIP_HELP = `
Shipping continues where the stream ends, and follows the log until Ctrl-C. It waits for servers
that fail. Another process may write the log meanwhile.

The stream should have 'allow_atomic' (NATS 2.12 or later). Without it only one message is in flight
at a time.

${NATS_HELP}

Examples:
  basalt ship data/log --to nats://127.0.0.1:4222 --stream edge --subject edge.7
      ship all messages, and those that follow
  basalt ship data/log --to nats://a:4222,nats://b:4222 --stream edge --subject edge.7 --creds edge.creds --once
      ship all messages to a cluster, and end`;

/** `basalt ship`: ships a log's messages to a JetStream stream. */
export const ship: MakeCommand = (console) => {
  const made = command(
    "ship",
    "Ship a log's durable messages to a subject of a NATS JetStream stream. Each is stored once.",
    SHIP_HELP,
  );
  return natsOptions(made, "to")
    .option(
      "--cursor <name>",
      "the cursor that keeps the position",
      "jetstream",
    )
    .option("--once", "end at the end of the log")
    .option(
      "--resume-from-cursor",
      "continue at the cursor if the stream has less than it acknowledged",
    )
    .action((dir: string, flags: ShipFlags) => {
      const { to: servers, once = false, stream, subject, cursor } = flags;
      const how = { ...flags, servers, waits: !once };
      return withNats(how, console, async (connection, interruption) => {
        const { jetStreamSink } = await import("../../jetstream/mod.ts");
        const sink = jetStreamSink(connection, { stream, subject });
        const shipping = shipLog(new LogReader(dir), sink, {
          cursor,
          follow: !once,
          resumeFrom: flags.resumeFromCursor ? "cursor" : "destination",
        });
        const watch = new Watch(shipping, console);
        try {
          await interruption.orElse(shipping.done);
        } finally {
          watch.stop();
          await shipping.close();
        }
        const { warnings: _, ...report } = shipping.stats();
        const { shippedMessages, nextOffset = 0 } = report;
        const count = formatCount(shippedMessages, "message");
        const text =
          `${count} of '${dir}' stored in stream '${stream}', which ends before offset ${nextOffset}`;
        return [report, text];
      });
    });
};

const PULL_HELP = `
The log is created if it does not exist. Otherwise pulling continues at its end. Shipped messages
get their old offsets again, and a missing message ends the command.

${NATS_HELP}

Examples:
  basalt pull data/restored --from nats://127.0.0.1:4222 --stream edge --subject edge.7
      restore a log that was shipped
  basalt pull data/commands --from nats://127.0.0.1:4222 --stream commands --subject commands.7 --follow
      bring messages to the edge as they come`;

/** `basalt pull`: appends a subject of a JetStream stream to a log. */
export const pull: MakeCommand = (console) => {
  const made = command(
    "pull",
    "Append the messages of a subject of a NATS JetStream stream to a log: the reverse of ship.",
    PULL_HELP,
  );
  return natsOptions(made, "from")
    .option("--follow", "continue with messages that come later, until Ctrl-C")
    .action((dir: string, flags: PullFlags) => {
      const { from: servers, follow = false, stream, subject } = flags;
      const how = { ...flags, servers, waits: follow };
      return withNats(how, console, async (connection, { signal }) => {
        const { jetStreamSource } = await import("../../jetstream/mod.ts");
        const source = jetStreamSource(connection, { stream, subject });
        await using log = await Log.open(dir);
        const report = await pullInto(source, log, {
          follow,
          signal,
          onProgress: (next) =>
            console.progress.show(() => `pulled up to ${next}`),
        });
        const count = formatCount(report.messages, "message");
        const text =
          `${count} durable in '${dir}', which ends before offset ${report.nextOffset}`;
        return [report, text];
      });
    });
};

/** Shows progress and warnings, and each failure once. */
class Watch {
  readonly #shipping: Shipping;
  readonly #console: Console;
  readonly #timer: ReturnType<typeof setInterval>;
  #lastError: string | undefined;
  #warnings = 0;

  constructor(shipping: Shipping, console: Console) {
    this.#shipping = shipping;
    this.#console = console;
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#tell();
  }

  #look(): void {
    this.#tell();
    this.#shipping.lag().then((lag) => {
      const { nextOffset = 0, messagesPerSecond, state } = this.#shipping
        .stats();
      if (state === "ended") return;
      const rate = Math.round(messagesPerSecond);
      this.#console.progress.show(() =>
        `${state} up to offset ${nextOffset}, ${rate} messages/s, ${
          lag ?? "?"
        } to go`
      );
      // A fault of the log ends the shipping, which reports it.
    }, () => {});
  }

  #tell(): void {
    const { lastError, warnings, state } = this.#shipping.stats();
    for (const warning of warnings.slice(this.#warnings)) {
      this.#console.error(`basalt: ${warning}`);
    }
    this.#warnings = warnings.length;
    if (state !== "retrying") this.#lastError = undefined;
    else if (lastError!.message !== this.#lastError) {
      this.#lastError = lastError!.message;
      this.#console.error(`basalt: ${this.#lastError}. Trying again`);
    }
  }
}
