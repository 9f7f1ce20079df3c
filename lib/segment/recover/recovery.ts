import { runAll, type Task } from "../../base/mod.ts";
import {
  INDEX_ENTRY_BYTES,
  type IndexEntry,
  MAX_BATCH_BYTES,
} from "../../codec/mod.ts";
import { NoSpaceError, type TaskFile } from "../../storage/mod.ts";
import { findBatchAfter } from "./batch_search.ts";
import { BlockReader, RESTART_BYTES } from "../read/block_reader.ts";
import { corruption } from "../read/corrupt_segment_error.ts";
import { IndexLookup, type NumberedEntry } from "../read/index_lookup.ts";
import { CHECKPOINT_BYTES, INDEX_INTERVAL_BYTES, roundUp } from "../layout.ts";
import { MessageBatch } from "../read/message_batch.ts";
import { type ScanStop, SegmentScan } from "../read/segment_scan.ts";
import { refuseShort } from "./sealed.ts";
import {
  readIndexState,
  readState,
  type SegmentFiles,
  type SegmentState,
} from "../segment_state.ts";
import { SparseIndex } from "../sparse_index.ts";
import { IndexWriter } from "../write/index_writer.ts";
import { endOfNonZero, isZero } from "./zeros.ts";

/*
 * Recovery finds the end of a segment that was not closed. The rules are those of
 * `docs/format.md#opening`. This is why they hold, and how they are applied.
 *
 * The writer syncs the log before it writes an index entry. So an entry at position P is evidence,
 * whatever happened since: every byte before P was durable, and so was the whole batch at P. The
 * durable offset in the owner file is evidence of the same kind. Of all entries, the last plausible
 * one, L, says the most.
 *
 *     0          B                         L         C         stop
 *     | believed | scanned and vouched for | scanned | scanned | torn tail | prepared zeros |
 *                |<---- 16 MiB or more --->|         |<----- 16 MiB ------>|
 *
 * B is the last entry that lies 16 MiB or more before L. Everything before it is believed. Every
 * batch from it is verified, also those that L vouches for: a disk may lose what it acknowledged,
 * and an entry may be damaged and still be plausible.
 *
 *     beside reading, sync both files, and the owner file's name: bytes may be in the page cache
 *     only, and nothing is trusted before it is on the disk
 *     read the index: B and L
 *     if the log ends before the batch at L: refuse
 *     scan from B to the first batch that is not valid, and compare it with the entries
 *     if no batch is at B, or the scan passed a wrong entry:
 *         scan from 0 and write the index again
 *     if the scan stopped at or before L, or below the durable offset: refuse
 *     if what follows is neither zeros nor a torn tail: refuse
 *     salvage the tail; cut the index, then the log, or both at once where the index loses only
 *         zeros; write missing entries
 *
 * A torn tail cannot be long. C, where the last checkpoint was taken, is at or after L. A batch
 * that begins an index interval or more after L would have got an entry by a checkpoint after it.
 * So C is not after the first such batch. Everything before C is durable, so C is not after the
 * stop either. From C the writer wrote at most 16 MiB, or one larger batch: a crash leaves only
 * zeros after that.
 *
 * Nothing is changed before all this is decided. A refused opening leaves the files as they were.
 */

/** What recovery found in a segment, and what it did. */
export interface RecoveryReport {
  /** The `.log`. */
  path: string;
  /** Bytes of the log that were trusted because of the index. */
  trustedPosition: number;
  /** Bytes of the log after them in which every batch was verified. */
  scannedBytes: number;
  /** Where the data ends, in bytes. */
  end: number;
  /** Bytes after it that were cut, prepared zeros included. */
  cutBytes: number;
  /** Whether the cut bytes were not all zeros, and were saved first. */
  isKept: boolean;
  /** Index entries that were written again. */
  rebuiltEntries: number;
}

/** What recovery needs. */
export interface RecoveryOptions extends SegmentFiles {
  /** The durable offset that the last writer published; 0 if it is not known. */
  durableOffset: number;
  /**
   * Makes durable what says that the segment must be recovered; runs beside the first syncs, before
   * anything is changed.
   */
  begin(): Task<void>;
  /** Called once, when all is decided and nothing is changed; what it throws ends the recovery. */
  beforeChange?(): void;
  /**
   * Copies the bytes `[from, to)` of the log elsewhere, durably, before they are cut because of
   * `stop`.
   */
  keep(from: number, to: number, stop: ScanStop): Task<void>;
  /**
   * Prepares what follows recovery. Runs beside the cuts, after the tail was salvaged.
   *
   * @param nextOffset The offset of the message after the last.
   */
  beside?(nextOffset: number): Task<void>;
}

/** The state of a segment after recovery, and what was done. */
export interface Recovered {
  /** What the writer starts from. */
  state: SegmentState;
  /** What was found and done. */
  report: RecoveryReport;
}

/**
 * Finds the end of a segment that was not closed, cuts what follows, and returns where to go on.
 *
 * @throws {CorruptSegmentError} If more than a torn tail is damaged; nothing was changed then.
 */
export function* recoverSegment(options: RecoveryOptions): Task<Recovered> {
  return yield* new Recovery(options).run();
}

/** What the index says about the end of the log. */
interface Evidence {
  /** The last plausible entry. */
  last: NumberedEntry | undefined;
  /**
   * The plausible entries from the place where the scan begins; the first one is believed, unless
   * it is the segment's.
   */
  recent: readonly IndexEntry[];
}

/** What a scan found. */
interface Scanned {
  /** Where it began, in bytes. */
  start: number;
  /** Where and why it ended. */
  stop: ScanStop;
  /** What read it: its blocks go on at the stop. */
  scan: SegmentScan;
  /** Whether every entry was found to be right. */
  isIndexRight: boolean;
  /**
   * Entries for batches after the last one that has an entry: the first one would be there if a
   * checkpoint had come after its batch.
   */
  missing: IndexEntry[];
  /** Where the data of the published durable offset ends; 0 if that is not known. */
  durablePosition: number;
}

/** One recovery. */
class Recovery {
  readonly #options: RecoveryOptions;
  #size = 0;
  #evidence: Evidence = { last: undefined, recent: [] };
  #scanned: Scanned | undefined;

  constructor(options: RecoveryOptions) {
    this.#options = options;
  }

  *run(): Task<Recovered> {
    const { log, index, begin } = this.#options;
    try {
      // Side by side syncs share a commit of the filesystem's journal. What is read meanwhile is
      // not trusted before they have ended.
      yield* runAll<void>([
        log.sync("full"),
        index.sync("full"),
        begin(),
        this.#look(),
      ]);
      const keptEnd = yield* this.#decide();
      yield* this.#scanned!.scan.close();
      return yield* this.#finish(this.#scanned!, keptEnd);
    } finally {
      yield* this.#close();
    }
  }

  /** Reads the index, and scans from the believed entry. */
  *#look(): Task<void> {
    this.#size = yield* this.#options.log.size();
    this.#evidence = yield* this.#readEvidence();
    const { last, recent } = this.#evidence;
    const lost = recent.find(({ position }) => position >= this.#size);
    refuseShort(this.#options.log.path, last?.entry, this.#size, lost);
    this.#scanned = yield* this.#scan(this.#evidence.recent);
  }

  /**
   * Decides whether what follows the data may be cut. Returns where the bytes end that must be
   * salvaged first; `undefined` if there are none.
   */
  *#decide(): Task<number | undefined> {
    const { stop, start, isIndexRight } = this.#scanned!;
    // Without a batch where the scan began, the index is doubted before the log is called damaged.
    const isDoubtful = stop.position === start ||
      stop.position > (this.#evidence.last?.entry.position ?? Infinity);
    if (!isIndexRight && isDoubtful) {
      yield* this.#close();
      this.#scanned = yield* this.#scan(undefined);
    }
    this.#refuseLoss(this.#scanned!.stop);
    return yield* this.#classifyTail(this.#scanned!);
  }

  *#close(): Task<void> {
    const scanned = this.#scanned;
    if (scanned !== undefined) yield* scanned.scan.close();
  }

  /** Reads the index up to its last plausible entry. */
  *#readEvidence(): Task<Evidence> {
    using lookup = yield* IndexLookup.open(this.#options);
    let recent: IndexEntry[] = [];
    let first = 0;
    const last = yield* lookup.lastPlausible((entry) => {
      recent.push(entry);
      const believed = entry.position - CHECKPOINT_BYTES;
      while (
        first + 1 < recent.length && recent[first + 1]!.position <= believed
      ) first++;
      // Drop entries that are not needed any more now and then.
      if (first > recent.length / 2) {
        recent = recent.slice(first);
        first = 0;
      }
    });
    recent = recent.slice(first);
    return { last, recent };
  }

  /**
   * Verifies every batch from the believed entry to the first one that is not valid.
   *
   * @param entries What to compare the batches with; `undefined` to scan the whole log and believe
   * no entry.
   */
  *#scan(entries: readonly IndexEntry[] | undefined): Task<Scanned> {
    const { log, pool, firstOffset, durableOffset } = this.#options;
    const last = entries && this.#evidence.last?.entry;
    const start = this.#startOf(entries);
    const scan = new SegmentScan(
      log,
      pool,
      start ?? { position: 0, offset: firstOffset },
      {
        keepBad: true,
        aheadBound: last === undefined
          ? Infinity
          : last.position + CHECKPOINT_BYTES,
        eager: true,
        typicalBytes: typicalBytes(entries ?? []),
        minTimestamp: start?.timestamp ?? 0,
      },
    );
    const index = new SparseIndex(last?.position);
    const compared = new ComparedEntries(entries ?? []);
    const missing: IndexEntry[] = [];
    let durablePosition = 0;
    try {
      for (;;) {
        const next = yield* scan.next(this.#size);
        if (!(next instanceof MessageBatch)) {
          return {
            start: start?.position ?? 0,
            stop: next,
            scan,
            isIndexRight: entries !== undefined && compared.areRight,
            missing,
            durablePosition,
          };
        }
        using messages = next;
        compared.compare(messages);
        missing.push(...index.entries(messages));
        if (messages.firstOffset < durableOffset) {
          durablePosition = Math.max(
            durablePosition,
            positionOf(messages, durableOffset),
          );
        }
      }
    } catch (error) {
      yield* scan.close();
      throw error;
    }
  }

  /** Returns the entry at which a scan begins; `undefined` for the beginning of the log. */
  #startOf(entries: readonly IndexEntry[] | undefined): IndexEntry | undefined {
    const { last } = this.#evidence;
    const first = entries?.[0];
    if (first === undefined || last === undefined) return undefined;
    return first.position <= last.entry.position - CHECKPOINT_BYTES
      ? first
      : undefined;
  }

  /** Refuses a stop before something that the index or the durable offset vouches for. */
  #refuseLoss(stop: ScanStop): void {
    const { log, durableOffset } = this.#options;
    const { last } = this.#evidence;
    const isVouchedFor =
      last !== undefined && stop.position <= last.entry.position ||
      stop.offset < durableOffset;
    if (isVouchedFor) throw corruption(log.path, stop);
  }

  /**
   * Decides whether what follows the stop is a torn tail, which may be cut.
   *
   * @returns Where the bytes end that must be salvaged first; `undefined` if there are only zeros.
   * @throws {CorruptSegmentError} If a crash cannot have left it.
   */
  *#classifyTail(scanned: Scanned): Task<number | undefined> {
    const { log, pool } = this.#options;
    const { stop, scan } = scanned;
    if (stop.position >= this.#size) return undefined;
    const { reach, isKnown } = this.#reachOf(scanned);
    // Where the index tells too little, check everything.
    const to = isKnown ? reach + MAX_BATCH_BYTES : this.#size;
    const [near, far] = yield* runAll([
      endOfNonZero(scan.blocks, Math.min(reach, this.#size)),
      this.#endOfFar(reach, to),
    ]);
    const end = far ?? near;
    if (end === undefined) return undefined;
    const after = stop.position + CHECKPOINT_BYTES + 1;
    const isTorn = end <= reach + MAX_BATCH_BYTES &&
      (end <= after ||
        !(yield* findBatchAfter(log, pool, after, end, stop.offset + 1)));
    if (!isTorn) throw corruption(log.path, stop);
    return Math.min(roundUp(end, log.capabilities.physicalBlock), this.#size);
  }

  /**
   * Returns the end of the last byte that is not 0 in `[from, to)`, and of the whole file if bytes
   * at `to` are not 0.
   */
  *#endOfFar(from: number, to: number): Task<number | undefined> {
    const { log, pool } = this.#options;
    if (from >= this.#size) return undefined;
    const isAllZero = yield* isZero(
      log,
      pool,
      to,
      Math.min(to + RESTART_BYTES, this.#size),
    );
    const blocks = new BlockReader(log, pool, from, { eager: true });
    try {
      return yield* endOfNonZero(
        blocks,
        isAllZero ? Math.min(to, this.#size) : this.#size,
      );
    } finally {
      yield* blocks.close();
    }
  }

  /**
   * Returns how far the writer may have come after its last checkpoint, a larger batch excepted,
   * and whether the index tells: it tells nothing if it is damaged, or if entries are missing
   * because there was no room for them.
   */
  #reachOf(scanned: Scanned): { reach: number; isKnown: boolean } {
    const { stop: { position }, isIndexRight, missing, durablePosition } =
      scanned;
    const checkpoint = Math.max(
      Math.min(missing[0]?.position ?? Infinity, position),
      durablePosition,
    );
    const reach = checkpoint + CHECKPOINT_BYTES;
    const isKnown = isIndexRight && this.#evidence.last !== undefined &&
      position <= reach;
    return { reach: isKnown ? reach : position + CHECKPOINT_BYTES, isKnown };
  }

  /** Cuts the files to what is valid and writes the entries that are missing. */
  *#finish(scanned: Scanned, keptEnd: number | undefined): Task<Recovered> {
    const { log, index, pool, beside } = this.#options;
    const { start, stop, scan, isIndexRight, missing } = scanned;
    const end = stop.position;
    const last = isIndexRight ? this.#evidence.last : undefined;
    const trustedEnd = last === undefined
      ? 0
      : (last.number + 1) * INDEX_ENTRY_BYTES;
    let indexSize = yield* index.size();
    this.#options.beforeChange?.();
    if (keptEnd !== undefined) yield* this.#options.keep(end, keptEnd, stop);
    // The index first: no entry may ever describe what is not there any more. Zeros describe
    // nothing.
    if (!(yield* isZero(index, pool, trustedEnd, indexSize))) {
      yield* cut(index, trustedEnd, indexSize);
      indexSize = trustedEnd;
    }
    let [isWritten] = yield* runAll<boolean | void>([
      this.#completeIndex(trustedEnd, indexSize, missing),
      cut(log, end, this.#size),
      ...beside === undefined ? [] : [beside(stop.offset)],
    ]);
    // Where there was no room for the entries, the cut may have made some.
    if (!isWritten && end < this.#size) {
      isWritten = yield* this.#completeIndex(trustedEnd, trustedEnd, missing);
    }
    const indexEnd = trustedEnd +
      (isWritten ? missing.length * INDEX_ENTRY_BYTES : 0);
    const indexed = isWritten ? missing.at(-1) : undefined;
    const state = yield* readState(this.#options, {
      nextOffset: stop.offset,
      end,
      lastTimestamp: scan.lastTimestamp,
      indexEnd,
      indexedPosition: indexed?.position ?? last?.entry.position,
    });
    const report: RecoveryReport = {
      path: log.path,
      trustedPosition: start,
      scannedBytes: end - start,
      end,
      cutBytes: this.#size - end,
      isKept: keptEnd !== undefined,
      rebuiltEntries: isWritten ? missing.length : 0,
    };
    return { state, report };
  }

  /**
   * Cuts the index to the entries that are right and writes the missing ones after them, so that
   * the next recovery is as short.
   *
   * @param end Where the entries end that are right, in bytes.
   * @returns `false` if the disk is full: the index is only shorter then.
   */
  *#completeIndex(
    end: number,
    size: number,
    entries: readonly IndexEntry[],
  ): Task<boolean> {
    const { index, pool } = this.#options;
    if (entries.length === 0) {
      yield* cut(index, end, size);
      return true;
    }
    using writer = yield* IndexWriter.open(
      index,
      pool,
      yield* readIndexState(index, pool, end),
    );
    for (const entry of entries) writer.push(entry);
    let isWritten = true;
    try {
      yield* writer.write();
    } catch (error) {
      if (!(error instanceof NoSpaceError)) throw error;
      isWritten = false;
    }
    yield* index.truncate(isWritten ? writer.writtenEnd : end);
    yield* index.sync("full");
    return isWritten;
  }
}

/** Compares index entries with batches, both in their order. */
class ComparedEntries {
  readonly #entries: readonly IndexEntry[];
  #next = 0;
  #areWrong = false;

  constructor(entries: readonly IndexEntry[]) {
    this.#entries = entries;
  }

  /** Whether every entry named a batch. */
  get areRight(): boolean {
    return !this.#areWrong && this.#next === this.#entries.length;
  }

  /**
   * Compares the entries up to the end of these messages, which follow those of the call before.
   */
  compare(messages: MessageBatch): void {
    for (let k = 0; k < messages.batchCount; k++) {
      const entry = this.#entries[this.#next];
      if (entry === undefined) return;
      const batch = messages.batch(k);
      if (entry.position > batch.position) continue;
      this.#next++;
      this.#areWrong ||= entry.position < batch.position ||
        entry.offset !== batch.offset ||
        entry.timestamp !== batch.timestamp;
    }
  }
}

/**
 * Returns how long the longest batch is that begins at an entry. The next entry tells; 0 if all of
 * them are less than two index intervals apart, because several batches may share one then.
 */
function typicalBytes(entries: readonly IndexEntry[]): number {
  let longest = 0;
  for (let i = 1; i < entries.length; i++) {
    const distance = entries[i]!.position - entries[i - 1]!.position;
    longest = Math.max(longest, distance);
  }
  return longest < 2 * INDEX_INTERVAL_BYTES ? 0 : longest;
}

/**
 * Returns where a batch with messages at or after `offset` begins at the latest: everything before
 * it lies below `offset`.
 */
function positionOf(messages: MessageBatch, offset: number): number {
  if (offset >= messages.nextOffset) return messages.endPosition;
  let position = messages.batch(0).position;
  for (let k = 0; k < messages.batchCount; k++) {
    const batch = messages.batch(k);
    if (batch.offset > offset) break;
    position = batch.position;
  }
  return position;
}

/** Cuts a file durably, if it is longer. */
function* cut(file: TaskFile, length: number, size: number): Task<void> {
  if (length >= size) return;
  yield* file.truncate(length);
  yield* file.sync("full");
}
