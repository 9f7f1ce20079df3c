/** P4: one appender that awaits the durability of each message of 4 KiB, beside a native loop of `pwritev2(RWF_DSYNC)` on prepared blocks. */
import { BufferPool, type Log } from "../../mod.ts";
import type { Context } from "./context.ts";
import { newLog, settled } from "./logs.ts";
import { Latencies, type Measured, P50, P99, Stopwatch } from "./measure.ts";
import { hasNative, nativeDsync } from "./references/native.ts";
import { rounds } from "./rounds.ts";
import { atMost, compareSides, type Row } from "./row.ts";
import { MIB } from "./sizes.ts";

/** One block of the disk, the header included: what the native loop writes. */
const MESSAGE_BYTES = 4096;
const HEADER_BYTES = 64;
/** What is written durably in one run fits into it, as it does into what a log prepares. */
export const SCRATCH_BYTES: number = 64 * MIB;

/** Measures P4. */
export async function p04(context: Context): Promise<Row[]> {
  if (!hasNative(context, "P4")) return [];
  const scratch = await context.file("durable", SCRATCH_BYTES);
  using pool = new BufferPool();
  await using aligned = await newLog(context, { pool });
  await using unaligned = await newLog(context, { pool });
  const appender = (log: Log, payloadBytes: number) => (ms: number) =>
    appendDurably(log, 1, payloadBytes, ms);
  const runs = await rounds(context, "P4", 1500, {
    native: (ms) => nativeDsync(context, scratch, MESSAGE_BYTES, ms),
    Basalt: appender(aligned, MESSAGE_BYTES - HEADER_BYTES),
    payload: appender(unaligned, MESSAGE_BYTES),
  });
  const theirs = {
    name: "native loop of pwritev2(RWF_DSYNC)",
    runs: runs.native,
  };
  const ours = { name: "Basalt", runs: runs.Basalt };
  return [
    compareSides(
      {
        id: "P4.p50",
        name: "durable append of 4 KiB, one appender, p50",
        goal: atMost(1.05),
      },
      P50,
      ours,
      theirs,
    ),
    compareSides(
      {
        id: "P4.p99",
        name: "durable append of 4 KiB, one appender, p99",
        goal: atMost(1.2),
      },
      P99,
      ours,
      theirs,
    ),
    compareSides(
      {
        id: "P4.payload",
        name: "the same, 4 KiB of payload and 64 of header: two blocks, p50",
      },
      P50,
      { name: "Basalt", runs: runs.payload },
      theirs,
    ),
  ];
}

/** Appends for so long, each appender awaiting the durability of its message before the next. */
export async function appendDurably(
  log: Log,
  appenders: number,
  payloadBytes: number,
  ms: number,
): Promise<Measured> {
  await settled(log);
  const payload = new Uint8Array(payloadBytes).fill(0x5a);
  const latencies = new Latencies();
  const watch = new Stopwatch();
  let operations = 0;
  const start = performance.now();
  await Promise.all(Array.from({ length: appenders }, async () => {
    for (let before = start; before - start < ms;) {
      await log.appendDurable(payload);
      operations++;
      const now = performance.now();
      latencies.record(now - before);
      before = now;
    }
  }));
  const stopped = watch.stop();
  await settled(log);
  return {
    ...stopped,
    operations,
    bytes: operations * payloadBytes,
    percentiles: latencies.percentiles(),
  };
}
