import type { Command } from "commander";
import { LogReader } from "../../log/mod.ts";
import { ship as shipLog, type Shipping } from "../../ship/mod.ts";
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

/** How often progress and failures are looked at, in milliseconds. */
const LOOK_MS = 250;

interface Flags extends NatsFlags {
  to: string;
  cursor: string;
  once?: true;
  resumeFromCursor?: true;
}

const HELP = `
It goes on where the stream ends, and follows the log until Ctrl-C; failures of the servers are
waited for. Another process may write the log meanwhile.

The stream should have 'allow_atomic' (NATS 2.12 or later): without it one message is in flight
at a time.

${NATS_HELP}

Examples:
  basalt ship data/log --to nats://127.0.0.1:4222 --stream edge --subject edge.7
      ship what there is, and what comes
  basalt ship data/log --to nats://a:4222,nats://b:4222 --stream edge --subject edge.7 --creds edge.creds --once
      ship what there is, to a cluster`;

/** `basalt ship`: a log's messages to a JetStream stream. */
export function ship(console: Console): Command {
  const made = command(
    "ship",
    "Ship a log's durable messages to a subject of a NATS JetStream stream, each stored once.",
    HELP,
  )
    .argument("<dir>", "the log's directory")
    .requiredOption("--to <urls>", "the servers");
  return natsOptions(made)
    .option("--cursor <name>", "the cursor that remembers", "jetstream")
    .option("--once", "end at the end of the log")
    .option(
      "--resume-from-cursor",
      "go on at the cursor where the stream has less than it acknowledged",
    )
    .action((dir: string, flags: Flags) => run(dir, flags, console));
}

async function run(dir: string, flags: Flags, console: Console): Promise<void> {
  using interruption = new Interruption();
  const { signal } = interruption;
  const { to: servers, once = false } = flags;
  const settings = { servers, waits: !once, signal };
  const connection = await connectNats(flags, settings, console);
  // Disposing the connection itself would wait for servers that are down.
  await using closing = new AsyncDisposableStack();
  closing.defer(() => connection.close());
  const { stream, subject, cursor, resumeFromCursor } = flags;
  const { jetStreamSink } = await import("../../jetstream/mod.ts");
  const sink = jetStreamSink(connection, { stream, subject });
  const shipping = shipLog(new LogReader(dir), sink, {
    cursor,
    follow: !once,
    resumeFrom: resumeFromCursor ? "cursor" : "destination",
  });
  const watch = new Watch(shipping, console);
  try {
    await interruption.orElse(shipping.done);
  } finally {
    watch.stop();
    await shipping.close();
  }
  const { warnings: _, ...stats } = shipping.stats();
  if (flags.json) console.json(stats);
  const text = `${
    formatCount(stats.shippedMessages, "message")
  } of '${dir}' stored in stream '${stream}', which ends before offset ${
    stats.nextOffset ?? 0
  }`;
  if (signal.aborted) throw new Interrupted(`Interrupted: ${text}`);
  if (!flags.json) console.line(text);
}

/** Shows progress; tells warnings, and failures when they change. */
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
      this.#console.progress(() =>
        `${state} up to offset ${nextOffset}, ${
          Math.round(messagesPerSecond)
        } messages/s, ${lag ?? "?"} to go`
      );
      // What is wrong with the log ends the shipping, which tells it.
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
