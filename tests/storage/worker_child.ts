/**
 * A worker that keeps eight direct transfers in flight on a shared pool, checks every byte, and
 * reports its progress.
 */
/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
import { BufferPool } from "../../lib/pool/mod.ts";
import { DirectFile } from "../../lib/storage/mod.ts";

/** The instructions for a worker. */
export interface WorkerOrder {
  poolId: number;
  path: string;
  /** How many rounds each of its tasks does. `Infinity` is until the worker ends. */
  rounds: number;
  /** The byte that fills its blocks. */
  value: number;
}

const BLOCK = 32 * 1024;
const TASKS = 8;

async function task(
  file: DirectFile,
  pool: BufferPool,
  slot: number,
  { rounds, value }: WorkerOrder,
): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const byte = (value + round) % 256;
    const buffer = await pool.acquire(BLOCK);
    buffer.bytes.fill(byte);
    await file.write(buffer, slot * BLOCK);
    buffer.bytes.fill(~byte);
    await file.read(buffer, slot * BLOCK);
    const bytes = buffer.bytes;
    for (let i = 0; i < BLOCK; i += 61) {
      if (bytes[i] !== byte) throw new Error(`${bytes[i]} instead of ${byte}`);
    }
    buffer.drop();
    if (round === 10 && slot === 0) self.postMessage("under way");
  }
}

self.onmessage = async ({ data }: MessageEvent<WorkerOrder>) => {
  const pool = BufferPool.attach(data.poolId);
  const file = await DirectFile.open(data.path, {
    read: true,
    write: true,
    create: true,
  });
  await Promise.all(
    Array.from({ length: TASKS }, (_, slot) => task(file, pool, slot, data)),
  );
  await file.close();
  pool.close();
  self.postMessage("done");
};
