import type { Task } from "../base/mod.ts";
import { batchBaseOffsetAt, restamp } from "../codec/mod.ts";
import {
  EXPAND_STOP,
  Expansion,
  INDEX_ENTRY_BYTES as DENSE_ENTRY_BYTES,
} from "../codec/legacy/mod.ts";
import {
  findBatchAfter,
  MAX_OFFSET,
  MessageBatch,
  SegmentScan,
} from "../segment/mod.ts";
import type { TaskFile } from "../storage/mod.ts";
import {
  type Conversion,
  flushBoth,
  type SegmentSource,
} from "./conversion.ts";
import { batchDamage, corrupt } from "./damage.ts";
import { withFile, withOptionalFile } from "./files.ts";
import { SourceIndex } from "./source_index.ts";
import { SparseIndexWriter } from "./sparse_index_writer.ts";

/**
 * Reads a segment of batches, compares it with its index, and hands the batches of each block to
 * `take`.
 *
 * @returns Append time of the last batch.
 */
function readBatches(
  conversion: Conversion,
  source: SegmentSource,
  take: (batches: MessageBatch) => Task<void>,
): Task<number> {
  const { place } = conversion.options;
  const { logPath, indexPath } = source.segment;
  return withFile(
    place,
    logPath,
    (log) =>
      withOptionalFile(
        place,
        indexPath,
        (index) => readPair(conversion, source, { log, index }, take),
      ),
  );
}

function* readPair(
  conversion: Conversion,
  source: SegmentSource,
  { log, index }: { log: TaskFile; index: TaskFile | undefined },
  take: (batches: MessageBatch) => Task<void>,
): Task<number> {
  const { place, isLog, onProgress } = conversion.options;
  const { pool } = place;
  const { report } = conversion;
  const { segment: { firstOffset }, minTimestamp } = source;
  const size = yield* log.size();
  const advice = isLog
    ? undefined
    : "remove the file, which an import does not need, if the messages are whole";
  using check = index &&
    (yield* SourceIndex.open(index, place, firstOffset, advice));
  const scan = new SegmentScan(log, pool, 0, firstOffset, {
    minTimestamp,
    eager: true,
  });
  try {
    let next;
    while ((next = yield* scan.next(size)) instanceof MessageBatch) {
      using batches = next;
      const bytes = batches.bytes.length;
      if (check !== undefined) yield* check.compare(batches);
      report.messages += batches.count;
      report.batches += batches.batchCount;
      report.nextOffset = batches.nextOffset;
      yield* take(batches);
      onProgress?.(bytes);
    }
    const { position, reason } = next;
    yield* conversion.endSource(source, {
      log,
      size,
      position,
      damage: batchDamage(reason),
      isVouched: check !== undefined &&
        (yield* check.vouchesFor(position, place)),
      *hasMore() {
        const range = { maxOffset: MAX_OFFSET, bound: size };
        const found = yield* findBatchAfter(
          log,
          pool,
          position,
          size,
          0,
          range,
        );
        return found !== undefined;
      },
    });
    if (check !== undefined) yield* check.finish(position);
    return scan.lastTimestamp;
  } finally {
    yield* scan.close();
  }
}

/**
 * Copies a segment of batches, with another partition in every header
 * (`docs/format.md#iggy-partition`).
 */
export function* copySegment(
  conversion: Conversion,
  source: SegmentSource,
  partition: number,
  keepsProducers: boolean,
): Task<number> {
  const output = yield* conversion.begin(source.segment.firstOffset);
  const entries = new SparseIndexWriter(output.index);
  const timestamp = yield* readBatches(conversion, source, function* (batches) {
    const { bytes } = batches;
    yield* output.log.reserve(bytes.length);
    const removed = restamp(bytes, 0, partition, { keepsProducers });
    conversion.report.producersRemoved += removed;
    for (let k = 0; k < batches.batchCount; k++) entries.add(batches.batch(k));
    output.log.append(bytes);
    yield* flushBoth(output);
  });
  yield* conversion.end(output);
  return timestamp;
}

/** Turns a segment of batches into one or more segments with a header for each message. */
export function* expandSegment(
  conversion: Conversion,
  source: SegmentSource,
  segmentBytes: number,
): Task<number> {
  const { firstOffset, logPath } = source.segment;
  const expansion = new Expansion();
  let output = yield* conversion.begin(firstOffset);
  expansion.begin(firstOffset, segmentBytes);
  const timestamp = yield* readBatches(conversion, source, function* (batches) {
    const { bytes } = batches;
    for (let at = 0; at < bytes.length;) {
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
        conversion.report.splits.segments++;
        const firstOffset = batchBaseOffsetAt(bytes, at);
        output = yield* conversion.begin(firstOffset);
        expansion.begin(firstOffset, segmentBytes);
      } else if (expansion.stop === EXPAND_STOP.POSITION) {
        const text = "the batch is longer than a segment of Iggy 0.8";
        throw corrupt(["length", text], {
          path: logPath,
          position: batches.position + at,
          offset: batchBaseOffsetAt(bytes, at),
        });
      }
    }
    yield* flushBoth(output);
  });
  yield* conversion.end(output);
  return timestamp;
}
