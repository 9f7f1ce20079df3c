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
  for await (const batch of wholeBatches(log, options)) {
    yield* split(batch, options.maxBytes);
  }
}

async function* wholeBatches(
  log: ShippableLog,
  { from, follow, readAheadBytes, signal }: BatchOptions,
): AsyncGenerator<MessageBatch, void, void> {
  if (log.durableOffset === undefined) {
    return yield* follow
      ? log.tail({ from, durable: true, readAheadBytes, signal })
      : log.read({ from, durable: true, readAheadBytes });
  }
  for (;;) {
    const count = log.durableOffset - from;
    if (count > 0) {
      yield* log.read({ from, count, readAheadBytes });
      from += count;
      if (follow) continue;
    }
    if (!follow) return;
    const before = from;
    for await (const batch of log.tail({ from, durable: true, signal })) {
      from = batch.nextOffset;
      yield batch;
      break;
    }
    if (from === before) return;
  }
}

/** Splits a batch into parts of at most `maxBytes`, or of one message; all share its block. */
function* split(
  batch: MessageBatch,
  maxBytes: number,
): Generator<MessageBatch, void, void> {
  const { count } = batch;
  if (batch.byteLength <= maxBytes) return yield batch;
  for (let start = 0; start < count;) {
    let end = start + 1;
    while (end < count && batch.bytesBetween(start, end + 1) <= maxBytes) end++;
    using part = batch.keep().narrow(start, end);
    yield part;
    start = end;
  }
}
