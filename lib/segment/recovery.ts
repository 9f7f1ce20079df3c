import {
  findMessage,
  HEADER_BYTES,
  INDEX_ENTRY_BYTES,
  MAX_PAYLOAD_BYTES,
  MAX_USER_HEADERS_BYTES,
  messageOffsetAt,
  writeIndexEntry,
} from "../codec/mod.ts";
import type { BufferPool } from "../pool/mod.ts";
import { NoSpace, step, type StorageFile, type Twin } from "../storage/mod.ts";
import type { SegmentFiles, SegmentState } from "./active_segment.ts";
import {
  corruption,
  Cursor,
  type CursorStop,
  READ_BLOCK_BYTES,
} from "./cursor.ts";
import { IndexLookup, isPlausible } from "./index_lookup.ts";
import { IndexWriter } from "./index_writer.ts";
import { CorruptSegment } from "./corrupt_segment.ts";
import { CHECKPOINT_BYTES, MAX_OFFSET, roundDown, roundUp } from "./layout.ts";
import { MessageBatch } from "./message_batch.ts";

/** The largest message. */
const MAX_MESSAGE_BYTES = HEADER_BYTES + MAX_PAYLOAD_BYTES +
  MAX_USER_HEADERS_BYTES;

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
export interface RecoveryOptions extends SegmentFiles {
  /** Where blocks come from. */
  pool: BufferPool;
  /** The offset of the segment's first message. */
  baseOffset: number;
  /** Called before anything is changed: a crash from here on must be recovered from, too. */
  begin(): Twin<void>;
  /** Keeps the bytes of the log from `stop.position` up to `to` beside it, durably, before they are cut. */
  keep(stop: CursorStop, to: number): Twin<void>;
}

/** The state of a segment after recovery, and what was done. */
export interface Recovered {
  /** What the writer starts from. */
  state: SegmentState;
  /** What was found and done. */
  report: RecoveryReport;
}

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
  files: SegmentFiles,
  pool: BufferPool,
): Twin<SealedExtent | undefined> {
  const { log, index } = files;
  const end = yield* step(() => log.size(), () => log.sizeSync());
  const indexBytes = yield* step(() => index.size(), () => index.sizeSync());
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
  files: SegmentFiles,
  pool: BufferPool,
  count: number,
): Twin<SegmentState> {
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

/**
 * Finds the end of a segment that was not closed, cuts what lies behind it, and answers where to go on.
 *
 * What is read is synced first: bytes that only the page cache holds could vanish after they were believed.
 *
 * @throws {CorruptSegment} If more than a torn tail is damaged; nothing was changed then.
 */
export function* recoverSegment(options: RecoveryOptions): Twin<Recovered> {
  const { log, index, pool } = options;
  yield* step(() => log.sync("full"), () => log.syncSync("full"));
  yield* step(() => index.sync("full"), () => index.syncSync("full"));
  const size = yield* step(() => log.size(), () => log.sizeSync());
  let trusted = yield* trustedStart(options, size);
  let walk = yield* walkFrom(options, trusted, size);
  if (walk.entries.length === 0 && trusted.count > 0) {
    // No message begins where the index says, with 16 MiB to come: before the log is called damaged, the index is doubted.
    trusted = BEGINNING;
    walk = yield* walkFrom(options, trusted, size);
  }
  const { stop, entries } = walk;
  const end = stop.position;
  const tear = stop.reason === "end"
    ? { kept: false }
    : yield* judgeTear(options, stop, size, trusted.count > 0);
  yield* options.begin();
  if (tear.kept) yield* options.keep(stop, size);

  const count = stop.offset - options.baseOffset;
  yield* cut(log, end);
  const written = yield* writeEntries(options, trusted.count, entries);
  const indexedCount = written ? count : trusted.count;
  yield* cut(index, indexedCount * INDEX_ENTRY_BYTES);
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
    trustedEntries: trusted.count,
    walkedBytes: end - trusted.position,
    end,
    cutBytes: size - end,
    kept: tear.kept,
    rebuiltEntries: count - trusted.count,
  };
  return { state, report };
}

/** Where a walk begins: behind so many messages. */
interface WalkStart {
  /** Messages before it. */
  count: number;
  /** Where it is, in bytes. */
  position: number;
}

const BEGINNING: WalkStart = { count: 0, position: 0 };

/** Verifies every message from a place on, and gathers their index entries. */
function* walkFrom(
  options: RecoveryOptions,
  start: WalkStart,
  size: number,
): Twin<{ stop: CursorStop; entries: Uint8Array[]; lastTimestamp: number }> {
  const { log, pool, baseOffset } = options;
  const cursor = new Cursor(
    log,
    pool,
    start.position,
    baseOffset + start.count,
  );
  const entries: Uint8Array[] = [];
  let lastTimestamp = 0;
  for (;;) {
    const next = yield* cursor.next(size);
    if (!(next instanceof MessageBatch)) {
      return { stop: next, entries, lastTimestamp };
    }
    lastTimestamp = next.timestamp(next.count - 1);
    entries.push(indexEntries(next, baseOffset));
    next.drop();
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
): Twin<boolean> {
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
  files: SegmentFiles,
  pool: BufferPool,
  baseOffset: number,
): Twin<number> {
  const { log, index } = files;
  const size = yield* step(() => log.size(), () => log.sizeSync());
  const cursor = new Cursor(log, pool, 0, baseOffset);
  using writer = new IndexWriter(index, pool, 0, new Uint8Array(0));
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
  const count = cursor.offset - baseOffset;
  yield* cut(index, count * INDEX_ENTRY_BYTES);
  return count;
}

/** Where the walk begins: behind the last entry that is older than the last 16 MiB of the log. Entries that describe more than the log has are not believed. */
function* trustedStart(
  options: RecoveryOptions,
  size: number,
): Twin<WalkStart> {
  const { index, pool } = options;
  const indexBytes = yield* step(() => index.size(), () => index.sizeSync());
  using lookup = new IndexLookup(index, pool);
  let last = Math.floor(indexBytes / INDEX_ENTRY_BYTES);
  // The padding of the last block, or blocks that a crash left unwritten, are zeros.
  for (; last > 0; last--) {
    const entry = yield* lookup.entry(last - 1);
    if (entry !== undefined && isPlausible(entry, last - 1)) break;
  }
  if (last === 0) return BEGINNING;
  const newest = (yield* lookup.entry(last - 1))!.position;
  yield* refuseLoss(options, lookup, last, newest, size);
  const bound = Math.min(newest, size) - CHECKPOINT_BYTES;
  const count = yield* lookup.partitionPoint(
    last,
    (entry, i) => isPlausible(entry, i) && entry.position <= bound,
  );
  if (count === 0) return BEGINNING;
  const entry = (yield* lookup.entry(count - 1))!;
  return { count, position: entry.position };
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
): Twin<void> {
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
  stop: CursorStop,
  size: number,
  indexed: boolean,
): Twin<{ kept: boolean }> {
  // With an index, nothing can lie farther than two checkpoints behind it: zeros beyond are the prepared window.
  const bound = stop.reason === "zeros" && indexed
    ? Math.min(size, stop.position + 2 * CHECKPOINT_BYTES)
    : size;
  const { log, pool } = options;
  const behind = (from: number, to: number): Twin<boolean> =>
    hasMessageBehind(log, pool, from, to, stop.offset);
  const near = Math.min(bound, stop.position + CHECKPOINT_BYTES + 1);
  if (yield* behind(near, bound)) throw corruption(log.path, stop);
  return { kept: yield* behind(stop.position + 1, near) };
}

/** Whether a valid message with an offset above `offset` begins in `[from, to)` of a `.log`; it may end behind `to`. */
export function* hasMessageBehind(
  log: StorageFile,
  pool: BufferPool,
  from: number,
  to: number,
  offset: number,
): Twin<boolean> {
  const found = yield* findMessageBehind(log, pool, from, to, offset + 1);
  return found !== undefined;
}

/** Where a message is. */
export interface MessagePlace {
  /** Where it begins in the `.log`, in bytes. */
  position: number;
  /** Its offset. */
  offset: number;
}

/** The first valid message with an offset of at least `minOffset` that begins in `[from, to)` of a `.log`; it may end behind `to`. */
export function* findMessageBehind(
  log: StorageFile,
  pool: BufferPool,
  from: number,
  to: number,
  minOffset: number,
): Twin<MessagePlace | undefined> {
  const unit = log.capabilities.readOffsetAlignment;
  const size = yield* step(() => log.size(), () => log.sizeSync());
  const offsets = [
    minOffset,
    Math.min(minOffset + Math.ceil(size / HEADER_BYTES), MAX_OFFSET),
  ] as const;
  // The last header that counts ends here.
  const end = Math.min(size, to + HEADER_BYTES - 1);
  while (from + HEADER_BYTES <= end) {
    const start = roundDown(from, unit);
    const length = Math.min(READ_BLOCK_BYTES, roundUp(end - start, unit));
    using buffer = yield* step(
      () => pool.acquire(length),
      () => pool.acquireSync(length),
    );
    const read = yield* step(
      () => log.read(buffer, start, { length }),
      () => log.readSync(buffer, start, { length }),
    );
    const bytes = buffer.bytes.subarray(0, Math.min(read, end - start));
    for (let at = from - start;;) {
      const { position, beyond } = findMessage(bytes, at, ...offsets);
      // Its header is here, but it ends behind the block: read it by itself.
      if (beyond !== undefined) {
        const candidate = start + beyond.position;
        if (candidate + beyond.length <= size) {
          const range = [candidate, beyond.length] as const;
          if (yield* isMessage(log, pool, ...range, offsets)) {
            return placed(bytes, start, beyond.position);
          }
        }
      }
      if (position !== undefined) return placed(bytes, start, position);
      if (beyond === undefined) break;
      at = beyond.position + 1;
    }
    if (read < length) return undefined;
    // A header across the block's end is seen whole in the next one.
    from = start + bytes.length - HEADER_BYTES + 1;
  }
  return undefined;
}

function placed(bytes: Uint8Array, start: number, at: number): MessagePlace {
  return { position: start + at, offset: messageOffsetAt(bytes, at) };
}

/** Whether a valid message of `length` bytes begins at `position`. */
function* isMessage(
  log: StorageFile,
  pool: BufferPool,
  position: number,
  length: number,
  offsets: readonly [min: number, max: number],
): Twin<boolean> {
  const unit = log.capabilities.readOffsetAlignment;
  const start = roundDown(position, unit);
  const end = position - start + length;
  using buffer = yield* step(
    () => pool.acquire(roundUp(end, unit)),
    () => pool.acquireSync(roundUp(end, unit)),
  );
  const read = yield* step(
    () => log.read(buffer, start),
    () => log.readSync(buffer, start),
  );
  const bytes = buffer.bytes.subarray(0, Math.min(read, end));
  if (bytes.length < end) return false;
  const at = position - start;
  return findMessage(bytes, at, ...offsets).position === at;
}

function indexEntries(batch: MessageBatch, baseOffset: number): Uint8Array {
  const bytes = new Uint8Array(batch.count * INDEX_ENTRY_BYTES);
  for (let i = 0; i < batch.count; i++) {
    writeIndexEntry(bytes, i, {
      relativeOffset: batch.offset(i) - baseOffset,
      position: batch.position + batch.starts[i + 1]!,
      timestamp: batch.timestamp(i),
    });
  }
  return bytes;
}

/** Cuts a file and makes the cut durable: what lay behind it must not come back. */
function* cut(file: StorageFile, length: number): Twin<void> {
  yield* step(() => file.truncate(length), () => file.truncateSync(length));
  yield* step(() => file.sync("full"), () => file.syncSync("full"));
}

/** What a file holds from the last multiple of the physical block up to `end`. */
export function* readTail(
  file: StorageFile,
  pool: BufferPool,
  end: number,
): Twin<Uint8Array> {
  const unit = file.capabilities.physicalBlock;
  const start = roundDown(end, unit);
  if (start === end) return new Uint8Array(0);
  using buffer = yield* step(
    () => pool.acquire(unit),
    () => pool.acquireSync(unit),
  );
  yield* step(
    () => file.read(buffer, start, { length: unit }),
    () => file.readSync(buffer, start, { length: unit }),
  );
  return buffer.bytes.slice(0, end - start);
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
