import { stream, streamSync, type Task } from "../base/mod.ts";
import { INDEX_ENTRY_BYTES } from "../codec/mod.ts";
import {
  CorruptSegmentError,
  describeStop,
  type FaultKind,
  faultKindOf,
  IndexCheck,
  isZero,
  MessageBatch,
  Resync,
  type ScanStop,
  type WrongEntries,
} from "../segment/mod.ts";
import { absolutePath, type TaskFile } from "../storage/mod.ts";
import { type ClassifiedSegments, classifySegments } from "./classify.ts";
import {
  listDirectory,
  type ListedSegment,
  type Listing,
  metaPath,
  oddName,
  ownerPath,
  refuseNoLog,
} from "./directory.ts";
import type { LogFault } from "./fault.ts";
import {
  type CompleteReaderOptions,
  completeReaderOptions,
  type LogReaderOptions,
} from "./log_options.ts";
import { type LogPlace, type MetaRecord, readMeta } from "./meta.ts";
import { join, type SegmentFileKind, segmentPath } from "./names.ts";
import { refuseOtherOwner } from "./opening.ts";
import { type OwnerRecord, readOwnerFile } from "./owner_file.ts";
import { openIfThere, sizeAt } from "./segment_files.ts";
import { tryRecovery, vouchedOffset } from "./try_recovery.ts";

/** How far a verification has come. */
export interface VerifyProgress {
  /** Messages that were valid. */
  messages: number;
  /** Bytes of logs that were read. */
  bytes: number;
  /** Bytes of all logs. */
  totalBytes: number;
  /** Faults that were found. */
  faults: number;
}

/** How to verify a log. */
export interface VerifyOptions extends LogReaderOptions {
  /** Called for every block that was read, and once at the end, with the same object each time. */
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
  const dir = absolutePath("verify log", path);
  const verification = new Verification(dir, options);
  return stream(verification.run(), verification.faults);
}

/** Sync version of {@linkcode verifyLog}. */
export function verifyLogSync(
  path: string | URL,
  options: VerifyOptions = {},
): IterableIterator<LogFault> {
  const dir = absolutePath("verify log", path);
  const verification = new Verification(dir, options);
  return streamSync(verification.run(), verification.faults);
}

/** How the last segment of a log must end. */
type Ending =
  /** With its last batch. */
  | "sealed"
  /** Its writer died: recovery will cut it. */
  | "left"
  /** It is being written. */
  | "written";

/** One verification. */
export class Verification {
  /** Faults that were found and not taken yet. */
  readonly faults: LogFault[] = [];

  readonly #dir: string;
  readonly #options: CompleteReaderOptions;
  readonly #onProgress: VerifyOptions["onProgress"];
  readonly #progress: VerifyProgress = {
    messages: 0,
    bytes: 0,
    totalBytes: 0,
    faults: 0,
  };
  /** The append time of the last batch that was read. */
  #lastTimestamp = 0;
  /** Messages below this offset are durable, as the owner file says. */
  #durableOffset = 0;
  /** How the last segment must end, as the last look told. */
  #ending: Ending = "sealed";

  constructor(dir: string, options: VerifyOptions) {
    this.#dir = dir;
    this.#options = completeReaderOptions(options);
    this.#onProgress = options.onProgress;
  }

  get #place(): LogPlace {
    return { ...this.#options, dir: this.#dir };
  }

  /** Verifies everything. */
  *run(): Task<void> {
    const { storage } = this.#options;
    const locked = storage.isLocked(this.#dir);
    const listing = yield* listDirectory(storage, this.#dir);
    refuseNoLog(this.#dir, listing);
    this.#names(listing);
    // It is read before the segments: what it says is durable then was durable before they are
    // read.
    const { meta, owner } = yield* this.#records(listing);
    this.#durableOffset = vouchedOffset(owner);
    const found = classifySegments(this.#dir, listing, meta?.firstOffset);
    yield* this.#measure(found.kept);
    this.#ending = locked ? "written" : listing.hasOwner ? "left" : "sealed";
    yield* this.#segments(found);
    this.#onProgress?.(this.#progress);
  }

  *#segments({ start, kept, faults }: ClassifiedSegments): Task<void> {
    for (const fault of faults) this.#error(fault);
    let expected: number | undefined = start;
    for (const [i, segment] of kept.entries()) {
      const isLast = i === kept.length - 1;
      if (segment.class !== "segment") continue;
      // What is missing before the first one was reported.
      if (i > 0 && expected !== undefined) this.#follows(segment, expected);
      // Undefined also where its writer removed it meanwhile.
      expected = yield* this.#segment(segment, isLast);
    }
    // A torn tail was reported, with what is missing.
    const isDurableThere = expected === undefined ||
      expected >= Math.max(start, this.#durableOffset);
    const last = kept.at(-1);
    if (isDurableThere || last === undefined) return;
    if (this.#ending === "written" || (yield* this.#looksDifferent())) return;
    const durable = Math.max(start, this.#durableOffset);
    this.#report(this.#path(last, "log"), 0, 0, {
      kind: "gap",
      offset: expected!,
      message: `messages ${expected} to ${
        durable - 1
      } are missing at its end: they were durable`,
    });
  }

  #names({ odd, foreign }: Listing): void {
    for (const each of odd) {
      this.#report(join(this.#dir, each.name), 0, 0, {
        kind: "name",
        offset: 0,
        message: oddName(this.#dir, each).message,
      });
    }
    for (const name of foreign) {
      if (!/\.(log|index)$/.test(name)) continue;
      this.#report(join(this.#dir, name), 0, 0, {
        kind: "name",
        offset: 0,
        message:
          "no segment: a log's files are named by an offset of 20 digits; an Iggy server fails at such a file",
      });
    }
  }

  /** Reads `meta` and the owner file; what is wrong with them is reported. */
  *#records(
    { odd }: Listing,
  ): Task<{ meta?: MetaRecord; owner?: OwnerRecord | "invalid" }> {
    const isOdd = (path: string): boolean =>
      odd.some(({ name }) => path.endsWith(`/${name}`));
    let meta: MetaRecord | undefined;
    let owner: OwnerRecord | "invalid" | undefined;
    try {
      if (!isOdd(metaPath(this.#dir))) meta = yield* readMeta(this.#place);
    } catch (error) {
      this.#record("meta", metaPath(this.#dir), error);
    }
    try {
      if (!isOdd(ownerPath(this.#dir))) {
        owner = yield* readOwnerFile(this.#place);
      }
      refuseOtherOwner(this.#dir, meta, owner);
    } catch (error) {
      owner = undefined;
      this.#record("owner", ownerPath(this.#dir), error);
    }
    return { ...meta && { meta }, ...owner && { owner } };
  }

  /** Reports what is wrong with `meta` or the owner file. */
  #record(kind: "meta" | "owner", path: string, error: unknown): void {
    const isFault = error instanceof CorruptSegmentError ||
      error instanceof Deno.errors.NotSupported ||
      error instanceof Deno.errors.InvalidData;
    if (!isFault) throw error;
    this.#report(path, 0, 0, { kind, offset: 0, message: error.message });
  }

  /** A segment must start where the one before it ends. */
  #follows(segment: ListedSegment, expected: number): void {
    const { firstOffset } = segment;
    if (firstOffset === expected) return;
    const isGap = firstOffset > expected;
    this.#report(this.#path(segment, "log"), 0, 0, {
      kind: isGap ? "gap" : "overlap",
      offset: expected,
      message: isGap
        ? `messages ${expected} to ${firstOffset - 1} are missing before it`
        : `it begins before offset ${expected}, where the segment before it ends`,
    });
  }

  /** Adds up what will be read. */
  *#measure(segments: readonly ListedSegment[]): Task<void> {
    for (const segment of segments) {
      if (!segment.log) continue;
      const path = this.#path(segment, "log");
      this.#progress.totalBytes +=
        (yield* sizeAt(this.#options.storage, path)) ??
          0;
    }
  }

  /** Verifies a segment; returns the offset after its last message, as far as that is known. */
  *#segment(
    segment: ListedSegment,
    isLast: boolean,
  ): Task<number | undefined> {
    const { storage } = this.#options;
    const files: TaskFile[] = [];
    try {
      const log = yield* openIfThere(storage, this.#path(segment, "log"));
      if (log === undefined) return undefined;
      files.push(log);
      const index = segment.index
        ? yield* openIfThere(storage, this.#path(segment, "index"))
        : undefined;
      if (index !== undefined) files.push(index);
      return yield* this.#pair(segment, log, index, isLast);
    } finally {
      for (const file of files) yield* file.close();
    }
  }

  *#pair(
    { firstOffset }: ListedSegment,
    log: TaskFile,
    index: TaskFile | undefined,
    isLast: boolean,
  ): Task<number | undefined> {
    const { pool } = this.#options;
    const isOpen = isLast && this.#ending !== "sealed";
    const segment = { log, pool, firstOffset };
    // The log may grow while it is read: only these bytes count.
    let bound = yield* log.size();
    using check = index &&
      (yield* IndexCheck.open(index, pool, { isOpen }));
    let resync = new Resync({ ...segment, bound });
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
          if (check) {
            const wrong = yield* check.compare(batch);
            this.#entries(index!.path, firstOffset, wrong);
          }
          this.#timestamps(log.path, batch);
          nextOffset = batch.nextOffset;
          end = batch.endPosition;
          this.#advance(batch.count, end - batch.batch(0).position);
        } else if (next.reason === "end") break;
        else if (isLast && (yield* this.#looksDifferent())) {
          // A writer came or went, and what was read may be from before: it is read again.
          yield* resync.close();
          bound = yield* log.size();
          resync = new Resync({ ...segment, bound, start: next });
        } else if (isLast && this.#isNotYet(next)) return next.offset;
        else stop = next;
      }
      if (stop !== undefined) {
        const isRoom = isLast && this.#ending === "left" &&
          stop.reason === "zeros" &&
          (yield* isZero(log, pool, stop.position, bound));
        if (!isRoom) {
          return yield* this.#tail(firstOffset, log.path, stop, bound, isLast);
        }
      }
      if (check && !(isLast && this.#ending === "written")) {
        yield* this.#rest(firstOffset, index!, check, end, isLast);
      }
      return nextOffset;
    } finally {
      yield* resync.close();
    }
  }

  /** Whether a stop in the last segment may be what its writer has not written yet. */
  #isNotYet({ offset }: ScanStop): boolean {
    return this.#ending === "written" && offset >= this.#durableOffset;
  }

  /** Looks for the writer again; returns whether one came or went since the last look. */
  *#looksDifferent(): Task<boolean> {
    const before = this.#ending;
    // What a writer had not written yet is no fault either if it closed the log since.
    if (before === "written") return false;
    yield* this.#look();
    return this.#ending !== before;
  }

  /** Looks whether there is a writer, and up to where it vouches for the log. */
  *#look(): Task<void> {
    const { storage } = this.#options;
    const isLocked = storage.isLocked(this.#dir);
    const listing = yield* listDirectory(storage, this.#dir);
    const owner = listing.hasOwner
      ? yield* readOwnerFile(this.#place)
      : undefined;
    this.#durableOffset = Math.max(this.#durableOffset, vouchedOffset(owner));
    this.#ending = isLocked ? "written" : listing.hasOwner ? "left" : "sealed";
  }

  /** Compares the entries after the last batch, and the size of the index. */
  *#rest(
    firstOffset: number,
    index: TaskFile,
    check: IndexCheck,
    end: number,
    isLast: boolean,
  ): Task<void> {
    const wrong = yield* check.rest(end);
    // A writer that came meanwhile may have added them.
    if (wrong.length > 0 && isLast && (yield* this.#looksDifferent())) return;
    this.#entries(index.path, firstOffset, wrong);
    const isOpen = isLast && this.#ending !== "sealed";
    if (!isOpen) yield* this.#indexSize(index, firstOffset);
  }

  /** Reports a bad batch after which there is no valid one. */
  *#tail(
    firstOffset: number,
    path: string,
    stop: ScanStop,
    bound: number,
    isLast: boolean,
  ): Task<undefined> {
    const isCut = isLast && this.#ending === "left" &&
      (yield* this.#isCut(firstOffset));
    this.#damage(path, stop, bound, isCut ? "; opening cuts it" : "");
    return undefined;
  }

  /** Whether opening cuts what a dead writer left, rather than refuse it. */
  *#isCut(firstOffset: number): Task<boolean> {
    try {
      yield* tryRecovery(this.#place, { firstOffset }, this.#durableOffset);
      return true;
    } catch (error) {
      if (error instanceof CorruptSegmentError) return false;
      throw error;
    }
  }

  /** The index of a segment that nothing is added to holds whole entries. */
  *#indexSize(index: TaskFile, offset: number): Task<void> {
    const size = yield* index.size();
    const rest = size % INDEX_ENTRY_BYTES;
    if (rest === 0) return;
    this.#report(index.path, size - rest, rest, {
      kind: "index",
      offset,
      message: "it ends within an entry",
    });
  }

  #entries(
    path: string,
    offset: number,
    wrong: readonly WrongEntries[],
  ): void {
    for (const { first, count } of wrong) {
      this.#report(path, first * INDEX_ENTRY_BYTES, count * INDEX_ENTRY_BYTES, {
        kind: "index",
        offset,
        message: count === 1
          ? "the entry does not name a batch of the log"
          : `${count} entries do not name batches of the log`,
      });
    }
  }

  /** Batches must not be older than those before them, across segments, too. */
  #timestamps(path: string, batch: MessageBatch): void {
    for (let k = 0; k < batch.batchCount; k++) {
      const { position, offset, timestamp } = batch.batch(k);
      if (timestamp < this.#lastTimestamp) {
        const end = k + 1 < batch.batchCount
          ? batch.batch(k + 1).position
          : batch.endPosition;
        this.#report(path, position, end - position, {
          kind: "timestamp",
          offset,
          message:
            `its time, ${timestamp}, lies before that of the batch before it, ${this.#lastTimestamp}`,
        });
      }
      this.#lastTimestamp = timestamp;
    }
  }

  #damage(path: string, stop: ScanStop, end: number, more = ""): void {
    const { position, offset } = stop;
    // The batch is valid but for its time, which is reported when it is read.
    if (stop.reason === "timestamp" && end === position) return;
    const kind = faultKindOf(stop.reason);
    const message = describeStop(stop.reason);
    this.#report(path, position, end - position, {
      offset,
      kind,
      message: `${message}${more}`,
    });
    this.#advance(0, end - position);
  }

  /** Reports what an error of opening or reading says. */
  #error(error: CorruptSegmentError): void {
    const { path, position, offset, kind, message } = error;
    this.#report(path, position, 0, { kind, offset, message });
  }

  #report(
    path: string,
    position: number,
    byteLength: number,
    what: { kind: FaultKind; offset: number; message: string },
  ): void {
    this.faults.push({ path, position, byteLength, ...what });
    this.#progress.faults++;
  }

  #advance(messages: number, bytes: number): void {
    this.#progress.messages += messages;
    this.#progress.bytes += bytes;
    this.#onProgress?.(this.#progress);
  }

  #path({ firstOffset }: ListedSegment, kind: SegmentFileKind): string {
    return segmentPath(this.#dir, firstOffset, kind);
  }
}
