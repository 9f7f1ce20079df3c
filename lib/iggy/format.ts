import type { Task } from "../base/mod.ts";
import { MessageScan, STOP as MESSAGE_STOP } from "../codec/legacy/mod.ts";
import { UnsupportedError } from "../native/mod.ts";
import { BatchReader, MAX_READ_BYTES } from "./batch_reader.ts";
import { batchDamage, messageDamage } from "./damage.ts";
import type { ListedSegment } from "./directory.ts";
import { type Place, withFile } from "./files.ts";
import { FileWindow } from "./file_window.ts";

/**
 * The format of a partition.
 *
 * - `"0.9"`: batches, as Iggy 0.9 and later and a log have them.
 * - `"0.8"`: a header for each message, as Iggy from 0.7.3 to 0.8 has them.
 */
export type IggyFormat = "0.9" | "0.8";

/** Bytes that are enough to tell the formats apart, but for a long first batch. */
const PROBE_BYTES = 64 * 1024;

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
    const format = yield* withFile(place, segment.logPath, {}, function* (
      file,
    ): Task<IggyFormat | undefined> {
      const size = yield* file.size();
      if (size === 0) return undefined;
      const open = () => new FileWindow(file, place.pool, size, PROBE_BYTES);
      using batches = open();
      const batch = yield* tryBatch(batches, segment.firstOffset);
      if (batch === undefined) return "0.9";
      using messages = open();
      const message = yield* tryMessage(messages, segment.firstOffset);
      if (message === undefined) return "0.8";
      throw new UnsupportedError(`Cannot import '${segment.logPath}'`, {
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
  window: FileWindow,
  firstOffset: number,
): Task<string | undefined> {
  const reader = new BatchReader(window, firstOffset, 0);
  if (yield* reader.next()) return undefined;
  return batchDamage(reader.scan.stop)[1];
}

/**
 * Returns why a segment does not begin with a message with a header of its own; `undefined` if it
 * does.
 */
function* tryMessage(
  window: FileWindow,
  firstOffset: number,
): Task<string | undefined> {
  const scan = new MessageScan();
  yield* window.fill();
  for (;;) {
    scan.run(window.bytes, window.start, firstOffset);
    if (scan.count > 0) return undefined;
    const isOpen = scan.stop === MESSAGE_STOP.PARTIAL && !window.isEnd &&
      scan.neededBytes <= MAX_READ_BYTES;
    if (!isOpen) return messageDamage(scan.stop)[1];
    yield* window.fill(scan.neededBytes);
  }
}
