/**
 * P11: resources besides time: CPU per GB, pages in the page cache, memory over ten million
 * messages.
 */
import { BufferPool, DirectFile, LogReader } from "../../mod.ts";
import type { Context } from "./context.ts";
import { readDirect, touchedBuffers, writeDirect } from "./direct.ts";
import { writtenLog } from "./logs.ts";
import { CPU_PER_GB } from "./measure.ts";
import { runProgram } from "./programs/run.ts";
import { fio, hasFio } from "./references/fio.ts";
import { rounds } from "./rounds.ts";
import { atMost, compareSides, ownFigure, type Row } from "./row.ts";
import { scan } from "./p08_scan.ts";
import { DATA_BYTES, MIB } from "./sizes.ts";

const DEPTH = 8;
/**
 * Duration of appending ten million messages, long enough for a meaningful slope in MiB a minute.
 */
const STEADY_MS = 120_000;
/**
 * Starts V8's young generation at its full size. Otherwise it doubles up to that size within
 * minutes, in steps of up to 24 MiB, even in programs that keep nothing, and the slope would be
 * that of the steps.
 */
const STEADY_HEAP = [
  "--v8-flags=--min-semi-space-size=16,--max-semi-space-size=16",
];

/** Measures P11. */
export async function p11(context: Context): Promise<Row[]> {
  return [
    ...await cpu(context),
    await cachedPages(context),
    await memory(context),
  ];
}

async function cpu(context: Context): Promise<Row[]> {
  if (!await hasFio(context, "P11.cpuRead, P11.cpuWrite")) return [];
  const data = await context.file("data", DATA_BYTES);
  const scratch = await context.file("scratch", DATA_BYTES);
  using pool = new BufferPool();
  const buffers = touchedBuffers(pool, DEPTH, MIB);
  const side = (file: string, rw: "read" | "write") => (ms: number) =>
    fio(context, {
      file,
      rw,
      blockBytes: MIB,
      depth: DEPTH,
      engine: "io_uring",
      ms,
    });
  const runs = await rounds(context, "P11", 1000, {
    read: (ms) => readDirect(data, buffers, ms),
    fioRead: side(data, "read"),
    write: (ms) => writeDirect(scratch, buffers, ms),
    fioWrite: side(scratch, "write"),
  });
  for (const buffer of buffers) buffer.drop();
  const row = (
    id: string,
    name: string,
    own: typeof runs.read,
    theirs: typeof runs.read,
  ): Row =>
    compareSides(
      { id, name, goal: atMost(1.2) },
      CPU_PER_GB,
      { name: "Basalt", runs: own },
      { name: "fio io_uring", runs: theirs },
    );
  return [
    row("P11.cpuRead", "CPU per GB read", runs.read, runs.fioRead),
    row("P11.cpuWrite", "CPU per GB written", runs.write, runs.fioWrite),
  ];
}

/**
 * Counts the pages that a log leaves in the page cache after it was written and read, in each of
 * its files.
 */
async function cachedPages(context: Context): Promise<Row> {
  using pool = new BufferPool();
  const dir = await writtenLog(context, "cached", 1000, DATA_BYTES / 8, pool);
  await scan(new LogReader(dir, { pool }), 0);
  let pages = 0;
  for (const { name } of Deno.readDirSync(dir)) {
    using file = DirectFile.openSync(`${dir}/${name}`, { pool });
    pages += file.verifyDirectSync().cachedPages;
  }
  Deno.removeSync(dir, { recursive: true });
  return ownFigure(
    {
      id: "P11.cachedPages",
      name: "pages of a log in the page cache, written and read",
      goal: atMost(0),
      unit: "pages",
      reference: "cachestat",
    },
    [pages],
  );
}

/**
 * Measures the slope of resident memory while a program of its own appends ten million messages.
 */
async function memory(context: Context): Promise<Row> {
  context.show("P11: memory over ten million messages");
  const messages = context.count(10e6);
  const { samples, appended } = await runProgram<
    { samples: [ms: number, bytes: number][]; appended: number }
  >(context, "steady_log.ts", [
    context.path("steady"),
    String(messages),
    String(context.ms(STEADY_MS)),
  ], STEADY_HEAP);
  const last = samples.slice(Math.floor(samples.length / 5));
  const mebibytes = last.map(([, bytes]) => bytes / MIB);
  const minutes = last.map(([ms]) => ms / 60_000);
  return ownFigure(
    {
      id: "P11.memory",
      name: `resident memory over ${appended} messages, last 80 %`,
      goal: atMost(1),
      unit: "MiB/min",
      reference: "least squares over samples",
      theirs: `${
        Math.max(...mebibytes).toFixed(0)
      } MiB at most, V8's young generation at its full size from the start`,
    },
    [slope(minutes, mebibytes)],
  );
}

/** Returns the slope of the best-fitting line. */
function slope(xs: readonly number[], ys: readonly number[]): number {
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const [x, y] = [mean(xs), mean(ys)];
  let [above, below] = [0, 0];
  for (const [i, each] of xs.entries()) {
    above += (each - x) * (ys[i]! - y);
    below += (each - x) ** 2;
  }
  return above / below;
}
