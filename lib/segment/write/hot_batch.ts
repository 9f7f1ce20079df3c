import { BatchScan } from "../../codec/mod.ts";
import { MessageBatch } from "../message_batch.ts";
import type { HotBlock } from "./hot_tail.ts";

/** Where the messages of a block lie: found once, shared by all tails. */
const layouts = new WeakMap<HotBlock, BatchScan>();

/**
 * Returns the messages of a hot block from `offset`, as a batch that holds the block until it is
 * dropped.
 */
export function hotBatch(block: HotBlock, offset: number): MessageBatch {
  const { buffer, start, end, position, firstOffset } = block;
  let layout = layouts.get(block);
  if (layout === undefined) {
    layout = new BatchScan(64);
    layout.run(buffer.bytes.subarray(start, end), 0, firstOffset);
    layouts.set(block, layout);
  }
  const { count, starts, lengths, batchCount, batchStarts, batchFirsts } =
    layout;
  const batch = new MessageBatch({
    buffer: buffer.retain(),
    start,
    end,
    position,
    firstOffset,
    starts: starts.subarray(0, count),
    lengths: lengths.subarray(0, count),
    batchStarts: batchStarts.subarray(0, batchCount),
    batchFirsts: batchFirsts.subarray(0, batchCount),
    arrays: undefined,
  });
  return offset === firstOffset
    ? batch
    : batch.narrow(offset - firstOffset, count);
}
