/**
 * A worker that fills a log. On request, it opens the log, appends for a time and flushes, or
 * closes the log, and replies.
 */
import { BufferPool, Log } from "../../../mod.ts";
import { appendWhenReady } from "../logs.ts";

/** The first message to a worker. */
export interface FillTask {
  readonly dir: string;
  readonly pool: number;
  readonly ms: number;
}

/** The result of a worker. */
export interface Filled {
  readonly bytes: number;
  readonly messages: number;
}

/** The worker's side of `postMessage`. */
interface Port {
  onmessage: ((event: MessageEvent) => void) | null;
  postMessage(message: unknown): void;
}

const port = globalThis as unknown as Port;
const payload = new Uint8Array(1000).fill(0x5a);
const batch: Uint8Array[] = new Array(1000).fill(payload);

function next<Message>(): Promise<Message> {
  return new Promise((resolve) => {
    port.onmessage = ({ data }) => resolve(data as Message);
  });
}

const { dir, pool: id, ms } = await next<FillTask>();
const pool = BufferPool.attach(id);
const log = await Log.open(dir, { pool });
const go = next();
port.postMessage("ready");
await go;

const start = performance.now();
while (performance.now() - start < ms) await appendWhenReady(log, batch);
await log.flush();
const { appendedBytes, appendedMessages } = log.stats();
const close = next();
port.postMessage(
  { bytes: appendedBytes, messages: appendedMessages } satisfies Filled,
);
await close;

await log.close();
pool.close();
port.postMessage("closed");
