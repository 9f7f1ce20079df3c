import type { Task } from "../../base/mod.ts";
import {
  checkIndexEnd,
  corruption,
  CorruptSegmentError,
  type ScanStop,
  type StopReason,
} from "../../segment/mod.ts";
import type { TaskFile } from "../../storage/mod.ts";
import { classifySegments } from "../open/_classify.ts";
import {
  listDirectory,
  type ListedSegment,
  refuseNoLog,
  refuseOddNames,
} from "../open/directory.ts";
import type { DirectoryChanges, ReaderStats } from "./directory_changes.ts";
import {
  lastUpTo,
  type OpenSegment,
  type ReadableSegment,
  type Resumption,
  type SegmentSource,
  timestampAt,
} from "./_log_scan.ts";
import { durableOffsetOf, foreignWriter } from "./_foreign_writer.ts";
import { type LogPlace, type MetaRecord, readMeta } from "../record/meta.ts";
import { segmentPath } from "../names.ts";
import { OffsetOutOfRangeError } from "./offset_out_of_range_error.ts";
import { readIndex, sizeAt } from "../open/_segment_files.ts";
import { tryRecovery } from "../open/_try_recovery.ts";

/** How often to read a bad batch again before it is classified. */
const ATTEMPTS = 8;
/** The wait before the first repetition; it doubles. */
const FIRST_DELAY_MS = 1;
/** Upper bound of the polling delay. */
const MAX_DELAY_MS = 100;
/**
 * Classify an incomplete batch after this many polls. Do it twice, because a closing writer may
 * still complete it after the first.
 */
const CLASSIFY_EVERY = 64;
/**
 * Where the system reports changes, look again after these delays, and classify an incomplete batch
 * then. After that, only a change wakes the reader.
 */
const LAST_LOOKS_MS = [50, 100];
/** Check the names in the directory at most this often while the end of the data is known. */
const LIST_EVERY_MICROS = 1_000_000;
/**
 * List the directory this often, with this delay, before a file counts as lost: a listing that runs
 * beside a removal lacks files, too.
 */
const LISTINGS = 3;
const LISTING_DELAY_MS = 2;

/** The result of a listing. */
interface Found {
  /** Segments with a `.log`, in the order of their offsets. */
  segments: ListedSegment[];
  /** Why later segments cannot be read: continuing would leave messages out. */
  lost: CorruptSegmentError | undefined;
}

/** How the segments are read. */
export interface ForeignSegmentsOptions {
  /** The requested offset. */
  from: number;
  /** Return only messages below the published durable offset. */
  durable: boolean;
  /** Waits for later messages; without it, reading ends where the data ends. */
  changes: DirectoryChanges | undefined;
  /** Counts listings. */
  stats: ReaderStats;
}

/**
 * The segments of a log that another process may be writing: lists its directory, and distinguishes
 * damage from batches that are not written yet.
 *
 * The directory is listed at the start, and again at the end of the last known segment, not for
 * each segment. `docs/format.md#read-listing`
 */
export class ForeignSegments implements SegmentSource {
  readonly #place: LogPlace;
  readonly #options: ForeignSegmentsOptions;
  readonly #changes: DirectoryChanges | undefined;
  /** The contents of `meta`, as read last. */
  #meta: MetaRecord | undefined;
  /** The last listing, and the segments that were found after it. */
  #found: Found = { segments: [], lost: undefined };
  #listedAtMicros = -Infinity;
  /** Messages below it are durable, as the writer published. */
  #durableOffset = 0;
  /** The number of looks since the last messages or the last reported change. */
  #looks = 0;
  /** Whether the files were searched for an offset that is not durable. */
  #isChecked = false;
  /** Whether the last look at this position found no writer. */
  #isQuiet = false;
  onCaughtUp?: () => void;

  constructor(place: LogPlace, options: ForeignSegmentsOptions) {
    this.#place = place;
    this.#options = options;
    this.#changes = options.changes;
  }

  *segments(): Task<readonly ReadableSegment[]> {
    // Watch before listing, so that no later change is missed.
    this.#changes?.watch();
    this.#listedAtMicros = this.#place.storage.now();
    this.#options.stats.listings++;
    const { segments, lost } = this.#found = yield* this.#list();
    if (lost !== undefined && segments.length === 0) throw lost;
    return segments;
  }

  find(offset: number): ReadableSegment {
    const segment = lastUpTo(this.#found.segments, offset);
    if (segment === undefined) throw this.#outOfRange(offset);
    return segment;
  }

  checkStart(offset: number): void {
    if (offset < this.#found.segments[0]!.firstOffset) {
      throw this.#outOfRange(offset);
    }
  }

  *resume(
    current: OpenSegment,
    stop: ScanStop,
    _bound: number,
    attempt: number,
  ): Task<Resumption> {
    if (attempt === 0) this.#looks = 0;
    if (this.#hasNext(current, stop.offset)) return "next";
    const changes = this.#changes;
    if (changes !== undefined) {
      if (yield* this.#finds(current, stop)) return "next";
      if (!this.#isLookDue(current, stop, attempt)) {
        return yield* this.#again(changes);
      }
    }
    if (yield* this.#relist(current, stop.offset)) return "next";
    if (yield* this.#classify(current, stop, attempt)) return "again";
    if (changes !== undefined) return yield* this.#again(changes);
    const { from } = this.#options;
    if (from > stop.offset) throw this.#outOfRange(from, stop.offset);
    return "end";
  }

  /** Waits until the message at `offset` is durable, if only durable messages are requested. */
  *ahead(
    offset: number,
    current: OpenSegment | undefined,
  ): Task<"files" | "end"> {
    const { durable, from } = this.#options;
    while (durable && offset >= this.#durableOffset) {
      this.#durableOffset = yield* durableOffsetOf(this.#place);
      if (offset < this.#durableOffset) break;
      if (this.#changes === undefined) {
        // The files show whether the log has such an offset at all.
        if (offset < from) return "files";
        const isUnchecked = offset > this.#durableOffset && !this.#isChecked;
        this.#isChecked = true;
        return isUnchecked ? "files" : "end";
      }
      if (current !== undefined) current.size = yield* current.log.size();
      if (this.#isListDue || isShorter(current)) {
        yield* this.#relist(current, offset);
      }
      yield* this.#again(this.#changes);
    }
    return "files";
  }

  *end(): Task<number> {
    if (!this.#options.durable) return Infinity;
    // The log was closed at the last look; a writer may have opened it since.
    if (this.#durableOffset === Infinity) {
      this.#durableOffset = yield* durableOffsetOf(this.#place);
    }
    return this.#durableOffset;
  }

  close(): void {
    this.#changes?.close();
  }

  /**
   * Lists the directory; returns the segments up to one that is lost.
   *
   * An unpaired empty file at the end is a segment that is being created. Files below the first
   * offset are being removed.
   *
   * @throws {Deno.errors.NotFound} If there is no segment.
   * @throws {Deno.errors.BadResource} If the directory now holds another log.
   */
  *#list(): Task<Found> {
    const { storage, dir } = this.#place;
    for (let attempt = 1;; attempt++) {
      const listing = yield* listDirectory(storage, dir);
      refuseOddNames(dir, listing);
      // Read it after the listing, so that it is at least as new.
      const meta = listing.hasMeta ? yield* readMeta(this.#place) : undefined;
      this.#checkIdentity(meta);
      this.#meta = meta;
      const { readable: segments, faults: [lost] } = classifySegments(
        dir,
        listing,
        meta?.firstOffset,
      );
      const isWhole = lost === undefined && segments.length > 0;
      if (isWhole || lost !== undefined && attempt === LISTINGS) {
        return { segments, lost };
      }
      if (attempt === LISTINGS) {
        refuseNoLog(dir, listing);
        throw new Deno.errors.NotFound(
          `No whole segment in '${dir}': its first one is being made, or 'Log.open' has to complete it`,
        );
      }
      yield* storage.delay(LISTING_DELAY_MS);
    }
  }

  /** Refuses a directory that holds another log than before. */
  #checkIdentity(meta: MetaRecord | undefined): void {
    const before = this.#meta?.identity;
    if (before === undefined || meta?.identity === before) return;
    throw new Deno.errors.BadResource(
      `Cannot read on in log '${this.#place.dir}': the log with identity ${before} is not there any more`,
    );
  }

  /** Whether a known segment begins at the end of the current one. */
  #hasNext({ segment }: OpenSegment, offset: number): boolean {
    return offset > segment.firstOffset &&
      lastUpTo(this.#found.segments, offset)?.firstOffset === offset;
  }

  /**
   * Lists the directory again; returns whether a later segment begins at `offset`.
   *
   * @throws {OffsetOutOfRangeError} If the message at `offset` was removed.
   * @throws {Deno.errors.BadResource} If the log has lost messages that were read.
   */
  *#relist(current: OpenSegment | undefined, offset: number): Task<boolean> {
    const { isNotified = false, areNamesNew = false } = this.#changes ?? {};
    yield* this.segments();
    if (current !== undefined && this.#hasNext(current, offset)) return true;
    this.checkStart(offset);
    if (current === undefined) return false;
    const { segment, log, last } = current;
    this.#checkName(segment, log);
    // Restoring an older state of the log changes names, whether or not the files are the same.
    const isDoubtful = isNotified && areNamesNew || isShorter(current);
    if (last === undefined || !isDoubtful) return false;
    const timestamp = yield* timestampAt(log, this.#place.pool, last);
    if (timestamp === last.timestamp) return false;
    throw new Deno.errors.BadResource(
      `Cannot read on in '${log.path}': the messages from offset ${last.offset}, which were read, are not there any more`,
    );
  }

  /** Looks for a segment that was created after the last listing; returns whether it exists. */
  *#finds(
    { segment }: OpenSegment,
    { reason, offset }: ScanStop,
  ): Task<boolean> {
    const isLast = this.#isLast(segment);
    if (reason !== "end" || !isLast || offset === segment.firstOffset) {
      return false;
    }
    const { storage, dir } = this.#place;
    const path = segmentPath(dir, offset, "log");
    if ((yield* sizeAt(storage, path)) === undefined) return false;
    this.#found.segments.push({ firstOffset: offset, log: true, index: true });
    return true;
  }

  #isLast({ firstOffset }: ReadableSegment): boolean {
    return this.#found.segments.at(-1)!.firstOffset === firstOffset;
  }

  /**
   * Whether a tail must find out what its stop means, which lists the directory and may read the
   * bytes after the stop. Otherwise it waits.
   */
  #isLookDue(
    current: OpenSegment,
    { reason }: ScanStop,
    attempt: number,
  ): boolean {
    if (this.#isListDue || isShorter(current)) return true;
    if (!this.#isLast(current.segment)) return true;
    if (reason === "end") return false;
    if (attempt % CLASSIFY_EVERY >= CLASSIFY_EVERY - 2) return true;
    if (!isUnwritten(reason)) return attempt <= ATTEMPTS;
    return this.#changes!.isNotified && this.#looks > 0 &&
      this.#looks <= LAST_LOOKS_MS.length;
  }

  /** Whether names may have changed since a listing that was not just made. */
  get #isListDue(): boolean {
    const age = this.#place.storage.now() - this.#listedAtMicros;
    return this.#changes!.areNamesNew && Math.abs(age) >= LIST_EVERY_MICROS;
  }

  /** Waits for a change, or for the time to look again. */
  *#again(changes: DirectoryChanges): Task<"again"> {
    this.onCaughtUp?.();
    const looks = this.#looks++;
    const namesMs = changes.areNamesNew ? LIST_EVERY_MICROS / 1000 : undefined;
    const delayMs = changes.isNotified
      ? LAST_LOOKS_MS[looks] ?? namesMs
      : Math.min(FIRST_DELAY_MS * 2 ** looks, MAX_DELAY_MS);
    if (yield* changes.wait(delayMs)) this.#looks = 0;
    return "again";
  }

  /**
   * Classifies a stop. `docs/format.md#read-not-yet`
   *
   * @returns Whether to read here again; `false` at the end of the data.
   * @throws {CorruptSegmentError} If the stop is damage.
   */
  *#classify(
    { log, segment }: OpenSegment,
    stop: ScanStop,
    attempt: number,
  ): Task<boolean> {
    const isSealed = !this.#isLast(segment);
    const { lost } = this.#found;
    if (stop.reason === "end" && !isSealed) {
      if (lost !== undefined) throw lost;
      if (this.#changes === undefined) yield* this.#checkEnd(log, stop);
      return false;
    }
    const { state, durableOffset } = yield* foreignWriter(this.#place);
    const isWriting = state === "writing";
    // The bytes may be older than the last write of a writer that has closed meanwhile, so read
    // them again.
    const isAgain = !isWriting && !(this.#isQuiet && attempt > 0);
    this.#isQuiet = !isWriting;
    if (isAgain) return true;
    const mustBeWhole = isSealed || lost !== undefined;
    const isWritten = mustBeWhole || stop.offset < durableOffset;
    if (isWriting && isUnwritten(stop.reason) && !isWritten) return false;
    // Bytes that were read before the durable offset was published may be older than it.
    if ((isWriting || mustBeWhole) && attempt < ATTEMPTS) {
      yield* this.#place.storage.delay(FIRST_DELAY_MS * 2 ** attempt);
      return true;
    }
    if (mustBeWhole) throw this.#corruption(log.path, segment, stop);
    if (isWriting && !isWritten) return false;
    if (state !== "dead") throw corruption(log.path, stop);
    const { firstOffset } = segment;
    const recovering = tryRecovery(this.#place, firstOffset, durableOffset);
    if ((yield* recovering).nextOffset <= stop.offset) return false;
    if (attempt < ATTEMPTS) return true;
    throw corruption(log.path, stop);
  }

  /** Refuses to continue in a file that has lost its name: no writer will extend it. */
  #checkName({ firstOffset }: ReadableSegment, log: TaskFile): void {
    const { segments, lost } = this.#found;
    const isListed =
      lastUpTo(segments, firstOffset)?.firstOffset === firstOffset;
    if (isListed && log.isAtPath()) return;
    throw lost ?? new Deno.errors.BadResource(
      `Cannot read on in '${log.path}': the file has lost its name`,
    );
  }

  /** Refuses a closed log that is shorter than its index says. */
  *#checkEnd(log: TaskFile, { position }: ScanStop): Task<void> {
    const { pool } = this.#place;
    if ((yield* foreignWriter(this.#place)).state !== "none") return;
    const { firstOffset } = this.#found.segments.at(-1)!;
    yield* readIndex(
      this.#place,
      firstOffset,
      (index) => checkIndexEnd({ log, index, firstOffset, pool }, position),
    );
  }

  /** Returns the error for a stop in a segment that has a later one. */
  #corruption(
    path: string,
    { firstOffset }: ReadableSegment,
    stop: ScanStop,
  ): CorruptSegmentError {
    const { reason, position, offset } = stop;
    const next = this.#found.segments
      .find((each) => each.firstOffset > firstOffset);
    if (reason !== "end" || next === undefined) return corruption(path, stop);
    return new CorruptSegmentError(
      `the next segment begins at offset ${next.firstOffset}`,
      { path, position, offset, kind: "gap" },
    );
  }

  #outOfRange(offset: number, nextOffset?: number): OffsetOutOfRangeError {
    const { dir } = this.#place;
    const { firstOffset } = this.#found.segments[0]!;
    return new OffsetOutOfRangeError(dir, offset, firstOffset, nextOffset);
  }
}

/** Whether bytes may be those of a batch that is not written yet. */
function isUnwritten(reason: StopReason): boolean {
  return reason === "zeros" || reason === "partial";
}

/** Whether the file of a segment ends before the position of its scan. */
function isShorter(current: OpenSegment | undefined): boolean {
  return current !== undefined && current.size < current.scan.position;
}
