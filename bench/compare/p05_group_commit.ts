/**
 * P5: 64 appenders on the engine of threads, each awaiting the durability of its message of 256
 * bytes, beside a single appender. W2 has the default engine.
 */
import type { Context } from "./context.ts";
import { RATE } from "./measure.ts";
import { Isolate } from "./isolate.ts";
import { rounds } from "./rounds.ts";
import { atLeast, compareSides, type Row } from "./row.ts";

const APPENDERS = 64;
const PAYLOAD_BYTES = 256;

/** Measures P5. */
export async function p05(context: Context): Promise<Row[]> {
  using threads = new Isolate({ kind: "threads" });
  const dir = context.path("log-group-threads");
  const threaded = (appenders: number) => (ms: number) =>
    threads.run("appendDurably", dir, appenders, PAYLOAD_BYTES, ms);
  const runs = await rounds(context, "P5", 1500, {
    many: threaded(APPENDERS),
    one: threaded(1),
  });
  await threads.run("close");
  return [
    compareSides(
      {
        id: "P5.threads",
        name: "durable appends of 256 B, 64 appenders, engine of threads",
        goal: atLeast(60),
      },
      RATE,
      { name: "Basalt, threads, 64 appenders", runs: runs.many },
      { name: "Basalt, threads, one appender", runs: runs.one },
    ),
  ];
}
