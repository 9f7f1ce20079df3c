import {
  findMessage,
  INDEX_ENTRY_BYTES,
  writeIndexEntry,
} from "../codec/mod.ts";
import type { BufferPool } from "../pool/mod.ts";
import { step, type StorageFile, type Twin } from "../storage/mod.ts";
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
import { CHECKPOINT_BYTES, roundDown, roundUp } from "./layout.ts";
import { MessageBatch } from "./message_batch.ts";

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

/**
 * Whether a segment was closed: its log ends where its index says. Two sizes and one read of 16 bytes.
 *
 * @returns The number of messages; `undefined` if it was not closed.
 */
export function* sealedCount(
  files: SegmentFiles,
  pool: BufferPool,
): Twin<number | undefined> {
  const { log, index } = files;
  const logBytes = yield* step(() => log.size(), () => log.sizeSync());
  const indexBytes = yield* step(() => index.size(), () => index.sizeSync());
  if (indexBytes % INDEX_ENTRY_BYTES !== 0) return undefined;
  const count = indexBytes / INDEX_ENTRY_BYTES;
  if (count === 0) return logBytes === 0 ? 0 : undefined;
  using lookup = new IndexLookup(index, pool);
  const last = yield* lookup.entry(count - 1);
  return last !== undefined && isPlausible(last, count - 1) &&
      last.position === logBytes
    ? count
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
  const { log, index, pool, baseOffset } = options;
  yield* step(() => log.sync("full"), () => log.syncSync("full"));
  yield* step(() => index.sync("full"), () => index.syncSync("full"));
  const size = yield* step(() => log.size(), () => log.sizeSync());
  const trusted = yield* trustedStart(index, pool);
  if (trusted.position > size) {
    throw new CorruptSegment(
      `it has ${size} bytes, but its index describes ${trusted.position} that were synced`,
      {
        path: log.path,
        position: size,
        offset: baseOffset + trusted.count,
        kind: "index",
      },
    );
  }
  const cursor = new Cursor(
    log,
    pool,
    trusted.position,
    baseOffset + trusted.count,
  );
  const entries: Uint8Array[] = [];
  let lastTimestamp = trusted.timestamp;
  let stop: CursorStop;
  for (;;) {
    const next = yield* cursor.next(size);
    if (!(next instanceof MessageBatch)) {
      stop = next;
      break;
    }
    lastTimestamp = next.timestamp(next.count - 1);
    entries.push(indexEntries(next, baseOffset));
    next.drop();
  }
  const end = cursor.position;
  const tear = stop.reason === "end"
    ? { kept: false }
    : yield* judgeTear(options, stop, size, trusted.count > 0);
  if (tear.kept) yield* options.keep(stop, size);

  const rebuilt = concat(entries);
  const report: RecoveryReport = {
    path: log.path,
    trustedEntries: trusted.count,
    walkedBytes: end - trusted.position,
    end,
    cutBytes: size - end,
    kept: tear.kept,
    rebuiltEntries: rebuilt.length / INDEX_ENTRY_BYTES,
  };
  const indexEnd = trusted.count * INDEX_ENTRY_BYTES;
  yield* cut(log, end);
  yield* cut(index, indexEnd);
  const state: SegmentState = {
    count: trusted.count + report.rebuiltEntries,
    end,
    lastTimestamp,
    logTail: yield* readTail(log, pool, end),
    indexTail: yield* readTail(index, pool, indexEnd),
    indexedCount: trusted.count,
    missingEntries: rebuilt,
  };
  return { state, report };
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

/** Where the walk begins: behind the last entry that is older than the last 16 MiB of the log. */
function* trustedStart(
  index: StorageFile,
  pool: BufferPool,
): Twin<{ count: number; position: number; timestamp: number }> {
  const none = { count: 0, position: 0, timestamp: 0 };
  const size = yield* step(() => index.size(), () => index.sizeSync());
  using lookup = new IndexLookup(index, pool);
  let last = Math.floor(size / INDEX_ENTRY_BYTES);
  // The padding of the last block, or blocks that a crash left unwritten, are zeros.
  for (; last > 0; last--) {
    const entry = yield* lookup.entry(last - 1);
    if (entry !== undefined && isPlausible(entry, last - 1)) break;
  }
  if (last === 0) return none;
  const newest = (yield* lookup.entry(last - 1))!.position;
  const bound = newest - CHECKPOINT_BYTES;
  const count = yield* lookup.partitionPoint(
    last,
    (entry, i) => isPlausible(entry, i) && entry.position <= bound,
  );
  if (count === 0) return none;
  const entry = (yield* lookup.entry(count - 1))!;
  return { count, position: entry.position, timestamp: entry.timestamp };
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
  const behind = (from: number): Twin<boolean> =>
    hasMessageBehind(log, pool, from, bound, stop.offset);
  if (yield* behind(stop.position + CHECKPOINT_BYTES + 1)) {
    throw corruption(log.path, stop);
  }
  return { kept: yield* behind(stop.position + 1) };
}

/** Whether a valid message with an offset above `offset` begins in `[from, to)` of a `.log`. */
export function* hasMessageBehind(
  log: StorageFile,
  pool: BufferPool,
  from: number,
  to: number,
  offset: number,
): Twin<boolean> {
  const unit = log.capabilities.readOffsetAlignment;
  let blockBytes = READ_BLOCK_BYTES;
  while (from < to) {
    const start = roundDown(from, unit);
    const length = Math.min(blockBytes, roundUp(to - start, unit));
    using buffer = yield* step(
      () => pool.acquire(length),
      () => pool.acquireSync(length),
    );
    const read = yield* step(
      () => log.read(buffer, start, { length }),
      () => log.readSync(buffer, start, { length }),
    );
    const valid = Math.min(read, to - start);
    const bytes = buffer.bytes.subarray(0, valid);
    const found = findMessage(
      bytes,
      from - start,
      offset + 1,
      offset + Math.ceil(to / 64),
    );
    if (found !== undefined) return true;
    if (start + length >= to || read < length) return false;
    // Half a block is read again, so that a message across its end is seen whole in the next one.
    from = start + length / 2;
    if (from <= start) from = start + length;
    blockBytes = READ_BLOCK_BYTES;
  }
  return false;
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
