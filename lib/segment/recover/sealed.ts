import type { Task } from "../../base/mod.ts";
import {
  BATCH_HEADER_BYTES,
  FRAME_HEADER_BYTES,
  INDEX_ENTRY_BYTES,
  type IndexEntry,
} from "../../codec/mod.ts";
import type { BufferPool } from "../../pool/mod.ts";
import { NoSpaceError, type TaskFile } from "../../storage/mod.ts";
import {
  corruption,
  CorruptSegmentError,
} from "../read/corrupt_segment_error.ts";
import { IndexLookup } from "../read/index_lookup.ts";
import { MessageBatch } from "../read/message_batch.ts";
import { type ScanStop, SegmentScan } from "../read/segment_scan.ts";
import {
  readState,
  type SegmentFiles,
  type SegmentState,
} from "../segment_state.ts";
import { SparseIndex } from "../sparse_index.ts";
import { EMPTY_INDEX, IndexWriter } from "../write/index_writer.ts";

/** Where the batches of a sealed segment end. */
export interface ScannedEnd {
  /** The offset of the message after its last. */
  nextOffset: number;
  /** Where the data ends in the `.log`: its length, in bytes. */
  end: number;
  /** The last batch's timestamp in microseconds; 0 if there is none. */
  lastTimestamp: number;
}

/** Where a sealed segment ends, and whether its index is right. */
export interface SealedEnd extends ScannedEnd {
  /** Whether the last entry of the `.index` names a batch at the end of the log. */
  isIndexRight: boolean;
}

/**
 * Finds the end of a sealed segment: from its last index entry, if the batch there is valid, or
 * else by a scan of the whole log.
 *
 * Every scanned batch is verified.
 *
 * @throws {CorruptSegmentError} If the log does not end with a batch, or the index describes more
 *   than the log holds.
 */
export function* readSealedEnd(segment: SegmentFiles): Task<SealedEnd> {
  const { log, index, firstOffset, pool } = segment;
  const size = yield* log.size();
  const indexSize = yield* index.size();
  using lookup = yield* IndexLookup.open(segment);
  const newest = yield* lookup.entry(lookup.count - 1);
  const end = newest && (yield* scanFrom(log, pool, newest, size));
  if (end !== undefined) {
    return { ...end, isIndexRight: indexSize % INDEX_ENTRY_BYTES === 0 };
  }
  const plausible = (yield* lookup.lastPlausible())?.entry;
  refuseShort(log.path, plausible, size);
  const proved = plausible && (yield* scanFrom(log, pool, plausible, size));
  const scanned = proved ?? (yield* scanAll(log, pool, firstOffset, size));
  // An empty index is right only for an empty log.
  return { ...scanned, isIndexRight: size === 0 && indexSize === 0 };
}

/**
 * Verifies every batch of a sealed segment, before its index is written again.
 *
 * @throws {CorruptSegmentError} If the file holds anything but whole, valid batches.
 */
export function* verifySealed(
  { log, firstOffset, pool }: SegmentFiles,
): Task<void> {
  yield* scanAll(log, pool, firstOffset, yield* log.size());
}

/**
 * Checks that an `.index` describes no batch at or after the end of its log.
 *
 * @throws {CorruptSegmentError} If it does: the log has lost bytes.
 */
export function* checkIndexEnd(
  segment: SegmentFiles,
  end: number,
): Task<void> {
  using lookup = yield* IndexLookup.open(segment);
  // The last entry has the largest position, unless entries are damaged.
  const newest = yield* lookup.entry(lookup.count - 1);
  if (lookup.count === 0 || newest !== undefined && newest.position < end) {
    return;
  }
  const plausible = (yield* lookup.lastPlausible())?.entry;
  refuseShort(segment.log.path, plausible, end);
}

/** Reads the state of a sealed segment for a writer. A wrong index is written again. */
export function* sealedState(segment: SegmentFiles): Task<SegmentState> {
  const { index } = segment;
  const sealed = yield* readSealedEnd(segment);
  if (!sealed.isIndexRight) {
    yield* index.truncate(0);
    yield* index.sync("full");
    try {
      yield* rebuildIndex(segment);
    } catch (error) {
      if (!(error instanceof NoSpaceError)) throw error;
      // The index is only a cache, so an empty one will do.
      yield* index.truncate(0);
    }
  }
  using lookup = yield* IndexLookup.open(segment);
  const last = yield* lookup.entry(lookup.count - 1);
  return yield* readState(segment, {
    ...sealed,
    indexEnd: lookup.count * INDEX_ENTRY_BYTES,
    indexedPosition: last?.position,
  });
}

/** What {@linkcode rebuildIndex} found and did. */
export interface RebuiltIndex extends ScannedEnd {
  /** Number of entries written. */
  entries: number;
}

/**
 * Writes the index of a sealed segment into an empty file, from a scan of its log, and syncs it.
 *
 * @throws {CorruptSegmentError} If the log holds anything but whole, valid batches.
 */
export function* rebuildIndex(segment: SegmentFiles): Task<RebuiltIndex> {
  const { log, index, firstOffset, pool } = segment;
  const size = yield* log.size();
  const sparse = new SparseIndex(undefined);
  using writer = yield* IndexWriter.open(index, pool, EMPTY_INDEX);
  const take = function* (messages: MessageBatch): Task<void> {
    for (const entry of sparse.entries(messages)) writer.push(entry);
    messages.drop();
    yield* writer.write();
  };
  const scanned = yield* scanAll(log, pool, firstOffset, size, take);
  yield* index.truncate(writer.writtenEnd);
  yield* index.sync("full");
  return { ...scanned, entries: writer.writtenEnd / INDEX_ENTRY_BYTES };
}

/**
 * Verifies a log from the batch that an entry names. Returns `undefined` if that batch is not
 * there.
 *
 * @throws {CorruptSegmentError} If the log is damaged after that batch.
 */
function* scanFrom(
  log: TaskFile,
  pool: BufferPool,
  entry: IndexEntry,
  size: number,
): Task<ScannedEnd | undefined> {
  const { position, timestamp } = entry;
  if (position >= size) return undefined;
  const scan = new SegmentScan(log, pool, entry, { minTimestamp: timestamp });
  try {
    const first = yield* scan.next(size);
    if (!(first instanceof MessageBatch)) return undefined;
    const isThere = first.batch(0).timestamp === timestamp;
    first.drop();
    return isThere ? yield* scanToEnd(scan, log.path, size) : undefined;
  } finally {
    yield* scan.close();
  }
}

/** Verifies a whole log, and gives its messages to `take`, or drops them. */
function* scanAll(
  log: TaskFile,
  pool: BufferPool,
  firstOffset: number,
  size: number,
  take?: (messages: MessageBatch) => Task<void>,
): Task<ScannedEnd> {
  const start = { position: 0, offset: firstOffset };
  const scan = new SegmentScan(log, pool, start);
  try {
    return yield* scanToEnd(scan, log.path, size, take);
  } finally {
    yield* scan.close();
  }
}

/**
 * Scans to the end and gives all messages to `take`, or drops them.
 *
 * @throws {CorruptSegmentError} If there is anything but valid batches below `size`.
 */
function* scanToEnd(
  scan: SegmentScan,
  path: string,
  size: number,
  take?: (messages: MessageBatch) => Task<void>,
): Task<ScannedEnd> {
  let next: MessageBatch | ScanStop;
  while ((next = yield* scan.next(size)) instanceof MessageBatch) {
    if (take !== undefined) yield* take(next);
    else next.drop();
  }
  if (next.reason !== "end" || next.position < size) {
    throw corruption(path, next);
  }
  const { offset: nextOffset, position: end, lastTimestamp } = scan;
  return { nextOffset, end, lastTimestamp };
}

/**
 * Refuses a log of `end` bytes if its index vouches for a batch that ends later.
 *
 * @param last The last plausible entry.
 * @param lost The first entry for a batch that is not there. Default: `last`.
 */
export function refuseShort(
  path: string,
  last: IndexEntry | undefined,
  end: number,
  lost = last,
): void {
  if (last === undefined) return;
  const { position } = last;
  if (position + BATCH_HEADER_BYTES + FRAME_HEADER_BYTES <= end) return;
  throw new CorruptSegmentError(
    `it has ${end} bytes, but its index describes a batch at ${position} that was synced`,
    { path, position: end, offset: lost!.offset, kind: "index" },
  );
}
