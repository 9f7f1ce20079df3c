/** Durable appends that several comparisons share. */
import type { Log } from "../../mod.ts";
import { settled } from "./logs.ts";
import { Latencies, type Measured, Stopwatch } from "./measure.ts";

/** How a step is repeated. */
export interface Repetition {
  /** Duration in milliseconds. */
  readonly ms: number;
  /** Tasks that repeat the step at the same time. @default {1} */
  readonly appenders?: number;
  /** Messages of a step. @default {1} */
  readonly messages?: number;
  /** Bytes of a step. */
  readonly bytes: number;
}

/**
 * Repeats a step that ends when its bytes are durable.
 *
 * A step without a promise is sync, and is not awaited.
 */
export async function repeated(
  { ms, appenders = 1, messages = 1, bytes }: Repetition,
  step: () => Promise<unknown> | void,
): Promise<Measured> {
  const latencies = new Latencies();
  const watch = new Stopwatch();
  let steps = 0;
  const start = performance.now();
  await Promise.all(Array.from({ length: appenders }, async () => {
    for (let before = start; before - start < ms;) {
      const pending = step();
      if (pending !== undefined) await pending;
      steps++;
      const now = performance.now();
      latencies.record(now - before);
      before = now;
    }
  }));
  return {
    ...watch.stop(),
    operations: steps * messages,
    bytes: steps * bytes,
    percentiles: latencies.percentiles(),
  };
}

/** Appends for a time. Each appender awaits the durability of its message before the next. */
export async function appendDurably(
  log: Log,
  appenders: number,
  payloadBytes: number,
  ms: number,
): Promise<Measured> {
  await settled(log);
  const payload = new Uint8Array(payloadBytes).fill(0x5a);
  const run = await repeated(
    { ms, appenders, bytes: payloadBytes },
    () => log.appendDurable(payload),
  );
  await settled(log);
  return run;
}

/** Appends for a time, with a sync flush for each message. */
export async function appendAndFlush(
  log: Log,
  payloadBytes: number,
  ms: number,
): Promise<Measured> {
  await settled(log);
  const payload = new Uint8Array(payloadBytes).fill(0x5a);
  const run = await repeated({ ms, bytes: payloadBytes }, () => {
    log.append(payload);
    log.flushSync();
  });
  await settled(log);
  return run;
}
