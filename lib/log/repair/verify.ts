import { stream, streamSync, type Task } from "../../base/mod.ts";
import { INDEX_ENTRY_BYTES } from "../../codec/mod.ts";
import {
  IndexCheck,
  isZero,
  MessageBatch,
  Resync,
  type ScanStop,
  type WrongEntries,
} from "../../segment/mod.ts";
import type { TaskFile } from "../../storage/mod.ts";
import type { ClassifiedSegments } from "../open/_classify.ts";
import { readContents } from "./_contents.ts";
import type { ListedSegment } from "../open/directory.ts";
import { damage, type FoundFault, type LogFault, logFault } from "./fault.ts";
import { type LogReaderOptions, placeOf } from "../log_options.ts";
import type { LogPlace } from "../record/meta.ts";
import { join, type SegmentFileKind, segmentPath } from "../names.ts";
import { readIfThere, readIndex, sizeAt } from "../open/_segment_files.ts";
import { isRecoverable, vouchedOffset } from "../open/_try_recovery.ts";

/** The progress of a verification. */
export interface VerifyProgress {
  /** Number of valid messages. */
  messages: number;
  /** Bytes of `.log` files that were read. */
  bytes: number;
  /** Bytes of all `.log` files. */
  totalBytes: number;
  /** Number of faults. */
  faults: number;
}

/** How to verify a log. */
export interface VerifyOptions extends LogReaderOptions {
  /** Called after each block and once at the end, always with the same object. */
  onProgress?: (progress: Readonly<VerifyProgress>) => void;
}

/**
 * Verifies a whole log and returns its faults: every batch, every index entry, names, gaps,
 * overlaps, unpaired files. It continues after a fault, takes no lock and changes nothing.
 *
 * In a log that was not closed, zeros after the last batch are not a fault. A torn tail is a fault,
 * although opening cuts it. While a writer has the log open, incomplete batches at or above the
 * published durable offset are not a fault.
 *
 * @throws {Deno.errors.NotFound} If there is no log in the directory.
 *
 * @example A damaged byte
 * ```ts
 * import { Log, verifyLog } from "@basalt/io";
 * import { assertEquals } from "@std/assert";
 *
 * const dir = Deno.makeTempDirSync();
 * {
 *   await using log = await Log.open(dir);
 *   log.append("hello");
 *   log.append("world");
 * }
 * assertEquals(await Array.fromAsync(verifyLog(dir)), []);
 *
 * const path = `${dir}/00000000000000000000.log`;
 * const bytes = Deno.readFileSync(path);
 * bytes.set([0], 256 + 48); // the first byte of the first payload
 * Deno.writeFileSync(path, bytes);
 * for await (const fault of verifyLog(dir)) {
 *   assertEquals(fault.kind, "frame checksum");
 *   assertEquals([fault.position, fault.offset], [0, 0]);
 * }
 * Deno.removeSync(dir, { recursive: true });
 * ```
 */
export function verifyLog(
  path: string | URL,
  options: VerifyOptions = {},
): AsyncIterableIterator<LogFault> {
  const verification = new Verification(path, options);
  return stream(verification.run(), verification.faults);
}

/** Sync version of {@linkcode verifyLog}. */
export function verifyLogSync(
  path: string | URL,
  options: VerifyOptions = {},
): IterableIterator<LogFault> {
  const verification = new Verification(path, options);
  return streamSync(verification.run(), verification.faults);
}

/** How the last segment of a log must end. */
type Ending =
  /** With its last batch. */
  | "sealed"
  /** As its dead writer left it: recovery will cut it. */
  | "left"
  /** It is being written. */
  | "written";

function endingOf(isLocked: boolean, hasOwner: boolean): Ending {
  if (isLocked) return "written";
  return hasOwner ? "left" : "sealed";
}

/** One verification. */
class Verification {
  /** Faults that were not returned yet. */
  readonly faults: LogFault[] = [];

  readonly #place: LogPlace;
  readonly #onProgress: VerifyOptions["onProgress"];
  readonly #progress = { messages: 0, bytes: 0, totalBytes: 0, faults: 0 };
  /** The append time of the last batch that was read. */
  #lastTimestamp = 0;
  /** The published durable offset. */
  #durableOffset = 0;
  /** How the last segment must end, by the last look for a writer. */
  #ending: Ending = "sealed";

  constructor(path: string | URL, options: VerifyOptions) {
    this.#place = placeOf("verify log", path, options);
    this.#onProgress = options.onProgress;
  }

  /** Verifies everything. */
  *run(): Task<void> {
    const { storage, dir } = this.#place;
    const contents = yield* readContents(this.#place);
    const { isLocked, listing, owner, ownerError, segments } = contents;
    this.#ending = endingOf(isLocked, listing.hasOwner);
    // It was read before the segments: what it vouches for was durable before they are read.
    if (ownerError === undefined) this.#durableOffset = vouchedOffset(owner);
    for (const name of listing.foreign) {
      if (!/\.(log|index)$/.test(name)) continue;
      this.#report({
        path: join(dir, name),
        kind: "name",
        message:
          "no segment: a log's files are named by an offset of 20 digits; an Iggy server fails at such a file",
      });
    }
    contents.faults.forEach((each) => this.#report(each));
    for (const segment of segments.kept) {
      if (!segment.log) continue;
      const size = yield* sizeAt(storage, this.#path(segment, "log"));
      this.#progress.totalBytes += size ?? 0;
    }
    yield* this.#segments(segments);
    this.#onProgress?.(this.#progress);
  }

  *#segments({ start, kept }: ClassifiedSegments): Task<void> {
    let expected: number | undefined = start;
    for (const [i, segment] of kept.entries()) {
      const isLast = i === kept.length - 1;
      if (segment.class !== "segment") continue;
      // Messages missing before the first one are reported by the classification.
      if (i > 0 && expected !== undefined) this.#follows(segment, expected);
      // It is `undefined` also if the writer removed the segment meanwhile.
      expected = yield* this.#segment(segment, isLast);
    }
    // A torn tail is reported already, with the missing messages.
    const last = kept.at(-1);
    const durable = Math.max(start, this.#durableOffset);
    const isShort = expected !== undefined && expected < durable;
    if (!isShort || last === undefined || this.#ending === "written") return;
    if (yield* this.#looksDifferent()) return;
    this.#report({
      path: this.#path(last, "log"),
      kind: "gap",
      offset: expected!,
      message: `messages ${expected} to ${
        durable - 1
      } are missing at its end: they were durable`,
    });
  }

  /** Reports a segment that does not start where the one before it ends. */
  #follows(segment: ListedSegment, expected: number): void {
    const { firstOffset } = segment;
    if (firstOffset === expected) return;
    const isGap = firstOffset > expected;
    this.#report({
      path: this.#path(segment, "log"),
      kind: isGap ? "gap" : "overlap",
      offset: expected,
      message: isGap
        ? `messages ${expected} to ${firstOffset - 1} are missing before it`
        : `it begins before offset ${expected}, where the segment before it ends`,
    });
  }

  /** Verifies a segment; returns the offset after its last message, if that is known. */
  #segment(segment: ListedSegment, isLast: boolean): Task<number | undefined> {
    const { storage } = this.#place;
    const { firstOffset } = segment;
    const pair = (log: TaskFile, index?: TaskFile) =>
      this.#pair(firstOffset, isLast, log, index);
    return readIfThere(
      storage,
      this.#path(segment, "log"),
      // What is not listed may be anything but a regular file, so it must not be opened.
      (log) =>
        segment.index
          ? readIndex(this.#place, firstOffset, (index) => pair(log, index))
          : pair(log),
    );
  }

  *#pair(
    firstOffset: number,
    isLast: boolean,
    log: TaskFile,
    index: TaskFile | undefined,
  ): Task<number | undefined> {
    const { pool } = this.#place;
    const isOpen = isLast && this.#ending !== "sealed";
    // The log may grow meanwhile: verify only these bytes.
    let bound = yield* log.size();
    using check = index && (yield* IndexCheck.open(index, pool, { isOpen }));
    let resync = new Resync({ log, pool, firstOffset, bound });
    try {
      let stop: ScanStop | undefined;
      let nextOffset = firstOffset;
      let end = 0;
      for (;;) {
        const next = yield* resync.next();
        if (next instanceof MessageBatch) {
          using batch = next;
          if (stop !== undefined) this.#damage(log.path, stop, batch.position);
          stop = undefined;
          const wrong = check ? yield* check.compare(batch) : [];
          this.#entries(firstOffset, wrong);
          this.#timestamps(log.path, batch);
          nextOffset = batch.nextOffset;
          end = batch.endPosition;
          this.#advance(batch.count, end - batch.batch(0).position);
        } else if (next.reason === "end") break;
        else if (isLast && (yield* this.#looksDifferent())) {
          // A writer came or went, so the bytes may have changed: read them again.
          yield* resync.close();
          bound = yield* log.size();
          resync = new Resync({ log, pool, firstOffset, bound, start: next });
        } else if (isLast && this.#isNotYet(next)) return next.offset;
        else stop = next;
      }
      if (stop !== undefined) {
        const isLeft = isLast && this.#ending === "left";
        const isRoom = isLeft && stop.reason === "zeros" &&
          (yield* isZero(log, pool, stop.position, bound));
        if (!isRoom) {
          const isCut = isLeft &&
            (yield* isRecoverable(
              this.#place,
              firstOffset,
              this.#durableOffset,
              stop,
            ));
          this.#damage(log.path, stop, bound, isCut ? "; opening cuts it" : "");
          return undefined;
        }
      }
      if (index && check && !(isLast && this.#ending === "written")) {
        yield* this.#rest(firstOffset, index, check, end, isLast);
      }
      return nextOffset;
    } finally {
      yield* resync.close();
    }
  }

  /** Whether a stop in the last segment may be a batch that its writer has not written yet. */
  #isNotYet({ offset }: ScanStop): boolean {
    return this.#ending === "written" && offset >= this.#durableOffset;
  }

  /**
   * Looks for the writer and its durable offset again; returns whether a writer came or went since
   * the last look.
   */
  *#looksDifferent(): Task<boolean> {
    const before = this.#ending;
    // A batch that was incomplete while a writer was there is no fault after it has closed the log.
    if (before === "written") return false;
    const { isLocked, listing, owner } = yield* readContents(this.#place);
    this.#durableOffset = Math.max(this.#durableOffset, vouchedOffset(owner));
    this.#ending = endingOf(isLocked, listing.hasOwner);
    return this.#ending !== before;
  }

  /** Compares the entries after the last batch, and the size of the index. */
  *#rest(
    offset: number,
    index: TaskFile,
    check: IndexCheck,
    end: number,
    isLast: boolean,
  ): Task<void> {
    const wrong = yield* check.rest(end);
    // A writer that came meanwhile may have added the entries.
    if (wrong.length > 0 && isLast && (yield* this.#looksDifferent())) return;
    this.#entries(offset, wrong);
    if (isLast && this.#ending !== "sealed") return;
    const size = yield* index.size();
    const byteLength = size % INDEX_ENTRY_BYTES;
    if (byteLength === 0) return;
    this.#report({
      path: index.path,
      kind: "index",
      position: size - byteLength,
      byteLength,
      offset,
      message: "it ends within an entry",
    });
  }

  #entries(offset: number, wrong: readonly WrongEntries[]): void {
    const path = segmentPath(this.#place.dir, offset, "index");
    for (const { first, count } of wrong) {
      this.#report({
        path,
        kind: "index",
        position: first * INDEX_ENTRY_BYTES,
        byteLength: count * INDEX_ENTRY_BYTES,
        offset,
        message: count === 1
          ? "the entry does not name a batch of the log"
          : `${count} entries do not name batches of the log`,
      });
    }
  }

  /** Reports batches that are older than the one before them, across segments, too. */
  #timestamps(path: string, batch: MessageBatch): void {
    for (let k = 0; k < batch.batchCount; k++) {
      const { position, offset, timestamp } = batch.batch(k);
      if (timestamp < this.#lastTimestamp) {
        const isLast = k + 1 === batch.batchCount;
        const end = isLast ? batch.endPosition : batch.batch(k + 1).position;
        this.#report({
          path,
          kind: "timestamp",
          position,
          byteLength: end - position,
          offset,
          message:
            `its time, ${timestamp}, lies before that of the batch before it, ${this.#lastTimestamp}`,
        });
      }
      this.#lastTimestamp = timestamp;
    }
  }

  #damage(path: string, stop: ScanStop, end: number, more = ""): void {
    // The batch is valid except for its time, which is reported when the batch is read.
    if (stop.reason === "timestamp" && end === stop.position) return;
    this.#report(damage(path, stop, end, more));
    this.#advance(0, end - stop.position);
  }

  #report(fault: FoundFault): void {
    this.faults.push(logFault(fault));
    this.#progress.faults++;
  }

  #advance(messages: number, bytes: number): void {
    this.#progress.messages += messages;
    this.#progress.bytes += bytes;
    this.#onProgress?.(this.#progress);
  }

  #path({ firstOffset }: ListedSegment, kind: SegmentFileKind): string {
    return segmentPath(this.#place.dir, firstOffset, kind);
  }
}
