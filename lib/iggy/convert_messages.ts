import type { Task } from "../base/mod.ts";
import { batchLengthAt } from "../codec/mod.ts";
import {
  GATHER_STOP,
  Gathering,
  INDEX_ENTRY_BYTES,
  readIndexEntry,
} from "../codec/legacy/mod.ts";
import { type BatchSource, flushBoth } from "./convert_batches.ts";
import type { Conversion, SegmentOutput } from "./conversion.ts";
import { corrupt, messageDamage } from "./damage.ts";
import type { ListedSegment } from "./directory.ts";
import { type Place, readAt, withFile } from "./files.ts";
import { SparseIndexWriter } from "./sparse_index.ts";
import { findMessage } from "./tail.ts";
import { type FileWindow, withWindow } from "./file_window.ts";

const ADVICE =
  "The messages are whole, and an import does not need the index: remove the file and import again";

/**
 * Gathers a segment with a header for each message into batches (`docs/format.md#old-import`).
 *
 * @returns Append time of the last batch.
 */
export function* gatherSegment(
  conversion: Conversion,
  source: BatchSource,
): Task<number> {
  const { place } = conversion.options;
  const { segment, isLast, minTimestamp } = source;
  const { firstOffset } = segment;
  const gathering = new Gathering(firstOffset, minTimestamp);
  const output = yield* conversion.begin(firstOffset);
  yield* withWindow(place, segment.logPath, undefined, function* (
    bytes,
  ): Task<void> {
    yield* gatherAll(conversion, gathering, bytes, output);
    conversion.counts.bytesRead += bytes.size;
    const index = yield* readIndexEnd(place, segment);
    yield* conversion.endSource({
      segment,
      isLast,
      window: bytes,
      damage: messageDamage(gathering.stop),
      find: findMessage,
      vouched: () => vouchesForMore(index, bytes.position),
    });
    checkIndex(index, segment, {
      messages: gathering.nextOffset - firstOffset,
      end: bytes.position,
      timestamp: gathering.lastTimestamp,
    });
  });
  yield* conversion.end(output);
  return gathering.lastTimestamp;
}

/** Gathers until something stops it that is no valid message; the window then begins there. */
function* gatherAll(
  conversion: Conversion,
  gathering: Gathering,
  window: FileWindow,
  output: SegmentOutput,
): Task<void> {
  const { counts } = conversion;
  const { log } = output;
  const entries = new SparseIndexWriter(output.index);
  let needed = 0;
  for (;;) {
    yield* window.fill(needed, flushBoth(output));
    for (;;) {
      const { start, isEnd } = window;
      const { room } = log;
      gathering.run(window.bytes, start, isEnd, room);
      const end = gathering.targetEnd;
      for (let at = 0; at < end; at += batchLengthAt(room, at)) {
        entries.add(room, at, log.length + at);
      }
      log.advance(end);
      counts.messages += gathering.count;
      counts.batches += gathering.batchCount;
      counts.splits.batchesByLength += gathering.splitByLength;
      counts.splits.batchesByTime += gathering.splitByTime;
      counts.nextOffset = gathering.nextOffset;
      window.consumeTo(gathering.sourceEnd);
      conversion.options.onProgress?.(gathering.sourceEnd - start);
      if (gathering.stop !== GATHER_STOP.TARGET_FULL) break;
      yield* flushBoth(output);
      yield* log.reserve(gathering.neededBytes);
    }
    const isOpen = gathering.stop === GATHER_STOP.PARTIAL && !window.isEnd;
    if (!isOpen) return;
    needed = gathering.neededBytes;
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

function* readIndexEnd(
  place: Place,
  { indexPath }: ListedSegment,
): Task<IndexEnd | undefined> {
  if (indexPath === undefined) return undefined;
  return yield* withFile(place, indexPath, {}, function* (file) {
    const size = yield* file.size();
    const at = size - size % INDEX_ENTRY_BYTES - INDEX_ENTRY_BYTES;
    const last = at < 0
      ? undefined
      : yield* readAt(place, file, at, INDEX_ENTRY_BYTES);
    const head = at < 0 ? undefined : yield* readAt(place, file, 0, 8);
    const number = head === undefined
      ? NaN
      : Number(new DataView(head.buffer).getBigUint64(0, true));
    return { size, last, head: number, path: indexPath };
  });
}

/** Whether the last entry of a dense index names a message after the last valid one. */
// deno-lint-ignore require-yield -- the one for batches reads the index, this one has it already
function* vouchesForMore(
  index: IndexEnd | undefined,
  end: number,
): Task<boolean> {
  if (index?.last === undefined) return false;
  if (index.size % INDEX_ENTRY_BYTES !== 0) return false;
  const view = new DataView(index.last.buffer, index.last.byteOffset);
  const isDense =
    view.getUint32(0, true) === index.size / INDEX_ENTRY_BYTES - 1;
  return isDense && view.getUint32(4, true) > end;
}

/** Refuses an index that its server would misread, and says what is known of it. */
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
      `it was saved twice: it has ${
        2 * log.messages
      } entries for ${log.messages} messages, as a server leaves it that was not closed well`,
    );
  }
  // In an entry of its own format these are 0 and the end of the first message.
  if (head === firstOffset) {
    throw fail(
      "it has the 24-byte entries of Iggy 0.9, while the messages are those of Iggy up to 0.8",
    );
  }
  throw fail(
    `it has ${size} bytes, but ${log.messages} messages have ${expected}: its server was not closed well`,
  );
}
