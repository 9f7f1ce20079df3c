import type { Task } from "../base/mod.ts";
import {
  INDEX_ENTRY_BYTES,
  type IndexEntry,
  writeIndexEntry,
} from "../codec/mod.ts";
import { join, segmentName, TEMPORARY_SUFFIX } from "../log/mod.ts";
import { isZero } from "../segment/mod.ts";
import { haveEqualBytes, type TaskFile } from "../storage/mod.ts";
import type { CarriedCursor } from "./carried_cursors.ts";
import { corrupt, type Damage } from "./_damage.ts";
import type { ListedSegment, Listing } from "./_directory.ts";
import { type Place, withFile } from "./_files.ts";
import type { TransferOptions } from "./options.ts";
import { Output } from "./_output.ts";
import {
  beginReport,
  type TransferredFile,
  type TransferReport,
  type TransferSubject,
} from "./report.ts";

/** Bytes of memory that are written at a time. */
const OUTPUT_BYTES = 8 * 1024 * 1024;
/** The same for an index. A dense one has a quarter of the bytes of the shortest messages. */
const INDEX_OUTPUT_BYTES = 2 * 1024 * 1024;
/**
 * An index is written when it has this many bytes: a write for each block of the source would cost
 * more than it carries.
 */
const INDEX_FLUSH_BYTES = 1024 * 1024;

/** What is to be copied, and where. */
export interface Transfer {
  /** Where files are, and where blocks come from. */
  place: Place;
  /** What the report says of the source and the target. */
  subject: TransferSubject;
  /**
   * Whether the source is a log and the target a partition; the other way round if not. A log was
   * closed, so it has no torn tail, but space may be prepared in it.
   */
  isExport: boolean;
  /** Whether anything is written, and what is called with the progress. */
  options: TransferOptions;
  /** Segments of the source, in their order. */
  segments: readonly ListedSegment[];
  /** Whether a torn tail is left out. */
  cutsTornTail: boolean;
  /** Plans the cursors or consumer offsets of the target, once the messages are known. */
  carry(report: TransferReport, target: Listing): Task<CarriedCursor[]>;
  /** Writes a cursor or a consumer offset that the target does not have, durably. */
  putCursor(cursor: CarriedCursor): Task<void>;
  /** Converts a segment; returns the append time of its last batch. */
  convert(conversion: Conversion, source: SegmentSource): Task<number>;
}

/** A segment of the source, and what is known of those before it. */
export interface SegmentSource {
  /** The segment. */
  segment: ListedSegment;
  /** Whether it is the last one. */
  isLast: boolean;
  /** Append time of the batch before; 0 for the first segment. */
  minTimestamp: number;
}

/** Where the last valid batch or message of a segment ends, and what follows it. */
export interface SourceEnd {
  /** The `.log`. */
  log: TaskFile;
  /** Its size when reading began, in bytes. */
  size: number;
  /** Where the last valid batch or message ends, in bytes. */
  position: number;
  /** Why nothing valid follows there. */
  damage: Damage;
  /** Whether the index has an entry for something that follows. */
  isVouched: boolean;
  /** Searches what follows for a valid batch or message. */
  hasMore(): Task<boolean>;
}

/** The two files of a segment that is being written. */
export interface SegmentOutput {
  /** The `.log`. */
  log: Output;
  /** The `.index`. */
  index: Output;
}

/**
 * What the conversions of both directions share: the files that they make, what they count, and how
 * a segment ends.
 */
export class Conversion {
  /** Counts what was converted. */
  readonly report: TransferReport;
  /** The files that were made, in their order; they have temporary names. */
  readonly files: TransferredFile[] = [];
  /** What is converted. */
  readonly transfer: Transfer;
  /** Called with the number of bytes of each block that was read. */
  readonly onProgress: ((bytes: number) => void) | undefined;
  /** Names of segment files that the target has. */
  readonly #existing: readonly string[];
  #open: Output[] = [];
  #temporary: string[] = [];

  /** Makes no file yet. */
  constructor(
    transfer: Transfer,
    existing: readonly string[],
    onProgress: ((bytes: number) => void) | undefined,
  ) {
    this.transfer = transfer;
    this.report = beginReport(transfer.subject);
    this.onProgress = onProgress;
    this.#existing = existing;
  }

  /** Makes the two files of a segment, under temporary names. */
  *begin(firstOffset: number): Task<SegmentOutput> {
    const name = segmentName(firstOffset);
    const log = yield* this.#create(`${name}.log`, OUTPUT_BYTES);
    const index = yield* this.#create(`${name}.index`, INDEX_OUTPUT_BYTES);
    this.report.segments++;
    return { log, index };
  }

  *#create(name: string, bytes: number): Task<Output> {
    const { place, options: { dryRun } } = this.transfer;
    const path = join(this.report.to, name + TEMPORARY_SUFFIX);
    if (!dryRun) this.#temporary.push(path);
    const output = yield* Output.create(place, path, bytes, dryRun);
    this.#open.push(output);
    return output;
  }

  /**
   * Makes the files of a segment durable, and compares them with those that are there.
   *
   * @throws {Deno.errors.AlreadyExists} If the target holds something else.
   */
  *end({ index, log }: SegmentOutput): Task<void> {
    for (const output of [index, log]) {
      yield* output.finish();
      const path = output.path.slice(0, -TEMPORARY_SUFFIX.length);
      const name = path.slice(path.lastIndexOf("/") + 1);
      const wasThere = this.#existing.includes(name) &&
        (yield* this.#isSame(output, path, name));
      yield* output.close();
      this.#open.splice(this.#open.indexOf(output), 1);
      const byteLength = output.length;
      this.files.push({ name, byteLength, wasThere });
      this.report.bytesWritten += byteLength;
    }
  }

  /** Whether an existing file holds what was written; an empty one may hold something else. */
  *#isSame(output: Output, path: string, name: string): Task<boolean> {
    const { to } = this.report;
    const { place } = this.transfer;
    return yield* withFile(place, path, function* (existing) {
      const size = yield* existing.size();
      const isSame = size === output.length &&
        (output.file === undefined ||
          (yield* haveEqualBytes(existing, output.file, place.pool)));
      if (!isSame && size > 0) throw holdsOthers(to, name, size);
      return isSame;
    });
  }

  /** Closes and removes what was made, after a failure. */
  *undo(): Task<void> {
    for (const output of this.#open.splice(0)) {
      yield* ignoringFailure(output.close());
    }
    for (const path of this.#temporary.splice(0)) {
      yield* ignoringFailure(this.transfer.place.storage.remove(path));
    }
  }

  /**
   * Classifies what follows the last valid batch or message of a segment: nothing, zeros, a torn
   * tail, or damage.
   *
   * Nothing after the data is copied (`docs/format.md#iggy-no-zeros`).
   *
   * @throws {CorruptSegmentError} For damage, and for a torn tail that is not to be cut.
   * @throws {Deno.errors.Busy} If the file has become shorter.
   */
  *endSource({ isLast }: SegmentSource, end: SourceEnd): Task<void> {
    const { log, size, position, damage, isVouched, hasMore } = end;
    const { isExport, cutsTornTail, place: { pool } } = this.transfer;
    const { report } = this;
    const { path } = log;
    const place = { path, position, offset: report.nextOffset };
    const bytes = size - position;
    report.bytesRead += size;
    if ((yield* log.size()) < size) {
      throw new Deno.errors.Busy(
        `Cannot read '${path}': it had ${size} bytes, and has become shorter since`,
      );
    }
    if (isVouched) {
      throw corrupt(damage, place, "its index vouches for more messages");
    }
    if (bytes === 0) return;
    if (isExport) {
      // Rolling cuts prepared space, and so does closing: only a last segment may have any.
      const isPrepared = isLast && damage[0] === "torn" &&
        (yield* isZero(log, pool, position, size));
      if (!isPrepared) throw corrupt(damage, place);
      report.zerosCut += bytes;
      return;
    }
    const isDamage = !isLast || damage[0] === "timestamp" ||
      (yield* hasMore());
    if (isDamage) throw corrupt(damage, place);
    if (!cutsTornTail) {
      throw corrupt(
        ["torn", damage[1]],
        place,
        `no message follows, so its server was killed while it wrote the last ${bytes} bytes. Start the server, which recovers them, and stop it; or import with 'tornTail: "cut"' (--cut-torn-tail), which leaves them out`,
      );
    }
    report.tornBytesCut += bytes;
  }
}

/** Opens the files of a segment of the source, as far as they exist. */
export function withSegment<T>(
  place: Place,
  { logPath, indexPath }: ListedSegment,
  use: (log: TaskFile, index: TaskFile | undefined) => Task<T>,
): Task<T> {
  return withFile(place, logPath, (log) => {
    if (indexPath === undefined) return use(log, undefined);
    return withFile(place, indexPath, (index) => use(log, index));
  });
}

/** Adds an entry to a sparse index. */
export function putEntry(index: Output, entry: IndexEntry): void {
  writeIndexEntry(index.room, 0, entry);
  index.advance(INDEX_ENTRY_BYTES);
}

/** Writes what is in memory of both files; little of an index waits for more. */
export function* flushBoth({ log, index }: SegmentOutput): Task<void> {
  yield* log.flush();
  yield* index.flush(INDEX_FLUSH_BYTES);
}

/** Makes the error for a target with messages that the source does not have. */
export function holdsOthers(
  to: string,
  name: string,
  size: number,
): Deno.errors.AlreadyExists {
  return new Deno.errors.AlreadyExists(
    `Cannot copy to '${to}': '${name}' there has ${size} bytes that the source does not have: give an empty partition or directory`,
  );
}

function* ignoringFailure(task: Task<void>): Task<void> {
  try {
    yield* task;
  } catch {
    // The caller reports the failure that came first.
  }
}
