/** The workload of P10: streams that each have a producer and a consumer, batches at a rate, latency from when a batch was due. */
import { Latencies, type Measured, Series, Stopwatch } from "./measure.ts";

/** Messages of a batch, and bytes of a payload: those of the seed's benchmark. */
export const BATCH = 1000;
/** Bytes of a payload. */
export const PAYLOAD_BYTES = 1000;

/** A log or a file, as its producer and its consumer see it. */
export interface Stream {
  /** Writes the next batch; resolves when it is durable. */
  produce(): Promise<void>;
  /** Receives the next batch, once it is durable. */
  consume(): Promise<void>;
  close(): Promise<void>;
}

/** What the consumers measured, beside what the producers did. */
export interface Worked extends Measured {
  readonly consumers: Measured;
}

/**
 * Produces and consumes on every stream for so long.
 *
 * Batches are due at even intervals, whether or not the one before is done: what comes late makes all behind it late, and that is counted. The
 * bytes are those of the payloads.
 */
export async function work(
  streams: readonly Stream[],
  bytesPerSecond: number,
  ms: number,
): Promise<Worked> {
  const batchBytes = BATCH * PAYLOAD_BYTES;
  const interval = batchBytes * streams.length / bytesPerSecond * 1e3;
  const count = Math.max(1, Math.floor(ms / interval));
  const produced = new Latencies();
  const consumed = new Latencies();
  const series = { produced: new Series(), consumed: new Series() };
  const watch = new Stopwatch();
  const start = performance.now();
  const due = (stream: number, batch: number): number =>
    start + (batch + stream / streams.length) * interval;

  const actors = streams.flatMap((stream, i) => [
    async (): Promise<void> => {
      for (let batch = 0; batch < count; batch++) {
        const early = due(i, batch) - performance.now();
        if (early > 0) await new Promise((done) => setTimeout(done, early));
        await stream.produce();
        produced.record(performance.now() - due(i, batch));
        series.produced.add(batchBytes);
      }
    },
    async (): Promise<void> => {
      for (let batch = 0; batch < count; batch++) {
        await stream.consume();
        consumed.record(performance.now() - due(i, batch));
        series.consumed.add(batchBytes);
      }
    },
  ]);
  await Promise.all(actors.map((actor) => actor()));

  const whole = {
    ...watch.stop(),
    operations: count * streams.length,
    bytes: count * streams.length * batchBytes,
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

/** Counts what was produced, and lets the consumer wait for it. */
export class Progressed {
  #count = 0;
  #wake: (() => void) | undefined;

  /** One more. */
  add(): void {
    this.#count++;
    this.#wake?.();
    this.#wake = undefined;
  }

  /** Resolves when there are as many. */
  async reached(count: number): Promise<void> {
    while (this.#count < count) {
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }
}
