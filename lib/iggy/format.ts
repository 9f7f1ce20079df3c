import type { Task } from "../base/mod.ts";
import { Gathering } from "../codec/legacy/mod.ts";
import { describeStop } from "../codec/mod.ts";
import { UnsupportedError } from "../native/mod.ts";
import { BlockReader, MessageBatch, SegmentScan } from "../segment/mod.ts";
import type { TaskFile } from "../storage/mod.ts";
import { messageDamage } from "./_damage.ts";
import type { ListedSegment } from "./_directory.ts";
import { type Place, withFile } from "./_files.ts";

/**
 * The format of a partition.
 *
 * - `"0.9"`: batches, as Iggy 0.9 and later and a log have them.
 * - `"0.8"`: a header for each message, as Iggy from 0.7.3 to 0.8 has them.
 */
export type IggyFormat = "0.9" | "0.8";

/** The first read, which is enough to tell the formats apart unless the first batch is longer. */
const PROBE = { firstBytes: 64 * 1024 };

/**
 * Tells the format of a partition by trying (`docs/format.md#old-told-apart`); `undefined` if it
 * holds no message.
 *
 * @throws {UnsupportedError} If the first segment with bytes begins with neither a valid batch nor
 *   a valid message.
 */
export function* detectFormat(
  place: Place,
  segments: readonly ListedSegment[],
): Task<IggyFormat | undefined> {
  for (const segment of segments) {
    const { logPath, firstOffset } = segment;
    const format = yield* withFile(place, logPath, function* (
      log,
    ): Task<IggyFormat | undefined> {
      const size = yield* log.size();
      if (size === 0) return undefined;
      const batch = yield* tryBatch(place, log, size, firstOffset);
      if (batch === undefined) return "0.9";
      const message = yield* tryMessage(place, log, size, firstOffset);
      if (message === undefined) return "0.8";
      throw new UnsupportedError(`Cannot import '${logPath}'`, {
        found:
          `neither a batch of Iggy 0.9 at its beginning (${batch}) nor a message of Iggy up to 0.8 (${message})`,
        needed: "a segment of either format",
      });
    });
    if (format !== undefined) return format;
  }
  return undefined;
}

/** Returns why a segment does not begin with a batch; `undefined` if it does. */
function* tryBatch(
  { pool }: Place,
  log: TaskFile,
  size: number,
  firstOffset: number,
): Task<string | undefined> {
  const start = { position: 0, offset: firstOffset };
  const scan = new SegmentScan(log, pool, start, PROBE);
  try {
    const next = yield* scan.next(size);
    if (!(next instanceof MessageBatch)) return describeStop(next.reason);
    next.drop();
    return undefined;
  } finally {
    yield* scan.close();
  }
}

/**
 * Returns why a segment does not begin with a message with a header of its own; `undefined` if it
 * does.
 */
function* tryMessage(
  { pool }: Place,
  log: TaskFile,
  size: number,
  firstOffset: number,
): Task<string | undefined> {
  const messages = new Gathering(firstOffset, 0);
  const blocks = new BlockReader(log, pool, 0, PROBE);
  try {
    for (;;) {
      const piece = yield* blocks.next(size);
      using buffer = piece.buffer;
      const bytes = buffer.bytes.subarray(0, piece.end);
      messages.run(bytes, piece.start, true);
      if (messages.isFull) return undefined;
      const { stop } = messages;
      // A message is valid also where the import refuses its time.
      if (stop === "timestamp") return undefined;
      if (stop !== "partial" || piece.last) return messageDamage(stop)[1];
      blocks.keep(piece, piece.start, messages.neededBytes);
    }
  } finally {
    yield* blocks.close();
  }
}
