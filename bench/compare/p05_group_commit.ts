/** P5: 64 appenders in one program, each awaiting the durability of its message of 256 bytes, beside one that does. */
import { BufferPool } from "../../mod.ts";
import type { Context } from "./context.ts";
import { appendDurably } from "./durable.ts";
import { newLog } from "./logs.ts";
import { P50, P99, RATE } from "./measure.ts";
import { SCRATCH_BYTES } from "./p04_durable_append.ts";
import { hasNative, nativeDsync } from "./references/native.ts";
import { Isolate } from "./isolate.ts";
import { rounds } from "./rounds.ts";
import { atLeast, atMost, compareSides, type Row } from "./row.ts";

const APPENDERS = 64;
const PAYLOAD_BYTES = 256;
/** What the disk writes for one small message: the block that it lies in. */
const BLOCK_BYTES = 4096;

/** Measures P5. */
export async function p05(context: Context): Promise<Row[]> {
  const withNative = hasNative(context, "P5.one");
  using pool = new BufferPool();
  await using log = await newLog(context, { pool });
  const scratch = withNative
    ? await context.file("durable", SCRATCH_BYTES)
    : undefined;
  using threads = new Isolate({ kind: "threads" });
  const threadsDir = context.path("log-group-threads");
  const threaded = (appenders: number) => (ms: number) =>
    threads.run("appendDurably", threadsDir, appenders, PAYLOAD_BYTES, ms);
  const runs = await rounds(context, "P5", 1500, {
    many: (ms) => appendDurably(log, APPENDERS, PAYLOAD_BYTES, ms),
    one: (ms) => appendDurably(log, 1, PAYLOAD_BYTES, ms),
    threadsMany: threaded(APPENDERS),
    threadsOne: threaded(1),
    ...scratch === undefined ? {} : {
      native: (ms: number) => nativeDsync(context, scratch, BLOCK_BYTES, ms),
    },
  });
  await threads.run("close");
  const one = { name: "Basalt, one appender", runs: runs.one };
  const rows = [
    compareSides(
      {
        id: "P5.group",
        name: "durable appends of 256 B, 64 appenders",
        goal: atLeast(60),
      },
      RATE,
      { name: "Basalt, 64 appenders", runs: runs.many },
      one,
    ),
    compareSides(
      {
        id: "P5.threads",
        name: "durable appends of 256 B, 64 appenders, engine of threads",
        goal: atLeast(60),
      },
      RATE,
      { name: "Basalt, threads, 64 appenders", runs: runs.threadsMany },
      { name: "Basalt, threads, one appender", runs: runs.threadsOne },
    ),
  ];
  if (runs.native === undefined) return rows;
  const native = {
    name: "native loop of pwritev2(RWF_DSYNC), 4 KiB",
    runs: runs.native,
  };
  for (
    const [id, name, metric, limit] of [
      ["P5.oneP50", "p50", P50, 1.05],
      ["P5.oneP99", "p99", P99, 1.2],
    ] as const
  ) {
    rows.push(compareSides(
      {
        id,
        name: `durable appends of 256 B, that one appender, ${name}`,
        goal: atMost(limit),
      },
      metric,
      one,
      native,
    ));
  }
  return rows;
}
