/**
 * Shipping to three NATS servers, with a stream of three replicas, while processes are killed.
 *
 * `BASALT_SHIPPER_KILLS` and `BASALT_LEADER_KILLS` set the number of kills.
 */
import { assert, assertEquals } from "@std/assert";
import type { NatsConnection } from "@nats-io/transport-node";
import { jetstreamManager } from "@nats-io/jetstream";
import { jetStreamSink } from "../../lib/jetstream/mod.ts";
import { Log } from "../../lib/log/mod.ts";
import { ship, type Shipping } from "../../lib/ship/mod.ts";
import { ALL } from "../permissions.ts";
import { Nats, SERVERS, sleep } from "./_server.ts";
import { assertStored, makeStream, payloadOf, until } from "./_support.ts";

function setting(name: string, otherwise: number): number {
  return Number(ALL ? Deno.env.get(name) ?? otherwise : otherwise);
}

const SHIPPER_KILLS = setting("BASALT_SHIPPER_KILLS", 300);
const LEADER_KILLS = setting("BASALT_LEADER_KILLS", 30);
/**
 * Number of clusters with kills at the same time. Most of the time, each of them elects a leader.
 */
const CLUSTERS = 3;

/** Appends durably in the background, until it is disposed. */
class Producer implements AsyncDisposable {
  readonly log: Log;
  /** Number of durable appends so far. */
  appends = 0;
  /** The longest of them, in milliseconds. It may be set to 0. */
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
      // Several, so that batches have more than one message.
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

interface Cluster {
  nats: Nats;
  connection: NatsConnection;
}

interface Parts extends Cluster {
  dir: string;
  address: { stream: string; subject: string };
}

async function withCluster<T>(
  run: (cluster: Cluster) => Promise<T>,
): Promise<T> {
  await using nats = await Nats.start({ nodes: 3 });
  await using connection = await nats.connect();
  return await run({ nats, connection });
}

/** Runs something with a stream of its own, and a directory for the log. */
async function withStream<T>(
  cluster: Cluster,
  run: (parts: Parts) => Promise<T>,
): Promise<T> {
  const dir = Deno.makeTempDirSync({ prefix: "basalt_ship_" });
  const stream = `s${crypto.randomUUID().slice(0, 8)}`;
  const { nats, connection } = cluster;
  const address = await makeStream(nats, connection, stream);
  try {
    return await run({ ...cluster, dir, address });
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}

/**
 * Ships a log that a producer appends to, while something happens. Then everything must be there.
 *
 * @returns The number of messages.
 */
async function shipMeanwhile(
  parts: Parts,
  happens: (shipping: Shipping, producer: Producer) => Promise<void>,
): Promise<number> {
  const { connection, dir, address } = parts;
  await using log = await Log.open(dir);
  const sink = jetStreamSink(connection, { ...address, timeoutMs: 2000 });
  await using shipping = ship(log, sink, { cursor: "edge" });
  {
    await using producer = new Producer(log, 10);
    await happens(shipping, producer);
  }
  await until(() => shipping.stats().nextOffset === log.nextOffset, 60_000);
  await replicated(parts);
  const { nextOffset, identity } = log;
  await assertStored(connection, address, identity, nextOffset);
  return nextOffset;
}

/** Waits until more messages are acknowledged. */
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

/**
 * Kills shippers of a log at random moments, one after the other.
 *
 * @returns The number of messages.
 */
async function killShippers(parts: Parts, kills: number): Promise<number> {
  const { nats, dir, address } = parts;
  const child = new URL("shipper_child.ts", import.meta.url).pathname;
  const shipper = new Deno.Command(Deno.execPath(), {
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
  });
  {
    await using log = await Log.open(dir);
    await using _ = new Producer(log, 10);
    for (let kill = 0; kill < kills; kill++) {
      await using process = shipper.spawn();
      const reader = process.stdout.getReader();
      await reader.read();
      // Some before the first message, most of them later.
      await sleep(Math.random() ** 2 * 300);
      process.kill("SIGKILL");
      await reader.cancel();
      assertEquals((await process.status).signal, "SIGKILL");
    }
  }
  // The last one ships the rest.
  return await shipMeanwhile(parts, advanced);
}

/** Kills the leader of a stream repeatedly. Returns the number of messages. */
function killLeaders(parts: Parts, kills: number): Promise<number> {
  const { nats, connection, address } = parts;
  return shipMeanwhile(parts, async (shipping) => {
    for (let kill = 0; kill < kills; kill++) {
      await advanced(shipping);
      let leader: number | undefined;
      await until(async () => {
        leader = await nats.leader(connection, address.stream);
        return leader !== undefined;
      });
      await sleep(Math.random() * 200);
      await nats.stopNode(leader!);
      await advanced(shipping);
      nats.startNode(leader!);
      await replicated(parts);
    }
  });
}

/** Returns a cluster's share of kills. */
function share(kills: number, cluster: number): number {
  return Math.floor((kills + cluster) / CLUSTERS);
}

const ignore = SERVERS.current === undefined;

Deno.test(
  `jetStreamSink() loses nothing and stores nothing twice while ${SHIPPER_KILLS} shippers and ${LEADER_KILLS} leaders are killed`,
  { ignore },
  async () => {
    const counts = await Promise.all(
      Array.from(
        { length: CLUSTERS },
        (_, i) =>
          withCluster((cluster) =>
            Promise.all([
              withStream(
                cluster,
                (parts) => killShippers(parts, share(SHIPPER_KILLS, i)),
              ),
              withStream(
                cluster,
                (parts) => killLeaders(parts, share(LEADER_KILLS, i)),
              ),
            ])
          ),
      ),
    );
    const [shipped, led] = [0, 1].map((i) =>
      counts.reduce((sum, count) => sum + count[i]!, 0)
    );
    console.log(
      `${SHIPPER_KILLS} shippers killed: ${shipped} messages; ${LEADER_KILLS} leaders killed: ${led} messages`,
    );
  },
);

Deno.test(
  "jetStreamSink() with three servers",
  { ignore },
  (t) =>
    withCluster(async (cluster) => {
      const { nats, connection } = cluster;
      await t.step(
        "a paused leader: another server takes the messages",
        () =>
          withStream(cluster, async (parts) => {
            await shipMeanwhile(parts, async (shipping) => {
              await advanced(shipping);
              const leader = await nats.leader(
                connection,
                parts.address.stream,
              );
              nats.pause(leader!);
              try {
                await sleep(2500);
                await advanced(shipping);
              } finally {
                nats.resume(leader!);
              }
            });
          }),
      );
      await t.step(
        `all servers down for 30 s: nothing is lost, and appending continues as before`,
        () =>
          withStream(cluster, async (parts) => {
            await shipMeanwhile(parts, async (shipping, producer) => {
              await advanced(shipping);
              const ratePerSecond = async (seconds: number) => {
                const before = producer.appends;
                await sleep(seconds * 1000);
                return (producer.appends - before) / seconds;
              };
              const before = await ratePerSecond(2);
              const appends = producer.appends;
              await Promise.all(nats.nodes.map((node) => nats.stopNode(node)));
              const during = await ratePerSecond(30);
              const { state, lagMessages } = shipping.stats();
              for (const node of nats.nodes) nats.startNode(node);
              assertEquals(state, "retrying");
              assert(lagMessages! >= 5 * (producer.appends - appends) - 5);
              assert(
                during >= before / 2,
                `${during} appends/s, and ${before} before`,
              );
              await advanced(shipping);
            });
          }),
      );
    }),
);
