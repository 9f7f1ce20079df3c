import type { Task } from "../base/mod.ts";
import {
  batchBaseOffsetAt,
  batchLengthAt,
  batchTimestampAt,
} from "../codec/mod.ts";
import {
  findMessage,
  Gathering,
  HEADER_BYTES,
  INDEX_ENTRY_BYTES,
  readIndexEntry,
} from "../codec/legacy/mod.ts";
import { BlockReader, SparseIndex } from "../segment/mod.ts";
import type { TaskFile } from "../storage/mod.ts";
import {
  type Conversion,
  flushBoth,
  putEntry,
  type SegmentOutput,
  type SegmentSource,
  withSegment,
} from "./_conversion.ts";
import { corrupt, messageDamage } from "./_damage.ts";
import type { ListedSegment } from "./_directory.ts";
import { type Place, readAt } from "./_files.ts";

const ADVICE =
  "The messages are whole, and an import does not need the index: remove the file and import again";

/**
 * Gathers a segment with a header for each message into batches (`docs/format.md#old-import`).
 *
 * @returns Append time of the last batch.
 */
export function* gatherSegment(
  conversion: Conversion,
  source: SegmentSource,
): Task<number> {
  const { place } = conversion.transfer;
  const { segment, minTimestamp } = source;
  const { firstOffset } = segment;
  const gathering = new Gathering(firstOffset, minTimestamp);
  const output = yield* conversion.begin(firstOffset);
  yield* withSegment(place, segment, function* (log, index): Task<void> {
    const size = yield* log.size();
    const blocks = new BlockReader(log, place.pool, 0, { eager: true });
    let position = 0;
    try {
      if (size > 0) {
        position = yield* gather(conversion, gathering, output, blocks, size);
      }
    } finally {
      yield* blocks.close();
    }
    const end = index && (yield* readIndexEnd(place, index));
    yield* conversion.endSource(source, {
      log,
      size,
      position,
      damage: messageDamage(gathering.stop),
      isVouched: vouchesForMore(end, position),
      hasMore: () => hasMessage(place, log, position, size),
    });
    checkIndex(end, segment, {
      messages: gathering.nextOffset - firstOffset,
      end: position,
      timestamp: gathering.lastTimestamp,
    });
  });
  yield* conversion.end(output);
  return gathering.lastTimestamp;
}

/** Gathers up to what is not a valid message, and returns its position. */
function* gather(
  { report, onProgress }: Conversion,
  gathering: Gathering,
  output: SegmentOutput,
  blocks: BlockReader,
  size: number,
): Task<number> {
  const { log, index } = output;
  const sparse = new SparseIndex(undefined);
  for (;;) {
    const piece = yield* blocks.next(size);
    using buffer = piece.buffer;
    const bytes = buffer.bytes.subarray(0, piece.end);
    let at = piece.start;
    for (;;) {
      const { room } = log;
      gathering.run(bytes, at, piece.last, room);
      const { sourceEnd, targetEnd } = gathering;
      for (let k = 0; k < targetEnd; k += batchLengthAt(room, k)) {
        const position = log.length + k;
        if (!sparse.takes(position)) continue;
        const offset = batchBaseOffsetAt(room, k);
        const timestamp = batchTimestampAt(room, k);
        putEntry(index, { offset, timestamp, position });
      }
      log.advance(targetEnd);
      report.messages += gathering.count;
      report.batches += gathering.batchCount;
      report.splits.batchesByLength += gathering.splitByLength;
      report.splits.batchesByTime += gathering.splitByTime;
      report.nextOffset = gathering.nextOffset;
      onProgress?.(sourceEnd - at);
      at = sourceEnd;
      yield* flushBoth(output);
      if (!gathering.isFull) break;
      yield* log.reserve(gathering.neededBytes);
    }
    if (gathering.stop !== "partial" || piece.last) {
      return piece.position + at - piece.start;
    }
    blocks.keep(piece, at, gathering.neededBytes);
  }
}

/** Whether a valid message begins at or after a position of a file. */
function* hasMessage(
  { pool }: Place,
  file: TaskFile,
  position: number,
  size: number,
): Task<boolean> {
  const blocks = new BlockReader(file, pool, position);
  try {
    for (;;) {
      const piece = yield* blocks.next(size);
      using buffer = piece.buffer;
      const bytes = buffer.bytes.subarray(piece.start, piece.end);
      // A header may begin within the last bytes.
      let kept = Math.max(0, bytes.length - HEADER_BYTES + 1);
      let needed = HEADER_BYTES;
      for (let at = 0;;) {
        const found = findMessage(bytes, at, 0, Number.MAX_SAFE_INTEGER);
        if (found.position !== undefined) return true;
        const { beyond } = found;
        if (beyond === undefined) break;
        if (piece.position + beyond.position + beyond.length <= size) {
          kept = beyond.position;
          needed = beyond.length;
          break;
        }
        at = beyond.position + 1;
      }
      if (piece.last) return false;
      blocks.keep(piece, piece.start + kept, needed);
    }
  } finally {
    yield* blocks.close();
  }
}

/** The end of a dense index. */
interface IndexEnd {
  size: number;
  /** The last 16 bytes; `undefined` for an empty index. */
  last: Uint8Array | undefined;
  /** The first 8 bytes as a number: an offset in the 24-byte entries of the other format. */
  head: number;
  path: string;
}

function* readIndexEnd(place: Place, index: TaskFile): Task<IndexEnd> {
  const { path } = index;
  const size = yield* index.size();
  const at = size - size % INDEX_ENTRY_BYTES - INDEX_ENTRY_BYTES;
  if (at < 0) return { path, size, last: undefined, head: NaN };
  const last = yield* readAt(place, index, at, INDEX_ENTRY_BYTES);
  const { buffer } = yield* readAt(place, index, 0, 8);
  const head = Number(new DataView(buffer).getBigUint64(0, true));
  return { path, size, last, head };
}

/** Whether the last entry of a dense index names a message after the last valid one. */
function vouchesForMore(index: IndexEnd | undefined, end: number): boolean {
  if (index?.last === undefined) return false;
  const { relativeOffset, position } = readIndexEntry(index.last, 0);
  // A whole number of entries has this number.
  const number = index.size / INDEX_ENTRY_BYTES - 1;
  return relativeOffset === number && position > end;
}

/** Refuses an index that does not fit the messages, and says why it may be so. */
function checkIndex(
  index: IndexEnd | undefined,
  { firstOffset }: ListedSegment,
  log: { messages: number; end: number; timestamp: number },
): void {
  if (index === undefined || index.size === 0 && log.messages === 0) return;
  const { size, last, head, path } = index;
  const expected = log.messages * INDEX_ENTRY_BYTES;
  const fail = (text: string) => {
    const place = { path, position: size, offset: firstOffset + log.messages };
    return corrupt(["index", `${text}. ${ADVICE}`], place);
  };
  if (size === expected) {
    const { relativeOffset, position, timestamp } = readIndexEntry(last!, 0);
    const isRight = relativeOffset === log.messages - 1 &&
      position === log.end && timestamp === log.timestamp;
    if (isRight) return;
    throw fail("its last entry does not name the last message");
  }
  if (size === 2 * expected) {
    throw fail(
      `it was saved twice, by a server that was not closed well: it has two entries for each of ${log.messages} messages`,
    );
  }
  // An entry of Iggy 0.8 begins with 0 and the end of the first message.
  if (head === firstOffset) {
    throw fail(
      "it has the 24-byte entries of Iggy 0.9, while the messages are those of Iggy up to 0.8",
    );
  }
  throw fail(
    `it has ${size} bytes, but ${log.messages} messages have ${expected}: its server was not closed well`,
  );
}
