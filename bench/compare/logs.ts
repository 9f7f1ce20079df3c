/** Logs that several comparisons append to. */
import { BackpressureError, type BufferPool, Log } from "../../mod.ts";
import type { LogOptions } from "../../mod.ts";
import type { Context } from "./context.ts";

let count = 0;

/** Opens a new log in the run's directory. */
export async function newLog(
  context: Context,
  options: LogOptions = {},
): Promise<Log> {
  return await Log.open(context.path(`log-${count++}`), options);
}

/** The interval at which a log is polled for running preparation, in milliseconds. */
const POLL_MS = 100;

/** Waits until the log prepares no more space, which would disturb the next run. */
export async function settled(log: Log): Promise<void> {
  let before = -1;
  for (;;) {
    const { preparedBytes } = log.stats();
    if (preparedBytes === before) return;
    before = preparedBytes;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/**
 * Appends a batch as soon as there is room for it.
 *
 * `accepted` is called immediately after the append, so that the calls have the order of the log.
 */
export async function appendWhenReady(
  log: Log,
  batch: readonly (Uint8Array | string)[],
  accepted?: () => void,
): Promise<number> {
  for (;;) {
    try {
      const first = log.appendBatch(batch);
      accepted?.();
      return first;
    } catch (error) {
      if (!(error instanceof BackpressureError)) throw error;
      await log.ready();
    }
  }
}

/**
 * Writes a closed log of messages of one size, with a given number of bytes including headers.
 * Returns its directory.
 */
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

/** Number of batches that are written to measure the bytes of one. */
const SAMPLE_BATCHES = 16;

/** Measures the bytes of a batch in a log's files, including headers. */
export async function batchLogBytes(
  context: Context,
  messages: number,
  payloadBytes: number,
): Promise<number> {
  const dir = context.path(`log-${count++}`);
  const payload = new Uint8Array(payloadBytes).fill(0x5a);
  const batch: Uint8Array[] = new Array(messages).fill(payload);
  {
    await using log = await Log.open(dir);
    for (let i = 0; i < SAMPLE_BATCHES; i++) {
      await appendWhenReady(log, batch);
    }
  }
  const bytes = logFileBytes(dir);
  Deno.removeSync(dir, { recursive: true });
  return Math.ceil(bytes / SAMPLE_BATCHES);
}

/** Returns the sizes of the files of a closed log that hold messages. */
export function logFileBytes(dir: string): number {
  let bytes = 0;
  for (const { name } of Deno.readDirSync(dir)) {
    if (name.endsWith(".log")) bytes += Deno.statSync(`${dir}/${name}`).size;
  }
  return bytes;
}
