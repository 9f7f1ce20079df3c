import type { Task } from "../base/mod.ts";
import { batchBaseOffsetAt, restamp } from "../codec/mod.ts";
import { EXPAND_STOP, Expansion } from "../codec/legacy/mod.ts";
import { INDEX_ENTRY_BYTES as DENSE_ENTRY_BYTES } from "../codec/legacy/mod.ts";
import { BatchReader } from "./batch_reader.ts";
import type { Conversion, SegmentOutput } from "./conversion.ts";
import { batchDamage, corrupt } from "./damage.ts";
import type { ListedSegment } from "./directory.ts";
import { SparseIndexCheck, SparseIndexWriter } from "./sparse_index.ts";
import { findBatch } from "./tail.ts";
import { withWindow } from "./file_window.ts";

const INDEX_BLOCK_BYTES = 64 * 1024;
/**
 * An index is written when it has this many bytes: a write for each window would cost more than it
 * carries.
 */
const INDEX_FLUSH_BYTES = 1024 * 1024;

/** A segment of batches, and what is known of those before it. */
export interface BatchSource {
  /** The segment. */
  segment: ListedSegment;
  /** Whether it is the last one. */
  isLast: boolean;
  /** Append time of the batch before; 0 for the first segment. */
  minTimestamp: number;
}

/** Takes the batches in a reader's window. */
export type TakeBatches = (reader: BatchReader) => Task<void>;

/**
 * Reads a segment of batches, compares it with its index, and hands every window to `take`.
 *
 * @param flush Writes what was taken before, while the next window is read.
 * @returns Append time of the last batch.
 */
export function* readBatches(
  conversion: Conversion,
  source: BatchSource,
  take: TakeBatches,
  flush: () => Task<void>,
): Task<number> {
  const { place, isLog, onProgress } = conversion.options;
  const { segment, isLast, minTimestamp } = source;
  const { counts } = conversion;
  const advice = isLog
    ? undefined
    : "remove the file, which an import does not need, if the messages are whole";
  return yield* withWindow(
    place,
    segment.logPath,
    undefined,
    (window) =>
      withWindow(place, segment.indexPath, INDEX_BLOCK_BYTES, function* (
        entries,
      ): Task<number> {
        const { firstOffset, indexPath = "" } = segment;
        const reader = new BatchReader(window, firstOffset, minTimestamp);
        const index = new SparseIndexCheck(entries, indexPath, advice);
        while (yield* reader.next(flush())) {
          const { scan } = reader;
          yield* index.check(reader);
          const bytes = scan.end - window.start;
          counts.messages += scan.count;
          counts.batches += scan.batchCount;
          counts.nextOffset = scan.nextOffset;
          yield* take(reader);
          window.consumeTo(scan.end);
          onProgress?.(bytes);
        }
        counts.bytesRead += window.size;
        yield* conversion.endSource({
          segment,
          isLast,
          window,
          damage: batchDamage(reader.scan.stop),
          find: findBatch,
          vouched: () => index.vouchesForMore(),
        });
        yield* index.finish();
        return reader.lastTimestamp;
      }),
  );
}

/**
 * Copies a segment of batches, with another partition in every header
 * (`docs/format.md#iggy-partition`).
 */
export function* copySegment(
  conversion: Conversion,
  source: BatchSource,
  partition: number,
  keepsProducers: boolean,
): Task<number> {
  const output = yield* conversion.begin(source.segment.firstOffset);
  const { log } = output;
  const entries = new SparseIndexWriter(output.index);
  const timestamp = yield* readBatches(
    conversion,
    source,
    function* ({ scan, window }) {
      const bytes = window.bytes.subarray(0, scan.end);
      const { start } = window;
      yield* log.reserve(bytes.length - start);
      conversion.counts.producersRemoved += restamp(bytes, start, partition, {
        keepsProducers,
      });
      const base = log.length - start;
      for (let i = 0; i < scan.batchCount; i++) {
        const at = scan.batchStarts[i]!;
        entries.add(bytes, at, base + at);
      }
      log.append(bytes.subarray(start));
    },
    () => flushBoth(output),
  );
  yield* conversion.end(output);
  return timestamp;
}

/** Writes what is in memory of both files; little of an index waits for more. */
export function* flushBoth({ log, index }: SegmentOutput): Task<void> {
  yield* log.flush();
  yield* index.flush(INDEX_FLUSH_BYTES);
}

/** Turns a segment of batches into one or more segments with a header for each message. */
export function* expandSegment(
  conversion: Conversion,
  source: BatchSource,
  segmentBytes: number,
): Task<number> {
  const { segment } = source;
  const expansion = new Expansion();
  let output = yield* conversion.begin(segment.firstOffset);
  expansion.begin(segment.firstOffset, segmentBytes);
  const timestamp = yield* readBatches(
    conversion,
    source,
    function* ({ scan, window }) {
      const bytes = window.bytes.subarray(0, scan.end);
      let at = window.start;
      while (at < bytes.length) {
        expansion.run(bytes, at, output.log.room, output.index.room);
        output.log.advance(expansion.targetEnd);
        output.index.advance(expansion.count * DENSE_ENTRY_BYTES);
        at = expansion.sourceEnd;
        if (expansion.stop === EXPAND_STOP.FULL) {
          const { neededBytes, neededMessages } = expansion;
          yield* flushBoth(output);
          yield* output.log.reserve(neededBytes);
          yield* output.index.reserve(neededMessages * DENSE_ENTRY_BYTES);
        } else if (expansion.stop === EXPAND_STOP.LIMIT) {
          yield* conversion.end(output);
          conversion.counts.splits.segments++;
          const firstOffset = batchBaseOffsetAt(bytes, at);
          output = yield* conversion.begin(firstOffset);
          expansion.begin(firstOffset, segmentBytes);
        } else if (expansion.stop === EXPAND_STOP.POSITION) {
          const position = window.position + at - window.start;
          throw corrupt(
            ["length", "the batch is longer than a segment of Iggy 0.8"],
            {
              path: segment.logPath,
              position,
              offset: batchBaseOffsetAt(bytes, at),
            },
          );
        }
      }
    },
    () => flushBoth(output),
  );
  yield* conversion.end(output);
  return timestamp;
}
