/** Reading and writing a `DirectFile`, as several comparisons do it. */
import { type BufferPool, DirectFile, type PooledBuffer } from "../../mod.ts";
import { Latencies, type Measured, Series, Stopwatch } from "./measure.ts";
import { randomPositions } from "./positions.ts";
import { MIB, READ_BYTES } from "./sizes.ts";

/** Buffers that were touched: the first touch of a page is no part of what is measured. */
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

/** Reads 4 KiB at random positions for so long, each read waited for in place. */
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

/** Reads 4 KiB at random positions for so long, by as many tasks, each awaiting its own read. */
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
    // One look at the clock for each operation: the end of one is the start of the next.
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

/** An operation on 1 MiB at a position. */
export type Transfer<Memory> = (
  memory: Memory,
  position: number,
) => Promise<unknown>;

/** Goes through a file in order, again and again for so long, 1 MiB at a time, as many operations in flight as there are memories. */
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

/** Reads a file in order through Basalt. */
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

/** Writes a file in order through Basalt, and syncs it. */
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
