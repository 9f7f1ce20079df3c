/** The streams of P10: logs, and files of Deno's. */
import { type BufferPool, Log } from "../../mod.ts";
import { appendWhenReady } from "./logs.ts";
import { BATCH, PAYLOAD_BYTES, Progressed, type Stream } from "./workload.ts";

const HEADER_BYTES = 64;
/** What a batch takes in a file: the same on both sides. */
const BATCH_BYTES = BATCH * (HEADER_BYTES + PAYLOAD_BYTES);

/** A log: each batch is awaited until it is durable; a tail gives what is, verified, and every payload's first byte is touched. */
export async function logStream(
  dir: string,
  pool: BufferPool,
): Promise<Stream> {
  const log = await Log.open(dir, { pool });
  const payload = new Uint8Array(PAYLOAD_BYTES).fill(0x5a);
  const batch: Uint8Array[] = new Array(BATCH).fill(payload);
  const tail = log.tail({ durable: true });
  let wanted = 0;
  let received = 0;
  let touched = 0;
  return {
    async produce() {
      const first = await appendWhenReady(log, batch);
      await log.whenDurable(first + BATCH - 1);
    },
    async consume() {
      wanted += BATCH;
      // What the tail gives is what came meanwhile: less than a batch, or more.
      while (received < wanted) {
        const next = await tail.next();
        if (next.done) throw new Error(`The tail ended at ${received}`);
        using messages = next.value;
        const { bytes, starts, count } = messages;
        for (let i = 0; i < count; i++) {
          touched += bytes[starts[i]! + HEADER_BYTES]!;
        }
        received += count;
      }
    },
    async close() {
      await tail.return?.();
      await log.close();
      if (touched !== received * 0x5a) {
        throw new Error(`${received} messages were read, with other bytes`);
      }
    },
  };
}

/** A file: each batch is written and synced, then read from the page cache; as many bytes of it are touched. */
export async function fileStream(path: string): Promise<Stream> {
  const writer = await Deno.open(path, { write: true, createNew: true });
  const reader = await Deno.open(path, { read: true });
  const batch = new Uint8Array(BATCH_BYTES).fill(0x5a);
  const got = new Uint8Array(BATCH_BYTES);
  const durable = new Progressed();
  let consumed = 0;
  let touched = 0;
  return {
    async produce() {
      for (let at = 0; at < batch.length;) {
        at += await writer.write(batch.subarray(at));
      }
      await writer.syncData();
      durable.add();
    },
    async consume() {
      await durable.reached(consumed / BATCH + 1);
      for (let at = 0; at < got.length;) {
        at += await reader.read(got.subarray(at)) ?? 0;
      }
      for (let i = 0; i < BATCH; i++) {
        touched += got[i * (HEADER_BYTES + PAYLOAD_BYTES) + HEADER_BYTES]!;
      }
      consumed += BATCH;
    },
    close() {
      writer.close();
      reader.close();
      return touched === consumed * 0x5a
        ? Promise.resolve()
        : Promise.reject(new Error("The file was read with other bytes"));
    },
  };
}
