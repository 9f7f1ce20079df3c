/** The workload of W4 to W6, W8 and P10: producers of batches and consumers. */
import { Latencies, type Measured, Series, Stopwatch } from "./measure.ts";

/** Messages of a batch. */
export const BATCH = 1000;
/** Bytes of a payload. */
export const PAYLOAD_BYTES = 1000;
/** Bytes of the payloads of a batch. */
export const BATCH_BYTES: number = BATCH * PAYLOAD_BYTES;

/** Number of unlimited producers in W5 and W8. */
export const PRODUCERS = 8;

/** A log or a file, as its producers and its consumers see it. */
export interface Stream {
  /**
   * Appends a batch, and resolves when it is durable. `accepted` is called when its position in the
   * stream is known, in the order of the stream.
   */
  produce(accepted: () => void): Promise<void>;
  /** Each receives the next batch of the stream, once it is durable. */
  readonly consumers: readonly (() => Promise<void>)[];
  /** Bytes that a batch takes in the stream's files. */
  readonly batchLogBytes: number;
  close(): Promise<void>;
}

/** Measurements of the consumers, in addition to those of the producers. */
export interface Worked extends Measured {
  readonly consumers: Measured;
}

/** The load on the streams. */
export interface Load {
  /** Number of producers, which share the streams evenly. */
  readonly producers: number;
  /** Payload bytes of all producers per second. */
  readonly bytesPerSecond: number;
  readonly ms: number;
}

/**
 * Produces and consumes for a time.
 *
 * Batches are due at even intervals, whether or not the previous one has completed. A late batch
 * delays all that follow it, which shows in their latency.
 */
export async function work(
  streams: readonly Stream[],
  { producers, bytesPerSecond, ms }: Load,
): Promise<Worked> {
  const interval = BATCH_BYTES * producers / bytesPerSecond * 1e3;
  const count = Math.max(1, Math.floor(ms / interval));
  const produced = new Latencies();
  const consumed = new Latencies();
  const series = { produced: new Series(), consumed: new Series() };
  // When each batch of a stream was due, in the order of the stream.
  const dues: number[][] = streams.map(() => []);
  const watch = new Stopwatch();
  const start = performance.now();

  const produce = async (producer: number): Promise<void> => {
    const index = producer % streams.length;
    for (let batch = 0; batch < count; batch++) {
      const due = start + (batch + producer / producers) * interval;
      const early = due - performance.now();
      if (early > 0) await new Promise((done) => setTimeout(done, early));
      await streams[index]!.produce(() => dues[index]!.push(due));
      produced.record(performance.now() - due);
      series.produced.add(BATCH_BYTES);
    }
  };
  const consume = async (
    index: number,
    receive: () => Promise<void>,
  ): Promise<void> => {
    const total = count * producers / streams.length;
    for (let batch = 0; batch < total; batch++) {
      await receive();
      consumed.record(performance.now() - dues[index]![batch]!);
      series.consumed.add(BATCH_BYTES);
    }
  };
  await Promise.all([
    ...Array.from({ length: producers }, (_, producer) => produce(producer)),
    ...streams.flatMap((stream, index) =>
      stream.consumers.map((receive) => consume(index, receive))
    ),
  ]);

  const whole = {
    ...watch.stop(),
    operations: count * producers,
    bytes: count * producers * BATCH_BYTES,
  };
  return {
    ...whole,
    percentiles: produced.percentiles(),
    series: series.produced.values,
    consumers: {
      ...whole,
      percentiles: consumed.percentiles(),
      series: series.consumed.values,
    },
  };
}

/** Maximum number of bytes of a run without a limit, so that a fast disk is not filled. */
const UNLIMITED_BYTES = 2e9;

/**
 * Produces for a time, each producer as fast as its batches become durable.
 *
 * The result counts bytes of the files.
 */
export async function workUnlimited(
  streams: readonly Stream[],
  producers: number,
  ms: number,
): Promise<Measured> {
  const watch = new Stopwatch();
  let bytes = 0;
  let operations = 0;
  await Promise.all(Array.from({ length: producers }, async (_, producer) => {
    const stream = streams[producer % streams.length]!;
    while (watch.ms < ms && bytes < UNLIMITED_BYTES) {
      bytes += stream.batchLogBytes;
      operations++;
      await stream.produce(() => {});
    }
  }));
  return { ...watch.stop(), operations, bytes };
}
