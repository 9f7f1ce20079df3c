import type { Task } from "../base/mod.ts";
import { batchBaseOffsetAt, INDEX_ENTRY_BYTES, restamp } from "../codec/mod.ts";
import {
  EXPAND_STOP,
  Expansion,
  INDEX_ENTRY_BYTES as DENSE_ENTRY_BYTES,
} from "../codec/legacy/mod.ts";
import {
  findBatchAfter,
  IndexCheck,
  IndexLookup,
  MAX_OFFSET,
  MessageBatch,
  SegmentScan,
  SparseIndex,
  type WrongEntries,
} from "../segment/mod.ts";
import type { TaskFile } from "../storage/mod.ts";
import {
  type Conversion,
  flushBoth,
  putEntry,
  type SegmentSource,
  withSegment,
} from "./_conversion.ts";
import { batchDamage, corrupt } from "./_damage.ts";
import type { Place } from "./_files.ts";

const INDEX_ADVICE =
  "remove the file, which an import does not need, if the messages are whole";

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
  const { report, onProgress, transfer: { place, isExport } } = conversion;
  const { pool } = place;
  const { segment, minTimestamp } = source;
  const { firstOffset } = segment;
  return withSegment(place, segment, function* (log, index) {
    const size = yield* log.size();
    using check = index &&
      (yield* IndexCheck.open(index, pool, { isOpen: false }));
    const options = { minTimestamp, eager: true };
    const start = { position: 0, offset: firstOffset };
    const scan = new SegmentScan(log, pool, start, options);
    const indexDamage = (text: string, position: number): Error => {
      const place = { path: index!.path, position, offset: firstOffset };
      return corrupt(
        ["index", text],
        place,
        isExport ? undefined : INDEX_ADVICE,
      );
    };
    const refuse = ([wrong]: readonly WrongEntries[]): void => {
      if (wrong === undefined) return;
      const position = wrong.first * INDEX_ENTRY_BYTES;
      throw indexDamage("the entry does not agree with the log", position);
    };
    try {
      let next;
      while ((next = yield* scan.next(size)) instanceof MessageBatch) {
        using batches = next;
        const bytes = batches.bytes.length;
        if (check !== undefined) refuse(yield* check.compare(batches));
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
        isVouched: yield* vouchesForMore(place, index, firstOffset, position),
        hasMore: () => hasBatch(place, log, position, size),
      });
      if (check !== undefined) {
        refuse(yield* check.rest(position));
        const indexBytes = yield* index!.size();
        const rest = indexBytes % INDEX_ENTRY_BYTES;
        if (rest > 0) {
          throw indexDamage("the last entry is cut off", indexBytes - rest);
        }
      }
      return scan.lastTimestamp;
    } finally {
      yield* scan.close();
    }
  });
}

/** Whether a plausible entry names a batch where the valid ones end, or after that. */
function* vouchesForMore(
  { pool }: Place,
  index: TaskFile | undefined,
  firstOffset: number,
  end: number,
): Task<boolean> {
  if (index === undefined) return false;
  using lookup = yield* IndexLookup.open({ index, pool, firstOffset });
  const last = yield* lookup.lastPlausible();
  return last !== undefined && last.entry.position >= end;
}

/** Whether a valid batch begins at or after a position of a file. */
function* hasBatch(
  { pool }: Place,
  log: TaskFile,
  position: number,
  size: number,
): Task<boolean> {
  const range = { maxOffset: MAX_OFFSET, bound: size };
  const found = yield* findBatchAfter(log, pool, position, size, 0, range);
  return found !== undefined;
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
  const sparse = new SparseIndex(undefined);
  const timestamp = yield* readBatches(conversion, source, function* (batches) {
    const { bytes } = batches;
    yield* output.log.reserve(bytes.length);
    const removed = restamp(bytes, 0, partition, { keepsProducers });
    conversion.report.producersRemoved += removed;
    for (const entry of sparse.entries(batches)) putEntry(output.index, entry);
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
