/**
 * The rate of W4, W6 and P10: a share of what a file sustains on this disk, measured before its
 * first use.
 */
import type { Context } from "./context.ts";
import { median } from "./row.ts";
import { fileStream, withStreams } from "./streams.ts";
import { BATCH_BYTES, workUnlimited } from "./workload.ts";

/** The share of the rate of `Deno.FsFile` that is offered. */
const SHARE = 0.7;
const PRODUCERS = 4;
const RUN_MS = 1500;
const RUNS = 3;

const measured = new WeakMap<Context, number>();

/** Returns the offered payload bytes per second, which are the same for all rows of a run. */
export async function offeredRate(
  context: Context,
  batchLogBytes: number,
): Promise<number> {
  const known = measured.get(context);
  if (known !== undefined) return known;
  const rates: number[] = [];
  for (let run = 1; run <= RUNS; run++) {
    context.show(`what Deno.FsFile sustains: ${run} of ${RUNS}`);
    const { operations, seconds } = await withStreams(
      context,
      1,
      fileStream,
      { batchLogBytes },
      (streams) => workUnlimited(streams, PRODUCERS, context.ms(RUN_MS)),
    );
    rates.push(operations * BATCH_BYTES / seconds);
  }
  const sustained = median(rates);
  const offered = SHARE * sustained;
  measured.set(context, offered);
  const megabytes = (value: number): string => (value / 1e6).toFixed(0);
  context.note(
    `offered rate: Deno.FsFile with syncData sustains ${
      megabytes(sustained)
    } MB/s of payload` +
      ` from ${PRODUCERS} producers; W4, W6 and P10 offer 70 % of it, ${
        megabytes(offered)
      } MB/s`,
  );
  return offered;
}
