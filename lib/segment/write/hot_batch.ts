import { type BatchLayout, layoutOf } from "../../codec/mod.ts";
import { MessageBatch } from "../message_batch.ts";
import type { HotBlock } from "./hot_tail.ts";

/** Where the messages of a block lie: found once, shared by all tails. */
const layouts = new WeakMap<HotBlock, BatchLayout>();

/**
 * Returns the messages of a hot block from `offset`, as a batch that holds the block until it is
 * dropped.
 */
export function hotBatch(block: HotBlock, offset: number): MessageBatch {
  const { buffer, start, end, position, firstOffset, nextOffset } = block;
  let layout = layouts.get(block);
  if (layout === undefined) {
    const bytes = buffer.bytes.subarray(start, end);
    layout = layoutOf(bytes, nextOffset - firstOffset);
    layouts.set(block, layout);
  }
  const batch = new MessageBatch({
    ...layout,
    buffer: buffer.retain(),
    start,
    end,
    position,
    firstOffset,
    arrays: undefined,
  });
  return offset === firstOffset
    ? batch
    : batch.narrow(offset - firstOffset, batch.count);
}
