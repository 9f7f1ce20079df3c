/** P15: four workers that share a pool, with a log each, beside one worker. */
import { BufferPool } from "../../mod.ts";
import type { Context } from "./context.ts";
import { type Measured, Stopwatch, THROUGHPUT } from "./measure.ts";
import type { Filled, FillTask } from "./programs/log_worker.ts";
import { rounds } from "./rounds.ts";
import { atLeast, compareSides, type Row } from "./row.ts";

const WORKERS = 4;

/** Measures P15. */
export async function p15(context: Context): Promise<Row[]> {
  using pool = new BufferPool();
  const runs = await rounds(context, "P15", 2000, {
    four: (ms) => fill(context, pool, WORKERS, ms),
    one: (ms) => fill(context, pool, 1, ms),
  });
  return [
    compareSides(
      {
        id: "P15.workers",
        name: "four workers, one pool, a log each: bytes a second in all",
        goal: atLeast(1),
      },
      THROUGHPUT,
      { name: "four workers", runs: runs.four },
      { name: "one worker", runs: runs.one },
    ),
  ];
}

/** Lets workers fill logs for a time, from when all have opened theirs until all have flushed. */
async function fill(
  context: Context,
  pool: BufferPool,
  count: number,
  ms: number,
): Promise<Measured> {
  const dirs = Array.from({ length: count }, (_, i) => context.path(`w${i}`));
  const workers = dirs.map(() =>
    new Worker(new URL("programs/log_worker.ts", import.meta.url), {
      type: "module",
    })
  );
  try {
    await Promise.all(workers.map(async (worker, i) => {
      const task: FillTask = { dir: dirs[i]!, pool: pool.id, ms };
      const ready = reply(worker);
      worker.postMessage(task);
      await ready;
    }));
    const watch = new Stopwatch();
    const done = await Promise.all(workers.map(async (worker) => {
      const filled = reply<Filled>(worker);
      worker.postMessage("go");
      return await filled;
    }));
    const stopped = watch.stop();
    await Promise.all(workers.map(async (worker) => {
      const closed = reply(worker);
      worker.postMessage("close");
      await closed;
    }));
    const sum = (of: (filled: Filled) => number): number =>
      done.reduce((total, filled) => total + of(filled), 0);
    return {
      ...stopped,
      bytes: sum(({ bytes }) => bytes),
      operations: sum(({ messages }) => messages),
    };
  } finally {
    for (const worker of workers) worker.terminate();
    for (const dir of dirs) Deno.removeSync(dir, { recursive: true });
  }
}

/** Returns the next message of a worker. */
function reply<Message>(worker: Worker): Promise<Message> {
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data as Message);
    worker.onerror = (event) => {
      event.preventDefault();
      reject(new Error(event.message));
    };
  });
}
