/**
 * P10: what the pool costs producers, and eight producers or consumers beside a real Iggy server.
 * W4 to W6 have the same workload beside files.
 */
import { BufferPool, LogReader } from "../../mod.ts";
import type { Context } from "./context.ts";
import { batchLogBytes } from "./logs.ts";
import { type Measured, P50, Stopwatch, THROUGHPUT } from "./measure.ts";
import { offeredRate } from "./offered.ts";
import { scan } from "./p08_scan.ts";
import { iggyDirectory, IggyServer } from "./references/iggy.ts";
import { rounds } from "./rounds.ts";
import { atMost, compareSides, type Row, type Side } from "./row.ts";
import { logStream, withStreams } from "./streams.ts";
import {
  BATCH,
  BATCH_BYTES,
  PAYLOAD_BYTES,
  type Stream,
  work,
  type Worked,
} from "./workload.ts";

const STREAMS = 4;
const RUN_MS = 3000;
const UNLIMITED_STREAMS = 8;
const UNLIMITED_BYTES = 2e9;
const SERVER = "over TCP, acknowledged from memory";

/** Measures P10. */
export async function p10(context: Context): Promise<Row[]> {
  const bytes = await batchLogBytes(context, BATCH, PAYLOAD_BYTES);
  const iggy = iggyDirectory(context, "P10, beside: a real Iggy server");
  return [
    ...await pooled(context, bytes),
    ...iggy === undefined ? [] : await unlimited(context, iggy, bytes),
  ];
}

async function pooled(
  context: Context,
  batchLogBytes: number,
): Promise<Row[]> {
  using on = new BufferPool();
  using off = new BufferPool({ enabled: false });
  const bytesPerSecond = await offeredRate(context, batchLogBytes);
  const run = (pool: BufferPool) => (ms: number): Promise<Worked> =>
    withStreams(
      context,
      STREAMS,
      logStream,
      { batchLogBytes, consumers: 1, pool },
      (streams) => work(streams, { producers: STREAMS, bytesPerSecond, ms }),
    );
  const runs = await rounds(context, "P10", RUN_MS, {
    on: run(on),
    off: run(off),
  });
  return [
    compareSides(
      {
        id: "P10.pool",
        name: "the producers' p50, pool on by pool off",
        goal: atMost(1.02),
      },
      P50,
      { name: "pool on", runs: runs.on },
      { name: "pool off", runs: runs.off },
    ),
  ];
}

async function unlimited(
  context: Context,
  directory: string,
  batchLogBytes: number,
): Promise<Row[]> {
  using pool = new BufferPool();
  await using server = await IggyServer.start(context, directory, 1);
  const bytes = context.bytes(UNLIMITED_BYTES);
  const bench = async (actors: "producer" | "consumer"): Promise<Measured> => {
    const run = await server.bench(
      ["--total-data", `${Math.ceil(bytes / 1e6)}MB`],
      [`pinned-${actors}`, `--${actors}s`, String(UNLIMITED_STREAMS)],
    );
    return (run.producers ?? run.consumers)!;
  };
  const dirs = Array.from(
    { length: UNLIMITED_STREAMS },
    (_, i) => context.path(`unlimited-${i}`),
  );
  const runs = await rounds(context, "P10, unlimited", 0, {
    produce: () => produceAll(dirs, bytes, batchLogBytes, pool),
    iggyProduce: () => bench("producer"),
    consume: () => consumeAll(dirs, pool),
    iggyConsume: () => bench("consumer"),
  });
  for (const dir of dirs) Deno.removeSync(dir, { recursive: true });
  const row = (id: string, name: string, own: Measured[], theirs: Side): Row =>
    compareSides(
      { id, name },
      THROUGHPUT,
      { name: "Basalt", runs: own },
      theirs,
    );
  return [
    row(
      "P10.producers",
      "8 producers without a limit, durable",
      runs.produce,
      {
        name: `iggy-bench, 8 pinned producers, ${SERVER}`,
        runs: runs.iggyProduce,
      },
    ),
    row("P10.consumers", "8 consumers without a limit", runs.consume, {
      name: "iggy-bench, 8 pinned consumers, over TCP",
      runs: runs.iggyConsume,
    }),
  ];
}

/** Fills new logs, and awaits the durability of every batch. */
async function produceAll(
  dirs: readonly string[],
  bytes: number,
  batchLogBytes: number,
  pool: BufferPool,
): Promise<Measured> {
  for (const dir of dirs) {
    await Deno.remove(dir, { recursive: true }).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }
  const streams: Stream[] = [];
  for (const dir of dirs) {
    streams.push(await logStream(dir, { batchLogBytes, pool }));
  }
  const count = Math.max(
    1,
    Math.round(bytes / dirs.length / BATCH_BYTES),
  );
  const watch = new Stopwatch();
  await Promise.all(streams.map(async (stream) => {
    for (let batch = 0; batch < count; batch++) await stream.produce(() => {});
  }));
  const stopped = watch.stop();
  for (const stream of streams) await stream.close();
  const operations = count * dirs.length;
  return {
    ...stopped,
    operations,
    bytes: operations * BATCH_BYTES,
  };
}

/** Reads the logs concurrently, with verification. It counts payload bytes, like iggy-bench. */
async function consumeAll(
  dirs: readonly string[],
  pool: BufferPool,
): Promise<Measured> {
  const watch = new Stopwatch();
  const scans = await Promise.all(
    dirs.map((dir) => scan(new LogReader(dir, { pool }), 0)),
  );
  const operations = scans.reduce((sum, each) => sum + each.operations, 0);
  return { ...watch.stop(), operations, bytes: operations * PAYLOAD_BYTES };
}
