import type { Task } from "../../base/mod.ts";
import {
  BatchIterator,
  type BatchSource,
  isZero,
  iterateSync,
  MAX_OFFSET,
  MessageBatch,
  type ReadOptions,
  Resync,
  type ScanStop,
  Selection,
} from "../../segment/mod.ts";
import type { TaskFile } from "../../storage/mod.ts";
import { readContents } from "./_contents.ts";
import { damage, type LogFault, logFault } from "./fault.ts";
import { type LogReaderOptions, placeOf } from "../log_options.ts";
import type { LogPlace } from "../record/meta.ts";
import {
  cutFirstOffset,
  isCutPath,
  parseSegmentName,
  segmentPath,
} from "../names.ts";
import { openIfThere } from "../open/_segment_files.ts";

/** What to read of a damaged log. */
export interface SalvageOptions
  extends LogReaderOptions, Omit<ReadOptions, "readAheadBytes"> {
  /** Called for each part that is skipped. */
  onSkipped?: (fault: LogFault) => void;
}

/**
 * Reads all intact messages of a log, and skips damaged ones. It takes no lock and changes nothing.
 *
 * The path is the log's directory, or a `.log` or `.cut` file in it. A message is left out if its
 * offset was returned before.
 *
 * @throws {Deno.errors.NotFound} If there is no log in the directory.
 *
 * @example What is left of a damaged log
 * ```ts
 * import { Log, salvageLog } from "@basalt/io";
 * import { assertEquals } from "@std/assert";
 *
 * const dir = Deno.makeTempDirSync();
 * {
 *   await using log = await Log.open(dir);
 *   for (const text of ["one", "two", "three"]) await log.appendDurable(text);
 * }
 * const path = `${dir}/00000000000000000000.log`;
 * const bytes = Deno.readFileSync(path);
 * const second = 256 + 48 + 3; // where the batch of "two" begins
 * bytes.set([0], second + 256 + 48);
 * Deno.writeFileSync(path, bytes);
 *
 * const texts: string[] = [];
 * const skipped: number[] = [];
 * const onSkipped = ({ position }: { position: number }) => skipped.push(position);
 * for await (using batch of salvageLog(dir, { onSkipped })) {
 *   for (const message of batch) texts.push(message.text());
 * }
 * assertEquals(texts, ["one", "three"]);
 * assertEquals(skipped, [second]);
 * Deno.removeSync(dir, { recursive: true });
 * ```
 */
export function salvageLog(
  path: string | URL,
  options: SalvageOptions = {},
): AsyncIterableIterator<MessageBatch> {
  return new BatchIterator(new Salvage(path, options));
}

/** Sync version of {@linkcode salvageLog}. */
export function salvageLogSync(
  path: string | URL,
  options: SalvageOptions = {},
): IterableIterator<MessageBatch> {
  return iterateSync(new Salvage(path, options));
}

/** A file to read, and the bounds of its offsets. */
interface Part {
  path: string;
  firstOffset: number;
  maxOffset?: number;
  /** Whether a writer may have prepared space after its data, or may be writing it. */
  isActive: boolean;
}

/** Reads a log, file by file. */
class Salvage implements BatchSource {
  readonly #options: SalvageOptions;
  readonly #selection: Selection;
  /** Its `dir` is the path to read: a directory, or a file in one. */
  readonly #place: LogPlace;
  /** The files still to read; `undefined` before they are listed. */
  #parts: Part[] | undefined;
  #hasWriter = false;
  #part: Part | undefined;
  #file: TaskFile | undefined;
  #resync: Resync | undefined;
  #bound = 0;
  /** The offset that the next message should have. */
  #nextOffset: number | undefined;

  constructor(path: string | URL, options: SalvageOptions) {
    this.#place = placeOf("salvage log", path, options);
    this.#options = options;
    this.#selection = new Selection(options);
  }

  *next(): Task<MessageBatch | undefined> {
    let stop: ScanStop | undefined;
    while (!this.#selection.isOver) {
      if (this.#resync === undefined && !(yield* this.#openNext())) break;
      const next = yield* this.#resync!.next();
      if (next instanceof MessageBatch) {
        const { position, firstOffset } = next;
        if (stop !== undefined) this.#damaged(stop, position, firstOffset);
        stop = undefined;
        const batch = this.#withoutRepeated(next);
        const selected = batch && this.#selection.select(batch);
        if (selected !== undefined) return selected;
      } else if (next.reason !== "end") stop = next;
      else {
        yield* this.#finish(stop);
        stop = undefined;
      }
    }
    return undefined;
  }

  *close(): Task<void> {
    if (this.#resync !== undefined) yield* this.#resync.close();
    if (this.#file !== undefined) yield* this.#file.close();
  }

  /** Opens the next file that exists; returns whether one does. */
  *#openNext(): Task<boolean> {
    this.#parts ??= yield* this.#find();
    for (;;) {
      const part = this.#part = this.#parts.shift();
      if (part === undefined) return false;
      const { storage, pool } = this.#place;
      const log = this.#file = yield* openIfThere(storage, part.path);
      if (log === undefined) continue;
      const bound = this.#bound = yield* log.size();
      this.#resync = new Resync({ log, pool, ...part, bound });
      return true;
    }
  }

  /** Reports damage after the last message of a file, and closes the file. */
  *#finish(stop: ScanStop | undefined): Task<void> {
    if (stop !== undefined && !(yield* this.#isRoom(stop))) {
      this.#damaged(stop, this.#bound);
    }
    yield* this.close();
    this.#resync = this.#file = undefined;
  }

  /** Whether only prepared space, or a batch that is being written, follows the last message. */
  *#isRoom({ reason, position }: ScanStop): Task<boolean> {
    if (!this.#part!.isActive) return false;
    if (this.#hasWriter) return true;
    const { pool } = this.#place;
    return reason === "zeros" &&
      (yield* isZero(this.#file!, pool, position, this.#bound));
  }

  /** Returns the files to read. */
  *#find(): Task<Part[]> {
    const { dir: path } = this.#place;
    const name = path.slice(path.lastIndexOf("/") + 1);
    const segment = parseSegmentName(name);
    if (segment?.kind === "log") {
      const { firstOffset } = segment;
      return [{ path, firstOffset, isActive: true }];
    }
    if (/\.index(\.\d+\.cut)?$/.test(name)) {
      throw new Deno.errors.InvalidData(
        `Cannot read messages of '${path}': it holds index entries, its '.log' the messages`,
      );
    }
    if (isCutPath(name)) {
      // It may begin anywhere in the segment, so its messages may have any later offset.
      const firstOffset = cutFirstOffset(name);
      const bounds = { firstOffset, maxOffset: MAX_OFFSET };
      return [{ path, ...bounds, isActive: false }];
    }
    return yield* this.#findSegments();
  }

  *#findSegments(): Task<Part[]> {
    const { dir } = this.#place;
    // The owner file holds no messages, so it may be unreadable.
    const contents = yield* readContents(this.#place, false);
    const { isLocked, listing, metaError, segments, faults } = contents;
    if (metaError instanceof Deno.errors.NotSupported) throw metaError;
    this.#hasWriter = isLocked;
    this.#nextOffset = segments.start;
    for (const fault of faults) {
      // A gap is reported when the segment after it is read.
      if (fault.kind !== "gap") this.#skipped(fault);
    }
    const logs = segments.kept.filter((each) => each.log);
    return logs.map(({ firstOffset }, i) => ({
      path: segmentPath(dir, firstOffset, "log"),
      firstOffset,
      isActive: listing.hasOwner && i === logs.length - 1,
    }));
  }

  /** Returns the messages of a batch that were not returned before; drops the others. */
  #withoutRepeated(batch: MessageBatch): MessageBatch | undefined {
    const { path } = this.#part!;
    const expected = this.#nextOffset ?? batch.firstOffset;
    if (batch.firstOffset > expected) {
      this.#skipped(logFault({
        path,
        kind: "gap",
        position: batch.position,
        offset: expected,
        message: `${range(expected, batch.firstOffset)} missing`,
      }));
    }
    this.#nextOffset = Math.max(expected, batch.nextOffset);
    const first = expected - batch.firstOffset;
    if (first <= 0) return batch;
    if (first < batch.count) return batch.narrow(first, batch.count);
    batch.drop();
    return undefined;
  }

  /** Reports bytes that are skipped; `resumedAt` is the offset of the message after them. */
  #damaged(stop: ScanStop, end: number, resumedAt = 0): void {
    // No bytes are damaged: missing messages are reported as a gap.
    if (end === stop.position) return;
    const expected = this.#nextOffset ?? Infinity;
    let missing = "";
    if (resumedAt > expected) {
      missing = `; ${range(expected, resumedAt)} left out`;
      this.#nextOffset = resumedAt;
    }
    this.#skipped(damage(this.#part!.path, stop, end, missing));
  }

  #skipped(fault: LogFault): void {
    this.#options.onSkipped?.(fault);
  }
}

/** Describes messages `[from, to)` as the subject of a sentence. */
function range(from: number, to: number): string {
  return to === from + 1
    ? `message ${from} is`
    : `messages ${from} to ${to - 1} are`;
}
