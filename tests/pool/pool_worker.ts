/** A worker that executes orders on a pool, step by step. */
/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
import { BufferPool, type PooledBuffer } from "../../lib/pool/mod.ts";

/** The orders. The worker replies to each with the same name. */
export type Order =
  | { do: "attach"; id: number }
  | { do: "acquire"; lengths: number[] }
  | { do: "touch"; value: number }
  | { do: "drop"; count: number }
  | { do: "lend" }
  | { do: "churn"; rounds: number; value: number }
  | { do: "churnForEver"; value: number }
  | { do: "wait"; length: number }
  | { do: "close" };

let pool: BufferPool;
const held: PooledBuffer[] = [];

/** Leases, fills, checks and drops memory. No other owner may write to it meanwhile. */
function churn(value: number): void {
  const length = 1 + (value * 7919) % 30_000;
  const buffer = pool.acquireSync(length);
  const bytes = buffer.bytes.fill(value % 256);
  for (let i = 0; i < length; i += 997) {
    if (bytes[i] !== value % 256) throw new Error("Another's bytes");
  }
  buffer.drop();
}

async function obey(order: Order): Promise<void> {
  switch (order.do) {
    case "attach":
      pool = BufferPool.attach(order.id, { onWarning() {} });
      break;
    case "acquire":
      for (const length of order.lengths) held.push(pool.acquireSync(length));
      break;
    case "touch":
      for (const buffer of held) buffer.bytes.fill(order.value);
      break;
    case "drop":
      for (const buffer of held.splice(0, order.count)) buffer.drop();
      break;
    case "lend":
      for (const buffer of held) pool.lend(buffer);
      break;
    case "churn":
      for (let i = 0; i < order.rounds; i++) churn(order.value + i);
      break;
    case "churnForEver":
      self.postMessage(order.do);
      for (let i = 0;; i++) {
        churn(order.value + i);
        held.push(pool.acquireSync(4096));
        if (i % 8 > 0) continue;
        // Deno ends a worker only between two turns of its event loop.
        await new Promise((resolve) => setTimeout(resolve));
        for (const buffer of held.splice(0)) buffer.drop();
      }
      // falls through
    case "wait":
      held.push(await pool.acquire(order.length));
      break;
    case "close":
      pool.close();
  }
}

self.onmessage = async ({ data }: MessageEvent<Order>) => {
  await obey(data);
  self.postMessage(data.do);
};
