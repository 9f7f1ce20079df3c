/** R1: how soon a tail in another process gets a durable message. */
import { Log, LogReader } from "../../mod.ts";
import type { Context } from "./context.ts";
import { formatMicros } from "./measure.ts";
import { runProgram } from "./programs/run.ts";
import { type DurableTimes, epochMicros } from "./programs/slow_writer.ts";
import { atMost, median, ownFigure, type Row } from "./row.ts";

const PROGRAM = "slow_writer.ts";
const MESSAGES = 500;
/** Idle time in milliseconds. */
const IDLE_MS = 5000;
/** Time after the last message in which a tail polls a last time, in milliseconds. */
const SETTLE_MS = 1500;
/** Polls per second of an idle tail without inotify. */
const POLLED_LOOKS = 10;

/** The result of a run. */
interface Followed {
  /** Microseconds from durable to delivered, for each message. */
  readonly micros: readonly number[];
  /** Polls of the idle tail per second. */
  readonly idleLooks: number;
  readonly isNotified: boolean;
}

/** Measures R1. */
export async function r01(context: Context): Promise<Row[]> {
  const runs: Followed[] = [];
  for (let pair = 1; pair <= context.pairs; pair++) {
    context.show(`R1: tailing a log, ${pair} of ${context.pairs}`);
    runs.push(await follow(context));
  }
  const isNotified = runs.every((run) => run.isNotified);
  const medians = runs.map(({ micros }) => median(micros) / 1e3);
  const p99 = median(runs.map(({ micros }) => percentile(micros, 0.99)));
  return [
    ownFigure(
      {
        id: "R1.p50",
        name: "from durable to delivered in another process, p50",
        goal: atMost(1),
        unit: "ms",
        reference: "when appendDurable resolved in the writer",
        ours: `${formatMicros(median(medians) * 1e3)}, p99 ${
          formatMicros(p99)
        }`,
      },
      medians,
    ),
    ownFigure(
      {
        id: "R1.looks",
        name: "looks of a tail while nothing is written",
        goal: atMost(isNotified ? 0 : POLLED_LOOKS),
        unit: "a second",
        reference: isNotified ? "notified by inotify" : "polling",
      },
      runs.map(({ idleLooks }) => idleLooks),
    ),
  ];
}

async function follow(context: Context): Promise<Followed> {
  const dir = context.path("followed");
  const count = context.count(MESSAGES);
  await (await Log.open(dir)).close();
  const reader = new LogReader(dir);
  const leaving = new AbortController();
  const delivered: number[] = [];
  const all = Promise.withResolvers<void>();
  const tailing = (async () => {
    const { signal } = leaving;
    for await (using batch of reader.tail({ durable: true, signal })) {
      const now = epochMicros();
      for (let i = 0; i < batch.count; i++) delivered.push(now);
      if (delivered.length === count) all.resolve();
    }
  })();
  tailing.catch(all.reject);
  try {
    const args = [dir, String(count), String(IDLE_MS)];
    const written = runProgram<DurableTimes>(context, PROGRAM, args);
    written.catch(all.reject);
    await all.promise;
    const { notifiedTails } = reader.stats();
    const idleLooks = await looksWhileIdle(reader);
    const times = await written;
    return {
      micros: delivered.map((at, i) => at - times[i]!),
      idleLooks,
      isNotified: notifiedTails === 1,
    };
  } finally {
    leaving.abort();
    await tailing.catch(() => {});
    Deno.removeSync(dir, { recursive: true });
  }
}

/** Counts the polls of an idle tail per second. */
async function looksWhileIdle(reader: LogReader): Promise<number> {
  const pause = (ms: number) =>
    new Promise<void>((resolve) => setTimeout(resolve, ms));
  await pause(SETTLE_MS);
  const { looks } = reader.stats();
  const measuredMs = IDLE_MS - 2 * SETTLE_MS;
  await pause(measuredMs);
  return (reader.stats().looks - looks) / (measuredMs / 1000);
}

function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[
    Math.min(sorted.length - 1, Math.floor(sorted.length * share))
  ]!;
}
