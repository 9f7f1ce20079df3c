/** P10: the seed's workload in one process: four producers and four consumers at a rate, durable before acknowledged; and eight of either without a limit. */
import { BufferPool, LogReader } from "../../mod.ts";
import type { Context } from "./context.ts";
import { type Measured, P50, P99, Stopwatch, THROUGHPUT } from "./measure.ts";
import { scan } from "./p08_scan.ts";
import { iggyDirectory, type IggyRun, IggyServer } from "./references/iggy.ts";
import { rounds } from "./rounds.ts";
import { atMost, compareSides, type Row, type Side } from "./row.ts";
import { fileStream, logStream } from "./streams.ts";
import {
  BATCH,
  PAYLOAD_BYTES,
  type Stream,
  work,
  type Worked,
} from "./workload.ts";

const STREAMS = 4;
/** 500 MB/s in all: half of it is produced, half consumed. */
const PRODUCED_BYTES_PER_SECOND = 250e6;
const RUN_MS = 30_000;
const UNLIMITED_STREAMS = 8;
const UNLIMITED_BYTES = 2e9;
const SERVER = "over TCP, acknowledged from memory";

/** Measures P10. */
export async function p10(context: Context): Promise<Row[]> {
  const iggy = iggyDirectory(context, "P10, beside: a real Iggy server");
  return [
    ...await limited(context, iggy),
    ...iggy === undefined ? [] : await unlimited(context, iggy),
  ];
}

async function limited(
  context: Context,
  iggy: string | undefined,
): Promise<Row[]> {
  using on = new BufferPool();
  using off = new BufferPool({ enabled: false });
  const logs = (pool: BufferPool) => (ms: number) =>
    worked(context, ms, (path) => logStream(path, pool));
  const runs = await rounds(context, "P10", RUN_MS, {
    on: logs(on),
    off: logs(off),
    file: (ms) => worked(context, ms, fileStream),
  });
  const server = iggy === undefined
    ? undefined
    : await limitedServer(context, iggy);
  const consumers = (all: Worked[]): Measured[] =>
    all.map(({ consumers }) => consumers);
  const beside = (result: { p99: number } | undefined) =>
    result === undefined
      ? {}
      : { beside: `iggy-bench p99 ${result.p99} ms, ${SERVER}` };
  const file = "Deno.FsFile, syncData";
  return [
    compareSides(
      {
        id: "P10.produce",
        name: "4 producers at 250 MB/s, durable, p99 from due",
        goal: atMost(1),
        ...beside(server?.producers),
      },
      P99,
      { name: "Basalt", runs: runs.on },
      { name: file, runs: runs.file },
    ),
    compareSides(
      {
        id: "P10.consume",
        name: "4 tail consumers at 250 MB/s, p99 from due",
        goal: atMost(1),
        ...beside(server?.consumers),
      },
      P99,
      { name: "Basalt", runs: consumers(runs.on) },
      { name: file, runs: consumers(runs.file) },
    ),
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

async function worked(
  context: Context,
  ms: number,
  open: (path: string) => Promise<Stream>,
): Promise<Worked> {
  const dir = context.path("streams");
  Deno.mkdirSync(dir);
  const streams: Stream[] = [];
  for (let i = 0; i < STREAMS; i++) streams.push(await open(`${dir}/${i}`));
  try {
    return await work(streams, PRODUCED_BYTES_PER_SECOND, ms);
  } finally {
    for (const stream of streams) await stream.close();
    Deno.removeSync(dir, { recursive: true });
  }
}

async function limitedServer(
  context: Context,
  directory: string,
): Promise<IggyRun> {
  context.show("P10: iggy-bench at a rate");
  await using server = await IggyServer.start(context, directory, 2);
  const seconds = context.ms(RUN_MS) / 1e3;
  const total = Math.ceil(PRODUCED_BYTES_PER_SECOND * seconds / 1e6);
  return await server.bench([
    "--rate-limit",
    `${2 * PRODUCED_BYTES_PER_SECOND / 1e6}MB`,
    "--warmup-time",
    "0s",
    "--total-data",
    `${total}MB`,
  ], [
    "pinned-producer-and-consumer",
    "--producers",
    String(STREAMS),
    "--consumers",
    String(STREAMS),
  ]);
}

async function unlimited(
  context: Context,
  directory: string,
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
    produce: () => produceAll(dirs, bytes, pool),
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

/** Fills new logs, every batch awaited until it is durable. */
async function produceAll(
  dirs: readonly string[],
  bytes: number,
  pool: BufferPool,
): Promise<Measured> {
  for (const dir of dirs) {
    await Deno.remove(dir, { recursive: true }).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }
  const streams: Stream[] = [];
  for (const dir of dirs) streams.push(await logStream(dir, pool));
  const count = Math.max(
    1,
    Math.round(bytes / dirs.length / (BATCH * PAYLOAD_BYTES)),
  );
  const watch = new Stopwatch();
  await Promise.all(streams.map(async (stream) => {
    for (let batch = 0; batch < count; batch++) await stream.produce();
  }));
  const stopped = watch.stop();
  for (const stream of streams) await stream.close();
  const operations = count * dirs.length;
  return {
    ...stopped,
    operations,
    bytes: operations * BATCH * PAYLOAD_BYTES,
  };
}

/** Reads the logs at the same time, verified; bytes are those of the payloads, as iggy-bench counts them. */
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
