/**
 * P4: one appender that awaits the durability of each message of 4 KiB, on the engine of threads
 * and across two blocks. W1 has the default engine and small messages.
 */
import { BufferPool } from "../../mod.ts";
import type { Context } from "./context.ts";
import { appendDurably } from "./durable.ts";
import { newLog } from "./logs.ts";
import { P50, P99 } from "./measure.ts";
import { hasNative, nativeDsync } from "./references/native.ts";
import { Isolate } from "./isolate.ts";
import { rounds } from "./rounds.ts";
import { atMost, compareSides, type Row } from "./row.ts";
import { SCRATCH_BYTES } from "./sizes.ts";

/** Size of a disk block including the header, which is what the native loop writes, in bytes. */
const MESSAGE_BYTES = 4096;
const HEADER_BYTES = 64;

/** Measures P4. */
export async function p04(context: Context): Promise<Row[]> {
  if (!hasNative(context, "P4")) return [];
  const scratch = await context.file("durable", SCRATCH_BYTES);
  using pool = new BufferPool();
  await using log = await newLog(context, { pool });
  using threads = new Isolate({ kind: "threads" });
  const threadsDir = context.path("log-threads");
  const runs = await rounds(context, "P4", 1500, {
    native: (ms) => nativeDsync(context, scratch, MESSAGE_BYTES, ms),
    payload: (ms) => appendDurably(log, 1, MESSAGE_BYTES, ms),
    threads: (ms) =>
      threads.run(
        "appendDurably",
        threadsDir,
        1,
        MESSAGE_BYTES - HEADER_BYTES,
        ms,
      ),
  });
  await threads.run("close");
  const theirs = {
    name: "native loop of pwritev2(RWF_DSYNC)",
    runs: runs.native,
  };
  const threaded = { name: "Basalt, threads", runs: runs.threads };
  return [
    compareSides(
      {
        id: "P4.payload",
        name:
          "durable append of 4 KiB of payload and its header: two blocks, p50",
      },
      P50,
      { name: "Basalt", runs: runs.payload },
      theirs,
    ),
    compareSides(
      {
        id: "P4.threadsP50",
        name: "durable append of 4 KiB, engine of threads, p50",
        goal: atMost(1.05),
      },
      P50,
      threaded,
      theirs,
    ),
    compareSides(
      {
        id: "P4.threadsP99",
        name: "durable append of 4 KiB, engine of threads, p99",
        goal: atMost(1.2),
      },
      P99,
      threaded,
      theirs,
    ),
  ];
}
