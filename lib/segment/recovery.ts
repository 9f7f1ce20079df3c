import { type Task, together } from "../base/mod.ts";
import {
  HEADER_BYTES,
  INDEX_ENTRY_BYTES,
  MAX_PAYLOAD_BYTES,
  MAX_USER_HEADERS_BYTES,
} from "../codec/mod.ts";
import type { BufferPool } from "../pool/mod.ts";
import { NoSpace, type TaskFile } from "../storage/mod.ts";
import type { SegmentState, SegmentTaskFiles } from "./active_segment.ts";
import { RESTART_BYTES } from "./block_reader.ts";
import { corruption, Cursor, type CursorStop } from "./cursor.ts";
import { IndexLookup, isPlausible } from "./index_lookup.ts";
import { IndexWriter } from "./index_writer.ts";
import { CorruptSegment } from "./corrupt_segment.ts";
import { CHECKPOINT_BYTES } from "./layout.ts";
import { MessageBatch } from "./message_batch.ts";
import { MessageSearch } from "./message_search.ts";
import { readTail } from "./tail.ts";
import { isZero } from "./zeros.ts";

/** The largest message. */
const MAX_MESSAGE_BYTES = HEADER_BYTES + MAX_PAYLOAD_BYTES +
  MAX_USER_HEADERS_BYTES;

/** Where a message's append time lies in its header. */
const TIMESTAMP = 32;

/** What recovery found in a segment, and what it did. */
export interface RecoveryReport {
  /** The `.log`. */
  path: string;
  /** Index entries that were believed, because the log bytes that they describe were synced before them. */
  trustedEntries: number;
  /** Bytes of the log that were walked, every message verified. */
  walkedBytes: number;
  /** Where the data ends, in bytes. */
  end: number;
  /** Bytes behind it that were cut, prepared zeros included. */
  cutBytes: number;
  /** Whether what was cut held valid messages and was kept in `<segment>.cut` first. */
  kept: boolean;
  /** Index entries that were written anew. */
  rebuiltEntries: number;
}

/** What recovery needs. */
export interface RecoveryOptions extends SegmentTaskFiles {
  /** Where blocks come from. */
  pool: BufferPool;
  /** The offset of the segment's first message. */
  baseOffset: number;
  /** Called before anything is changed: a crash from here on must be recovered from, too. */
  begin(): Task<void>;
  /** Keeps the bytes of the log from `stop.position` up to `to` beside it, durably, before they are cut. */
  keep(stop: CursorStop, to: number): Task<void>;
}

/** The state of a segment after recovery, and what was done. */
export interface Recovered {
  /** What the writer starts from. */
  state: SegmentState;
  /** What was found and done. */
  report: RecoveryReport;
}

/**
 * Finds the end of a segment that was not closed, cuts what lies behind it, and answers where to go on.
 *
 * What is read is synced first: bytes that only the page cache holds could vanish after they were believed.
 *
 * @throws {CorruptSegment} If more than a torn tail is damaged; nothing was changed then.
 */
export function* recoverSegment(options: RecoveryOptions): Task<Recovered> {
  const { log, index } = options;
  yield* sync(log, index);
  const size = yield* log.size();
  const trusted = yield* trustedStart(options, size);
  let walk = yield* walkFrom(options, trusted, size);
  try {
    if (walk.entries.length === 0 && walk.start.count > 0) {
      // No message begins where the index says, with 16 MiB to come: before the log is called damaged, the index is doubted.
      yield* walk.cursor.close();
      walk = yield* walkFrom(options, { ...BEGINNING, reach: 0 }, size);
    }
    const kept = walk.stop.reason !== "end" &&
      (yield* judgeTear(options, walk, size));
    yield* walk.cursor.close();
    return yield* settle(options, walk, size, kept);
  } finally {
    yield* walk.cursor.close();
  }
}

/** Cuts the log behind what was walked, and writes the entries of that. */
function* settle(
  options: RecoveryOptions,
  walk: Walk,
  size: number,
  kept: boolean,
): Task<Recovered> {
  const { log, index, pool } = options;
  const { start, stop, entries } = walk;
  const end = stop.position;
  yield* options.begin();
  if (kept) yield* options.keep(stop, size);

  const count = stop.offset - options.baseOffset;
  yield* cut(log, end);
  const written = yield* writeEntries(options, start.count, entries);
  const indexedCount = written ? count : start.count;
  yield* cut(index, indexedCount * INDEX_ENTRY_BYTES);
  // What lay behind the cuts must not come back: from here on it cannot.
  yield* sync(log, index);
  const state: SegmentState = {
    count,
    end,
    lastTimestamp: walk.lastTimestamp,
    logTail: yield* readTail(log, pool, end),
    indexTail: yield* readTail(index, pool, indexedCount * INDEX_ENTRY_BYTES),
    indexedCount,
    missingEntries: written ? new Uint8Array(0) : concat(entries),
  };
  const report: RecoveryReport = {
    path: log.path,
    trustedEntries: start.count,
    walkedBytes: end - start.position,
    end,
    cutBytes: size - end,
    kept,
    rebuiltEntries: count - start.count,
  };
  return { state, report };
}

/** Where a walk begins: behind so many messages. */
interface WalkStart {
  /** Messages before it. */
  count: number;
  /** Where it is, in bytes. */
  position: number;
  /** Nothing was written from here on, by what the index says: its last entry came with a checkpoint, and 16 MiB later comes the next one. */
  reach: number;
}

/** What a walk found. */
interface Walk {
  start: WalkStart;
  /** Where and why it ended. */
  stop: CursorStop;
  /** What read it: from the stop on there is more. */
  cursor: Cursor;
  entries: Uint8Array[];
  lastTimestamp: number;
}

const BEGINNING = { count: 0, position: 0 };

/** Verifies every message from a place on, and gathers their index entries. */
function* walkFrom(
  options: RecoveryOptions,
  start: WalkStart,
  size: number,
): Task<Walk> {
  const { log, pool, baseOffset } = options;
  const offset = baseOffset + start.count;
  const cursor = new Cursor(log, pool, start.position, offset, {
    keepBad: true,
    aheadBound: start.reach === 0 ? Infinity : start.reach,
    eager: true,
  });
  const entries: Uint8Array[] = [];
  let lastTimestamp = 0;
  try {
    for (;;) {
      const next = yield* cursor.next(size);
      if (!(next instanceof MessageBatch)) {
        return { start, stop: next, cursor, entries, lastTimestamp };
      }
      using batch = next;
      lastTimestamp = batch.timestamp(batch.count - 1);
      entries.push(indexEntries(batch, baseOffset));
    }
  } catch (error) {
    yield* cursor.close();
    throw error;
  }
}

/**
 * Writes the entries of walked messages in place, so that a crash meanwhile leaves no less than there was, and the next walk is as short.
 *
 * @returns `false` if the disk is full: they are for the first checkpoint then.
 */
function* writeEntries(
  options: RecoveryOptions,
  from: number,
  entries: readonly Uint8Array[],
): Task<boolean> {
  const { index, pool } = options;
  const tail = yield* readTail(index, pool, from * INDEX_ENTRY_BYTES);
  using writer = new IndexWriter(index, pool, from, tail);
  for (const part of entries) writer.push(part);
  try {
    yield* writer.write();
    return true;
  } catch (error) {
    if (error instanceof NoSpace) return false;
    throw error;
  }
}

/**
 * Writes the index of a segment that is not written any more into an empty file, from a walk over its whole log.
 *
 * @returns The number of messages.
 * @throws {CorruptSegment} If the log holds anything but whole, valid messages.
 */
export function* rebuildIndex(
  files: SegmentTaskFiles,
  pool: BufferPool,
  baseOffset: number,
): Task<number> {
  const { log, index } = files;
  const size = yield* log.size();
  const cursor = new Cursor(log, pool, 0, baseOffset);
  using writer = new IndexWriter(index, pool, 0, new Uint8Array(0));
  try {
    for (;;) {
      const next = yield* cursor.next(size);
      if (!(next instanceof MessageBatch)) {
        if (next.reason !== "end") throw corruption(log.path, next);
        break;
      }
      writer.push(indexEntries(next, baseOffset));
      next.drop();
      yield* writer.write();
    }
  } finally {
    yield* cursor.close();
  }
  const count = cursor.offset - baseOffset;
  yield* cut(index, count * INDEX_ENTRY_BYTES);
  yield* sync(index);
  return count;
}

/** Where the walk begins: behind the last entry that is older than the last 16 MiB of the log. Entries that describe more than the log has are not believed. */
function* trustedStart(
  options: RecoveryOptions,
  size: number,
): Task<WalkStart> {
  const { index, pool } = options;
  const indexBytes = yield* index.size();
  using lookup = new IndexLookup(index, pool);
  let last = Math.floor(indexBytes / INDEX_ENTRY_BYTES);
  // The padding of the last block, or blocks that a crash left unwritten, are zeros.
  for (; last > 0; last--) {
    const entry = yield* lookup.entry(last - 1);
    if (entry !== undefined && isPlausible(entry, last - 1)) break;
  }
  if (last === 0) return { ...BEGINNING, reach: 0 };
  const newest = (yield* lookup.entry(last - 1))!.position;
  yield* refuseLoss(options, lookup, last, newest, size);
  const bound = Math.min(newest, size) - CHECKPOINT_BYTES;
  const count = yield* lookup.partitionPoint(
    last,
    (entry, i) => isPlausible(entry, i) && entry.position <= bound,
    // Exact where all messages are of one size.
    Math.max(0, Math.floor(last * bound / newest)),
  );
  const reach = newest + CHECKPOINT_BYTES;
  if (count === 0) return { ...BEGINNING, reach };
  const entry = (yield* lookup.entry(count - 1))!;
  return { count, position: entry.position, reach };
}

/**
 * Refuses a log that lost more than any recovery cuts: the index goes on behind its end, entry by entry, and entries are written for synced bytes only. Where one of them cannot follow the one before it, the index itself is damaged.
 *
 * @throws {CorruptSegment} If the log is too short.
 */
function* refuseLoss(
  options: RecoveryOptions,
  lookup: IndexLookup,
  last: number,
  newest: number,
  size: number,
): Task<void> {
  if (newest <= size + CHECKPOINT_BYTES + MAX_MESSAGE_BYTES) return;
  const first = yield* lookup.partitionPoint(
    last,
    (entry, i) => isPlausible(entry, i) && entry.position <= size,
  );
  let before = first === 0 ? 0 : (yield* lookup.entry(first - 1))!.position;
  for (let i = first; i < last; i++) {
    const entry = yield* lookup.entry(i);
    if (entry === undefined || !isPlausible(entry, i)) return;
    const length = entry.position - before;
    if (length < HEADER_BYTES || length > MAX_MESSAGE_BYTES) return;
    before = entry.position;
  }
  throw new CorruptSegment(
    `it has ${size} bytes, but its index describes ${newest} that were synced`,
    {
      path: options.log.path,
      position: size,
      offset: options.baseOffset + first,
      kind: "index",
    },
  );
}

/**
 * Decides whether a bad region is a torn tail, which may be cut, and whether valid messages behind it must be kept.
 *
 * A crash cannot leave a valid message farther behind it than a checkpoint: such a region is damage.
 */
function* judgeTear(
  options: RecoveryOptions,
  walk: Walk,
  size: number,
): Task<boolean> {
  const { log, pool } = options;
  const { stop, start: { reach }, cursor: { blocks } } = walk;
  // Where something was written farther on, the index is not the log's, and all of the log is looked at.
  const to = stop.position <= reach &&
      (yield* isZero(log, pool, reach, Math.min(reach + RESTART_BYTES, size)))
    ? Math.min(reach, size)
    : size;
  const near = Math.min(to, stop.position + CHECKPOINT_BYTES + 1);
  const minOffset = stop.offset + 1;
  const search = new MessageSearch({ log, pool, blocks, minOffset, size, to });
  const behind = yield* search.first(stop.position + 1, near);
  if ((yield* search.first(near, to)) !== undefined) {
    throw corruption(log.path, stop);
  }
  return behind !== undefined;
}

/** Written out over words, little-endian like the machine: a view and an object for each message would take longer than reading it. */
function indexEntries(batch: MessageBatch, baseOffset: number): Uint8Array {
  const { bytes, starts, count, position } = batch;
  const words = new Uint32Array(count * INDEX_ENTRY_BYTES / 4);
  const relativeOffset = batch.firstOffset - baseOffset;
  for (let i = 0, at = 0; i < count; i++, at += 4) {
    const time = starts[i]! + TIMESTAMP;
    words[at] = relativeOffset + i;
    words[at + 1] = position + starts[i + 1]!;
    words[at + 2] = bytes[time]! | bytes[time + 1]! << 8 |
      bytes[time + 2]! << 16 | bytes[time + 3]! << 24;
    words[at + 3] = bytes[time + 4]! | bytes[time + 5]! << 8 |
      bytes[time + 6]! << 16 | bytes[time + 7]! << 24;
    // A time above 2^53 - 1 is none: this throws.
    if (words[at + 3]! > 0x1f_ffff) batch.timestamp(i);
  }
  return new Uint8Array(words.buffer);
}

function* cut(file: TaskFile, length: number): Task<void> {
  yield* file.truncate(length);
}

/** Syncs files side by side: on one filesystem they share a commit of its journal. */
function* sync(...files: TaskFile[]): Task<void> {
  const results = yield* together(files.map((file) => file.sync("full")));
  for (const each of results) {
    if (each.status === "rejected") throw each.reason;
  }
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(
    parts.reduce((sum, part) => sum + part.length, 0),
  );
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
