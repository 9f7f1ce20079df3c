/**
 * Appends messages of 100 bytes evenly over a time, and samples its resident memory. Arguments:
 * `DIR MESSAGES MS`.
 */
import { Log } from "../../../mod.ts";

const BATCH = 1000;
const SAMPLES = 240;
/** Small segments, which are removed as the log grows, so that they do not fill the disk. */
const SEGMENT_BYTES = 128 * 1024 * 1024;

const [dir, messages, ms] = Deno.args;
const payload = new Uint8Array(100).fill(0x5a);
const batch: Uint8Array[] = new Array(BATCH).fill(payload);
const batches = Math.ceil(Number(messages) / BATCH);
const interval = Number(ms) / batches;
const samples: [ms: number, bytes: number][] = [];

const log = await Log.open(dir!, { segmentBytes: SEGMENT_BYTES });
const start = performance.now();
for (let i = 0; i < batches; i++) {
  const early = start + i * interval - performance.now();
  if (early > 1) await new Promise((resolve) => setTimeout(resolve, early));
  const first = log.appendBatch(batch);
  await log.whenDurable(first + BATCH - 1);
  const now = performance.now() - start;
  if (now >= samples.length * Number(ms) / SAMPLES) {
    samples.push([now, Deno.memoryUsage().rss]);
    await log.truncateBefore(log.durableOffset);
  }
}
await log.close();
console.log(JSON.stringify({ samples, appended: batches * BATCH }));
