/** Reads and writes of a `DirectFile` that several comparisons share. */
import { type BufferPool, DirectFile, type PooledBuffer } from "../../mod.ts";
import { Latencies, type Measured, Series, Stopwatch } from "./measure.ts";
import { randomPositions } from "./positions.ts";
import { MIB, READ_BYTES } from "./sizes.ts";

/** Acquires buffers and writes to them, because the first access to a page must not be measured. */
export function touchedBuffers(
  pool: BufferPool,
  count: number,
  bytes: number,
): PooledBuffer[] {
  return Array.from({ length: count }, () => {
    const buffer = pool.acquireSync(bytes);
    buffer.bytes.fill(0x5a);
    return buffer;
  });
}

/** Reads 4 KiB at random positions for a time, with sync reads. */
export function readInPlace(
  file: DirectFile,
  pool: BufferPool,
  ms: number,
): Measured {
  const [buffer] = touchedBuffers(pool, 1, READ_BYTES);
  const positions = randomPositions(file.sizeSync(), READ_BYTES);
  const latencies = new Latencies();
  const watch = new Stopwatch();
  let operations = 0;
  const start = performance.now();
  for (let before = start; before - start < ms;) {
    file.readSync(buffer!, positions[operations++ % positions.length]!);
    const now = performance.now();
    latencies.record(now - before);
    before = now;
  }
  const stopped = watch.stop();
  buffer!.drop();
  return {
    ...stopped,
    operations,
    bytes: operations * READ_BYTES,
    percentiles: latencies.percentiles(),
  };
}

/** Reads 4 KiB at random positions for a time, in several tasks that each await their own read. */
export async function readByTasks(
  file: DirectFile,
  pool: BufferPool,
  tasks: number,
  ms: number,
): Promise<Measured> {
  const buffers = touchedBuffers(pool, tasks, READ_BYTES);
  const positions = randomPositions(file.sizeSync(), READ_BYTES);
  const latencies = new Latencies();
  const watch = new Stopwatch();
  let operations = 0;
  const start = performance.now();
  await Promise.all(buffers.map(async (buffer) => {
    // The clock is read once for each operation: the end of one is the start of the next.
    for (let before = start; before - start < ms;) {
      await file.read(buffer, positions[operations++ % positions.length]!);
      const now = performance.now();
      latencies.record(now - before);
      before = now;
    }
  }));
  const stopped = watch.stop();
  for (const buffer of buffers) buffer.drop();
  return {
    ...stopped,
    operations,
    bytes: operations * READ_BYTES,
    percentiles: latencies.percentiles(),
  };
}

/** Ranges of one batch. */
const BATCH = 1024;

/**
 * Reads 4 KiB at random positions for a time, many with one call. It reports no latency, because
 * that would be the latency of a batch.
 */
export async function readInBatches(
  file: DirectFile,
  how: "async" | "sync",
  ms: number,
): Promise<Measured> {
  const positions = randomPositions(file.sizeSync(), READ_BYTES);
  const batches = Array.from({ length: 16 }, (_, i) =>
    Array.from(
      positions.subarray(i * BATCH, (i + 1) * BATCH),
      (position) => ({ position, length: READ_BYTES }),
    ));
  // Gaps are not read, because fio does not read them either.
  const options = { gapBytes: 0 };
  const watch = new Stopwatch();
  let operations = 0;
  while (watch.ms < ms) {
    const ranges = batches[operations / BATCH % batches.length]!;
    const parts = how === "async"
      ? await file.readMany(ranges, options)
      : file.readManySync(ranges, options);
    for (const part of parts) part.drop();
    operations += BATCH;
  }
  return { ...watch.stop(), operations, bytes: operations * READ_BYTES };
}

/** An operation on 1 MiB at a position. */
export type Transfer<Memory> = (
  memory: Memory,
  position: number,
) => Promise<unknown>;

/**
 * Processes a file in order, repeatedly for a time, 1 MiB at a time, with one operation in flight
 * for each memory.
 */
export async function sequentially<Memory>(
  sizeBytes: number,
  memories: readonly Memory[],
  ms: number,
  transfer: Transfer<Memory>,
  finish?: () => Promise<unknown>,
): Promise<Measured> {
  const latencies = new Latencies();
  const series = new Series();
  const watch = new Stopwatch();
  let operations = 0;
  const start = performance.now();
  await Promise.all(memories.map(async (memory) => {
    for (let before = start; before - start < ms;) {
      await transfer(memory, operations++ * MIB % sizeBytes);
      const now = performance.now();
      latencies.record(now - before);
      series.add(MIB, now);
      before = now;
    }
  }));
  await finish?.();
  return {
    ...watch.stop(),
    operations,
    bytes: operations * MIB,
    percentiles: latencies.percentiles(),
    series: series.values,
  };
}

/** Reads a file in order with Basalt. */
export async function readDirect(
  path: string,
  buffers: readonly PooledBuffer[],
  ms: number,
): Promise<Measured> {
  await using file = await DirectFile.open(path);
  return await sequentially(
    file.sizeSync(),
    buffers,
    ms,
    (buffer, position) => file.read(buffer, position),
  );
}

/** Writes a file in order with Basalt, and syncs it. */
export async function writeDirect(
  path: string,
  buffers: readonly PooledBuffer[],
  ms: number,
): Promise<Measured> {
  await using file = await DirectFile.open(path, { write: true });
  return await sequentially(
    file.sizeSync(),
    buffers,
    ms,
    (buffer, position) => file.write(buffer, position),
    () => file.sync("data"),
  );
}
