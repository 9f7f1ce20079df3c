/**
 * Shipping to three NATS servers, with a stream of three replicas, while processes are killed.
 *
 * `BASALT_SHIPPER_KILLS`, `BASALT_LEADER_KILLS` and `BASALT_OUTAGE_MS` make it longer.
 */
import { assert, assertEquals } from "@std/assert";
import type { NatsConnection } from "@nats-io/transport-node";
import { jetstreamManager } from "@nats-io/jetstream";
import { jetStreamSink } from "../../lib/jetstream/mod.ts";
import { Log } from "../../lib/log/mod.ts";
import { ship, type Shipping } from "../../lib/ship/mod.ts";
import { ALL } from "../permissions.ts";
import { Nats, SERVERS, sleep } from "./server.ts";
import { assertStored, makeStream, payloadOf, until } from "./support.ts";

function setting(name: string, otherwise: number): number {
  return Number(ALL ? Deno.env.get(name) ?? otherwise : otherwise);
}

const SHIPPER_KILLS = setting("BASALT_SHIPPER_KILLS", 24);
const LEADER_KILLS = setting("BASALT_LEADER_KILLS", 2);
const OUTAGE_MS = setting("BASALT_OUTAGE_MS", 4000);

/** Appends durably in the background, until it is disposed. */
class Producer implements AsyncDisposable {
  readonly log: Log;
  /** Durable appends so far. */
  appends = 0;
  /** The longest of them, in milliseconds; it may be set to 0. */
  slowestMs = 0;
  #isEnding = false;
  readonly #running: Promise<void>;

  constructor(log: Log, pauseMs: number) {
    this.log = log;
    this.#running = this.#run(pauseMs);
  }

  async #run(pauseMs: number): Promise<void> {
    while (!this.#isEnding) {
      const start = performance.now();
      // Several, so that batches have more than one.
      for (let i = 0; i < 5; i++) {
        this.log.append(payloadOf(this.log.nextOffset));
      }
      await this.log.whenDurable(this.log.nextOffset - 1);
      this.appends++;
      this.slowestMs = Math.max(this.slowestMs, performance.now() - start);
      await sleep(pauseMs);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnding = true;
    await this.#running;
  }
}

interface Parts {
  nats: Nats;
  connection: NatsConnection;
  dir: string;
  address: { stream: string; subject: string };
}

/**
 * Ships a log that a producer appends to, while something happens; then everything must be there.
 */
async function shipMeanwhile(
  parts: Parts,
  happens: (shipping: Shipping, producer: Producer) => Promise<void>,
): Promise<void> {
  const { connection, dir, address } = parts;
  await using log = await Log.open(dir);
  const sink = jetStreamSink(connection, { ...address, timeoutMs: 2000 });
  await using shipping = ship(log, sink, { cursor: "edge" });
  {
    await using producer = new Producer(log, 5);
    await happens(shipping, producer);
  }
  await until(() => shipping.stats().nextOffset === log.nextOffset, 60_000);
  await replicated(parts);
  const { nextOffset, identity } = log;
  await assertStored(connection, address, identity, nextOffset);
}

/** Waits until something more was acknowledged. */
async function advanced(shipping: Shipping): Promise<void> {
  const { shippedMessages } = shipping.stats();
  await until(
    () => shipping.stats().shippedMessages > shippedMessages,
    60_000,
  );
}

/** Waits until all replicas of a stream have all messages. */
async function replicated(
  { connection, address }: Parts,
): Promise<void> {
  const manager = await jetstreamManager(connection, { checkAPI: false });
  await until(async () => {
    try {
      const { cluster } = await manager.streams.info(address.stream);
      const { leader, replicas = [] } = cluster ?? {};
      return leader !== undefined && leader !== "" && replicas.length === 2 &&
        replicas.every(({ current, offline }) => current && offline !== true);
    } catch {
      return false;
    }
  }, 60_000);
}

/** Kills shippers of a log at random moments, each after the one before it. */
async function killShippers(parts: Parts, kills: number): Promise<void> {
  const { nats, dir, address } = parts;
  const child = new URL("shipper_child.ts", import.meta.url).pathname;
  for (let kill = 0; kill < kills; kill++) {
    await using process = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--quiet",
        "--no-check",
        "--allow-all",
        child,
        dir,
        address.stream,
        address.subject,
        ...nats.urls,
      ],
      stdin: "null",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const reader = process.stdout.getReader();
    await reader.read();
    // Some before the first message, most amidst them.
    await sleep(Math.random() ** 2 * 300);
    process.kill("SIGKILL");
    await reader.cancel();
  }
}

Deno.test("jetStreamSink() with three servers", {
  ignore: SERVERS.current === undefined,
}, async (t) => {
  await using nats = await Nats.start({ nodes: 3 });
  const connection = await nats.connect();
  const step = (name: string, run: (parts: Parts) => Promise<void>) =>
    t.step(name, async () => {
      const dir = Deno.makeTempDirSync({ prefix: "basalt_ship_" });
      const stream = `s${crypto.randomUUID().slice(0, 8)}`;
      const address = await makeStream(nats, connection, stream);
      try {
        await run({ nats, connection, dir, address });
      } finally {
        Deno.removeSync(dir, { recursive: true });
      }
    });
  try {
    await step(
      `${SHIPPER_KILLS} shippers killed at random lose nothing and store nothing twice`,
      async (parts) => {
        {
          await using log = await Log.open(parts.dir);
          await using _ = new Producer(log, 2);
          await killShippers(parts, SHIPPER_KILLS);
        }
        // The last one ships the rest.
        await shipMeanwhile(parts, advanced);
      },
    );
    await step(
      `the leader of the stream killed ${LEADER_KILLS} times: nothing is lost or stored twice`,
      (parts) =>
        shipMeanwhile(parts, async (shipping) => {
          for (let kill = 0; kill < LEADER_KILLS; kill++) {
            await advanced(shipping);
            const { stream } = parts.address;
            let leader: number | undefined;
            await until(async () => {
              leader = await nats.leader(connection, stream);
              return leader !== undefined;
            });
            await sleep(Math.random() * 200);
            await nats.stopNode(leader!);
            await advanced(shipping);
            nats.startNode(leader!);
            await replicated(parts);
          }
        }),
    );
    await step(
      "a leader that is paused: another one takes the messages",
      (parts) =>
        shipMeanwhile(parts, async (shipping) => {
          await advanced(shipping);
          const leader = await nats.leader(connection, parts.address.stream);
          nats.pause(leader!);
          try {
            await sleep(2500);
            await advanced(shipping);
          } finally {
            nats.resume(leader!);
          }
        }),
    );
    await step(
      `all servers down for ${OUTAGE_MS} ms: nothing is lost, and appending goes on as before`,
      (parts) =>
        shipMeanwhile(parts, async (shipping, producer) => {
          await advanced(shipping);
          const before = producer.appends;
          await sleep(OUTAGE_MS / 2);
          const during = producer.appends;
          await Promise.all(nats.nodes.map((node) => nats.stopNode(node)));
          await sleep(OUTAGE_MS);
          const after = producer.appends;
          const { state, lagMessages } = shipping.stats();
          for (const node of nats.nodes) nats.startNode(node);
          assertEquals(state, "retrying");
          assert(lagMessages! >= 5 * (after - during) - 5);
          // Twice the time, and servers that take nothing of the processor.
          assert(after - during >= during - before, "appends slowed down");
          await advanced(shipping);
        }),
    );
  } finally {
    await connection.close();
  }
});
