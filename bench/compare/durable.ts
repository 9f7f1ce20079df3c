/** Appending and awaiting durability, as several comparisons do it. */
import type { Log } from "../../mod.ts";
import { settled } from "./logs.ts";
import { Latencies, type Measured, Stopwatch } from "./measure.ts";

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
