/** Logs that several comparisons append to. */
import { Backpressure, type BufferPool, Log } from "../../mod.ts";
import type { LogOptions } from "../../mod.ts";
import type { Context } from "./context.ts";

let count = 0;

/** A new log in the run's directory. */
export async function newLog(
  context: Context,
  options: LogOptions & { pool: BufferPool },
): Promise<Log> {
  return await Log.open(context.path(`log-${count++}`), options);
}

/** How often a log is asked whether it still prepares, in milliseconds. */
const POLL_MS = 100;

/** Waits until the log prepares no more space ahead: that would be in the way of whoever runs next. */
export async function settled(log: Log): Promise<void> {
  let before = -1;
  for (;;) {
    const { preparedBytes } = log.stats();
    if (preparedBytes === before) return;
    before = preparedBytes;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Appends a batch as soon as there is room for it. */
export async function appendWhenReady(
  log: Log,
  batch: readonly (Uint8Array | string)[],
): Promise<number> {
  for (;;) {
    try {
      return log.appendBatch(batch);
    } catch (error) {
      if (!(error instanceof Backpressure)) throw error;
      await log.ready();
    }
  }
}

/** A log of messages of one size, so many bytes with their headers, closed; answers its directory. */
export async function writtenLog(
  context: Context,
  name: string,
  payloadBytes: number,
  fullBytes: number,
  pool: BufferPool,
): Promise<string> {
  const path = context.path(name);
  const payload = crypto.getRandomValues(new Uint8Array(payloadBytes));
  const batch: Uint8Array[] = new Array(1000).fill(payload);
  const batchBytes = batch.length * (64 + payloadBytes);
  const bytes = context.bytes(fullBytes);
  await using log = await Log.open(path, { pool });
  for (let done = 0; done + batchBytes <= bytes; done += batchBytes) {
    context.show(`writing ${name}: ${(done / bytes * 100).toFixed(0)} %`);
    await appendWhenReady(log, batch);
  }
  return path;
}
