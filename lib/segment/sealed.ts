import type { Task } from "../base/mod.ts";
import { INDEX_ENTRY_BYTES } from "../codec/mod.ts";
import type { BufferPool } from "../pool/mod.ts";
import type { SegmentState, SegmentTaskFiles } from "./active_segment.ts";
import { IndexLookup, isPlausible } from "./index_lookup.ts";
import { readTail } from "./tail.ts";

/** What a segment that was closed holds. */
export interface SealedExtent {
  /** Messages. */
  count: number;
  /** Where the data ends in the `.log`: its length, in bytes. */
  end: number;
}

/**
 * Whether a segment was closed: its log ends where its index says. Two sizes and one read of 16 bytes.
 *
 * @returns What it holds; `undefined` if it was not closed.
 */
export function* sealedExtent(
  files: SegmentTaskFiles,
  pool: BufferPool,
): Task<SealedExtent | undefined> {
  const { log, index } = files;
  const end = yield* log.size();
  const indexBytes = yield* index.size();
  if (indexBytes % INDEX_ENTRY_BYTES !== 0) return undefined;
  const count = indexBytes / INDEX_ENTRY_BYTES;
  if (count === 0) return end === 0 ? { count, end } : undefined;
  using lookup = new IndexLookup(index, pool);
  const last = yield* lookup.entry(count - 1);
  return last !== undefined && isPlausible(last, count - 1) &&
      last.position === end
    ? { count, end }
    : undefined;
}

/** Reads what a writer needs of a segment that was closed with `count` messages. */
export function* sealedState(
  files: SegmentTaskFiles,
  pool: BufferPool,
  count: number,
): Task<SegmentState> {
  using lookup = new IndexLookup(files.index, pool);
  const last = count === 0 ? undefined : yield* lookup.entry(count - 1);
  const end = last?.position ?? 0;
  return {
    count,
    end,
    lastTimestamp: last?.timestamp ?? 0,
    logTail: yield* readTail(files.log, pool, end),
    indexTail: yield* readTail(files.index, pool, count * INDEX_ENTRY_BYTES),
    indexedCount: count,
    missingEntries: new Uint8Array(0),
  };
}
