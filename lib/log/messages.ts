import type { Message, MessageBatch } from "../segment/mod.ts";

/** Messages one by one, of batches that are dropped when the next one is asked for. */
export async function* messagesOf(
  batches: AsyncIterableIterator<MessageBatch>,
): AsyncGenerator<Message, void, void> {
  for await (using batch of batches) {
    for (const message of batch) yield message;
  }
}
