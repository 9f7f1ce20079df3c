/**
 * P2: 4 KiB random reads, many in flight: one batch, and tasks that each await their own read,
 * beside fio at the same depth.
 */
import { BufferPool, DirectFile } from "../../mod.ts";
import type { Context } from "./context.ts";
import { readByTasks, readInBatches } from "./direct.ts";
import { CPU_PER_OPERATION, type Measured, RATE } from "./measure.ts";
import { fio, hasFio } from "./references/fio.ts";
import { Isolate } from "./isolate.ts";
import { rounds } from "./rounds.ts";
import { atLeast, atMost, compareSides, type Row, type Side } from "./row.ts";
import { DATA_BYTES, READ_BYTES } from "./sizes.ts";

const DEPTHS = [4, 8, 16, 32, 128];
/**
 * The depth at which batches and the engine of threads are measured, too. A batch has as many reads
 * in flight.
 */
const BATCH_DEPTH = 32;

/** Measures P2. */
export async function p02(context: Context): Promise<Row[]> {
  if (!await hasFio(context, "P2")) return [];
  const path = await context.file("data", DATA_BYTES);
  using pool = new BufferPool();
  using file = DirectFile.openSync(path, { pool });
  using threads = new Isolate({ kind: "threads" });
  const rows: Row[] = [];
  for (const depth of DEPTHS) {
    const runs = await rounds(context, `P2 at depth ${depth}`, 1200, {
      tasks: (ms) => readByTasks(file, pool, depth, ms),
      fio: (ms) =>
        fio(context, {
          file: path,
          rw: "randread",
          blockBytes: READ_BYTES,
          depth,
          engine: "io_uring",
          ms,
        }),
      ...depth === BATCH_DEPTH
        ? {
          batch: (ms: number) => readInBatches(file, "async", ms),
          batchSync: (ms: number) => readInBatches(file, "sync", ms),
          threads: (ms: number) => threads.run("readByTasks", path, depth, ms),
        }
        : {},
    });
    const theirs = { name: `fio io_uring, depth ${depth}`, runs: runs.fio };
    rows.push(...compareDepth(depth, runs.tasks, theirs));
    if (runs.threads === undefined) continue;
    rows.push(...compareBatches("P2.batch", "readMany", runs.batch!, theirs));
    rows.push(
      ...compareBatches(
        "P2.batchSync",
        "readManySync",
        runs.batchSync!,
        theirs,
      ),
    );
    rows.push(compareSides(
      {
        id: "P2.threads",
        name: `4 KiB random read, ${depth} tasks, engine of threads`,
        goal: atLeast(0.8),
      },
      RATE,
      { name: "Basalt, threads", runs: runs.threads },
      theirs,
    ));
  }
  return rows;
}

function compareDepth(
  depth: number,
  tasks: Measured[],
  theirs: Side,
): Row[] {
  const ours = { name: "Basalt", runs: tasks };
  const name = `4 KiB random read, ${depth} tasks`;
  return [
    compareSides(
      { id: `P2.tasks${depth}`, name, goal: atLeast(0.95) },
      RATE,
      ours,
      theirs,
    ),
    compareSides(
      {
        id: `P2.tasks${depth}Cpu`,
        name: `CPU per operation, ${depth} tasks`,
        goal: atMost(1.3),
      },
      CPU_PER_OPERATION,
      ours,
      theirs,
    ),
  ];
}

function compareBatches(
  id: string,
  method: string,
  batches: Measured[],
  theirs: Side,
): Row[] {
  const ours = { name: `Basalt, ${method}`, runs: batches };
  return [
    compareSides(
      { id, name: `4 KiB random read, ${method}`, goal: atLeast(1) },
      RATE,
      ours,
      theirs,
    ),
    compareSides(
      {
        id: `${id}Cpu`,
        name: `CPU per operation, ${method}`,
        goal: atMost(1.3),
      },
      CPU_PER_OPERATION,
      ours,
      theirs,
    ),
  ];
}
