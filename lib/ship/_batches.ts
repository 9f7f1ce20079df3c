import type { MessageBatch } from "../segment/mod.ts";
import type { ShippableLog } from "./shippable_log.ts";

/** How to read a log that is shipped. */
export interface BatchOptions {
  /** The offset of the first message. */
  from: number;
  /** Continue with messages that become durable later. */
  follow: boolean;
  /** Bytes of messages in a batch. */
  maxBytes: number;
  /** Bytes that are read ahead. */
  readAheadBytes: number;
  /** Ends the reading: what waits rejects with its reason. */
  signal: AbortSignal;
}

/**
 * Reads the durable messages of a log, in batches that end when the next one is asked for.
 *
 * A tail gives what each flush wrote. While more than that is durable, the files are read instead:
 * one batch then holds all that came meanwhile, as far as `maxBytes` allows.
 */
export async function* batchesOf(
  log: ShippableLog,
  options: BatchOptions,
): AsyncGenerator<MessageBatch, void, void> {
  const { follow, maxBytes, readAheadBytes, signal } = options;
  let { from } = options;
  if (log.durableOffset === undefined) {
    const batches = follow
      ? log.tail({ from, durable: true, readAheadBytes, signal })
      : log.read({ from, durable: true, readAheadBytes });
    return yield* parts(batches, maxBytes);
  }
  for (;;) {
    const count = log.durableOffset - from;
    if (count > 0) {
      const batches = log.read({ from, count, readAheadBytes });
      yield* parts(batches, maxBytes);
      from += count;
      if (follow) continue;
    }
    if (!follow) return;
    const before = from;
    for await (const batch of log.tail({ from, durable: true, signal })) {
      from = batch.nextOffset;
      yield* split(batch, maxBytes);
      break;
    }
    if (from === before) return;
  }
}

/** Splits batches. */
async function* parts(
  batches: AsyncIterableIterator<MessageBatch>,
  maxBytes: number,
): AsyncGenerator<MessageBatch, void, void> {
  for await (const batch of batches) yield* split(batch, maxBytes);
}

/** Splits a batch into parts of at most `maxBytes`, or of one message; all share its block. */
function* split(
  batch: MessageBatch,
  maxBytes: number,
): Generator<MessageBatch, void, void> {
  if (batch.byteLength <= maxBytes) return yield batch;
  for (let start = 0; start < batch.count;) {
    const end = endOf(batch, start, maxBytes);
    using part = batch.keep().narrow(start, end);
    yield part;
    start = end;
  }
}

/** Returns the end of a part: as many messages as fit, at least one. */
function endOf(batch: MessageBatch, start: number, maxBytes: number): number {
  let low = start + 1;
  let high = batch.count + 1;
  while (low + 1 < high) {
    const middle = (low + high) >> 1;
    if (batch.bytesBetween(start, middle) <= maxBytes) low = middle;
    else high = middle;
  }
  return low;
}
