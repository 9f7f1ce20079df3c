import type { Task } from "../base/mod.ts";
import {
  checkIndexEnd,
  corruption,
  CorruptSegmentError,
  type ScanStop,
  type SegmentFiles,
} from "../segment/mod.ts";
import { listDirectory } from "./directory.ts";
import type { ReadableSegment } from "./log_pass.ts";
import type { LogPlace } from "./meta.ts";
import { parseSegmentName } from "./names.ts";
import { OffsetOutOfRangeError } from "./offset_out_of_range_error.ts";
import { isLocked, type OwnerRecord, readOwnerFile } from "./owner_file.ts";
import { type Readable, ReadableSegments } from "./readable.ts";
import { tryRecovery, vouchedOffset } from "./try_recovery.ts";

/** How often a bad batch is read again before it is classified. */
export const ATTEMPTS = 8;
/** The wait before the first repetition, in milliseconds; it doubles. */
export const FIRST_DELAY_MS = 1;
/** How often an owner file in transition is read again. */
const RECORD_ATTEMPTS = 4;

/** Whether a log is being written, was left by a writer that died, or was closed. */
type WriterState = "writing" | "dead" | "none";

/** What the owner file and the lock say of a log's writer. */
interface Writer {
  state: WriterState;
  /** Messages below it are durable, as the writer published. */
  durableOffset: number;
}

/**
 * One reading of a log that another process may be writing: tells damage from what is not written
 * yet.
 */
export class Reading {
  readonly #place: LogPlace;
  readonly #readable: ReadableSegments;
  /** The offset that was asked for; `undefined` if the reading goes on at the end of the data. */
  readonly #from: number | undefined;
  /** What the last listing found. */
  #found: Readable = { segments: [], lost: undefined };
  /** Whether the last look at this position found no writer. */
  #isQuiet = false;

  constructor(place: LogPlace, from: number | undefined) {
    this.#place = place;
    this.#from = from;
    this.#readable = new ReadableSegments(place);
  }

  /** Returns the segments that can be read now. */
  *segments(): Task<readonly ReadableSegment[]> {
    const { segments, lost } = this.#found = yield* this.#readable.list();
    if (lost !== undefined && segments.length === 0) throw lost;
    return segments.map(({ firstOffset }) => ({
      firstOffset,
      bound: undefined,
    }));
  }

  /**
   * Tells what a stop means. `docs/format.md#read-not-yet`
   *
   * @param isSealed Whether a later segment exists.
   * @returns Whether to read here again; `false` at the end of the data.
   * @throws {CorruptSegmentError} If it is damage.
   */
  *classify(
    files: SegmentFiles,
    stop: ScanStop,
    attempt: number,
    isSealed: boolean,
  ): Task<boolean> {
    this.#checkName(files);
    const { lost } = this.#found;
    if (stop.reason === "end" && !isSealed) {
      if (lost !== undefined) throw lost;
      if (this.#from !== undefined) yield* this.#checkEnd(files, stop);
      return false;
    }
    const writer = yield* this.#writer();
    // What was read may have been the last write of one that closed since: only what is read now
    // counts.
    const isAgain = writer.state !== "writing" &&
      !(this.#isQuiet && attempt > 0);
    this.#isQuiet = writer.state !== "writing";
    if (isAgain) return true;
    return yield* this.#classify(
      files,
      stop,
      attempt,
      isSealed || lost !== undefined,
      writer,
    );
  }

  *#classify(
    files: SegmentFiles,
    stop: ScanStop,
    attempt: number,
    isSealed: boolean,
    { state, durableOffset }: Writer,
  ): Task<boolean> {
    const isUnwritten = stop.reason === "zeros" || stop.reason === "partial";
    const isWritten = isSealed || stop.offset < durableOffset;
    const isWriting = state === "writing";
    if (isWriting && isUnwritten && !isWritten) return false;
    // Bytes that were read before the durable offset was published may be older than it.
    if ((isWriting || isSealed) && attempt < ATTEMPTS) {
      yield* this.#place.storage.delay(FIRST_DELAY_MS * 2 ** attempt);
      return true;
    }
    if (isSealed) throw yield* this.#corruption(files.log.path, stop);
    if (isWriting && !isWritten) return false;
    if (state !== "dead") throw corruption(files.log.path, stop);
    const end = yield* this.#recoveredEnd(files, durableOffset);
    if (end <= stop.offset) return false;
    if (attempt < ATTEMPTS) return true;
    throw corruption(files.log.path, stop);
  }

  /** Returns the offset at which the next writer will go on. */
  *#recoveredEnd(
    { log }: SegmentFiles,
    durableOffset: number,
  ): Task<number> {
    const { firstOffset } = nameOf(log.path);
    const segment = this.#found.segments
      .find((each) => each.firstOffset === firstOffset)!;
    const { state } = yield* tryRecovery(this.#place, segment, durableOffset);
    return state.nextOffset;
  }

  /** Refuses to go on in a file that has lost its name: nothing will be written to it any more. */
  #checkName({ log }: SegmentFiles): void {
    const { firstOffset } = nameOf(log.path);
    const { segments, lost } = this.#found;
    if (segments.some((each) => each.firstOffset === firstOffset)) return;
    throw lost ?? new Deno.errors.BadResource(
      `Cannot read on in '${log.path}': the file has lost its name`,
    );
  }

  /**
   * Refuses an offset after the end of the data, and a closed log that is shorter than its index
   * says.
   *
   * A tail waits there instead.
   */
  *#checkEnd(files: SegmentFiles, { offset, position }: ScanStop): Task<void> {
    const { storage, dir, pool } = this.#place;
    const { segments } = this.#found;
    if (this.#from! > offset) {
      const first = segments[0]!.firstOffset;
      throw new OffsetOutOfRangeError(dir, this.#from!, first, offset);
    }
    const { hasOwner } = yield* listDirectory(storage, dir);
    if (hasOwner) return;
    const { firstOffset } = segments.at(-1)!;
    yield* checkIndexEnd(files, pool, firstOffset, position);
  }

  /** Returns the error for a stop in a segment that has a later one. */
  *#corruption(path: string, stop: ScanStop): Task<CorruptSegmentError> {
    if (stop.reason !== "end") return corruption(path, stop);
    const { storage, dir } = this.#place;
    const { segments } = yield* listDirectory(storage, dir);
    const own = nameOf(path);
    const next = segments.find((each) => each.firstOffset > own.firstOffset);
    if (next === undefined) return corruption(path, stop);
    const { position, offset } = stop;
    return new CorruptSegmentError(
      `the next segment begins at offset ${next.firstOffset}`,
      { path, position, offset, kind: "gap" },
    );
  }

  /** Returns what the owner file and the lock say. */
  *#writer(): Task<Writer> {
    const record = yield* readOwnerRecord(this.#place);
    if (record === undefined) return { state: "none", durableOffset: 0 };
    const { storage, dir } = this.#place;
    const state = isLocked(storage, dir) ? "writing" : "dead";
    return { state, durableOffset: vouchedOffset(record) };
  }
}

/**
 * Reads the owner file, again if it seems to be in transition (docs/format.md#read-owner-retry).
 */
function* readOwnerRecord(
  place: LogPlace,
): Task<OwnerRecord | "invalid" | undefined> {
  for (let attempt = 0;; attempt++) {
    const record = yield* readOwnerFile(place);
    if (record !== "invalid" || attempt === RECORD_ATTEMPTS) return record;
    yield* place.storage.delay(FIRST_DELAY_MS);
  }
}

/**
 * Returns the offset below which the messages of a log are durable, as far as its writer has told.
 *
 * `docs/format.md#read-durable`
 */
export function* durableOffsetOf(place: LogPlace): Task<number> {
  const record = yield* readOwnerRecord(place);
  // A log that was closed is durable to its end.
  return record === undefined ? Infinity : vouchedOffset(record);
}

/** What a segment's file is named for. */
function nameOf(path: string): { firstOffset: number } {
  return parseSegmentName(path.slice(path.lastIndexOf("/") + 1))!;
}
