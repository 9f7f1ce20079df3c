import { stream, streamSync, type Task } from "../base/mod.ts";
import { INDEX_ENTRY_BYTES } from "../codec/mod.ts";
import {
  type CursorStop,
  describeStop,
  IndexCheck,
  IndexLookup,
  isPlausible,
  isZero,
  MessageBatch,
  Survey,
} from "../segment/mod.ts";
import { pathString, type TaskFile } from "../storage/mod.ts";
import {
  listDirectory,
  type ListedSegment,
  type Listing,
  refuseNoLog,
} from "./directory.ts";
import type { FaultKind, LogFault } from "./fault.ts";
import {
  type CompleteReaderOptions,
  completeReaderOptions,
  type LogReaderOptions,
} from "./log_options.ts";
import { join, segmentName } from "./names.ts";
import { closeFile, openIfThere, sizeOf } from "./segment_files.ts";
import { isLocked } from "./writer_mark.ts";

/** How far a verification has come. */
export interface VerifyProgress {
  /** Messages that were found good. */
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
  /** Called for every block that was read, and once at the end. The object is the same each time. */
  onProgress?: (progress: Readonly<VerifyProgress>) => void;
}

/**
 * Reads a whole log and hands out everything that is wrong with it: every message, every index entry, names, gaps, overlaps, lone files. It goes on behind a fault, takes no lock and changes nothing.
 *
 * Of a log that a writer has open, or left open, an index that ends early and zeros behind the last message are no faults; a torn tail is one, although opening cuts it. While it is being written, an unfinished message behind what the index describes is none.
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
 * bytes.set([0], 64); // the first byte of the first payload
 * Deno.writeFileSync(path, bytes);
 * for await (const fault of verifyLog(dir)) {
 *   assertEquals(fault.kind, "checksum");
 *   assertEquals([fault.position, fault.byteLength, fault.offset], [0, 69, 0]);
 * }
 * Deno.removeSync(dir, { recursive: true });
 * ```
 */
export function verifyLog(
  path: string | URL,
  options: VerifyOptions = {},
): AsyncIterableIterator<LogFault> {
  const verification = new Verification(
    pathString("verify log", path),
    options,
  );
  return stream(verification.run(), verification.faults);
}

/** The blocking version of {@linkcode verifyLog}. */
export function verifyLogSync(
  path: string | URL,
  options: VerifyOptions = {},
): IterableIterator<LogFault> {
  const verification = new Verification(
    pathString("verify log", path),
    options,
  );
  return streamSync(verification.run(), verification.faults);
}

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
  /** The time of the last message that was read. */
  #lastTimestamp = 0;

  constructor(dir: string, options: VerifyOptions) {
    this.#dir = dir;
    this.#options = completeReaderOptions(options);
    this.#onProgress = options.onProgress;
  }

  /** Verifies everything. */
  *run(): Task<void> {
    const { storage } = this.#options;
    const locked = isLocked(storage, this.#dir);
    const listing = yield* listDirectory(storage, this.#dir);
    refuseNoLog(this.#dir, listing);
    this.#names(listing);
    yield* this.#measure(listing);
    let expected: number | undefined;
    for (const [i, segment] of listing.segments.entries()) {
      const { firstOffset } = segment;
      if (!segment.log) {
        this.#lone(segment, listing, i);
        continue;
      }
      if (expected !== undefined && expected !== firstOffset) {
        const gap = firstOffset > expected;
        this.#report(this.#path(segment, "log"), 0, 0, {
          kind: gap ? "gap" : "overlap",
          offset: expected,
          message: gap
            ? `messages ${expected} to ${firstOffset - 1} are missing before it`
            : `it begins before offset ${expected}, where the segment before it ends`,
        });
      }
      const last = i === listing.segments.length - 1;
      const open = last && (listing.marked || locked);
      // Undefined also where its writer truncated the log meanwhile.
      expected = yield* this.#segment(segment, open, open && locked);
    }
    this.#onProgress?.(this.#progress);
  }

  #names(listing: Listing): void {
    for (const name of listing.foreign) {
      if (!/\.(log|index)$/.test(name)) continue;
      this.#report(join(this.#dir, name), 0, 0, {
        kind: "name",
        offset: 0,
        message:
          "no segment: a log's files are regular ones, named by an offset of 20 digits; an Iggy server fails at such a file",
      });
    }
  }

  /** An index without a log: what is left of a truncation is below the first one. */
  #lone(segment: ListedSegment, listing: Listing, i: number): void {
    const first = listing.segments.findIndex((each) => each.log);
    if (listing.marked && i < first) return;
    this.#report(this.#path(segment, "log"), 0, 0, {
      kind: "missing",
      offset: segment.firstOffset,
      message: "there is an '.index' without it",
    });
  }

  /** Adds up what will be read. */
  *#measure(listing: Listing): Task<void> {
    for (const segment of listing.segments) {
      if (!segment.log) continue;
      const file = yield* this.#open(segment, "log");
      if (file === undefined) continue;
      this.#progress.totalBytes += yield* sizeOf(file);
      yield* closeFile(file);
    }
  }

  /** Verifies a segment; answers the offset behind its last message, as far as that is known. */
  *#segment(
    segment: ListedSegment,
    open: boolean,
    written: boolean,
  ): Task<number | undefined> {
    const files: TaskFile[] = [];
    try {
      const log = yield* this.#open(segment, "log");
      if (log === undefined) return undefined;
      files.push(log);
      const index = segment.index
        ? yield* this.#open(segment, "index")
        : undefined;
      if (index !== undefined) files.push(index);
      else if (!open) {
        this.#report(this.#path(segment, "index"), 0, 0, {
          kind: "missing",
          offset: segment.firstOffset,
          message: "there is a '.log' without it; opening writes it anew",
        });
      }
      return yield* this.#pair(segment, log, index, open, written);
    } finally {
      for (const file of files) yield* closeFile(file);
    }
  }

  *#pair(
    segment: ListedSegment,
    log: TaskFile,
    index: TaskFile | undefined,
    open: boolean,
    written: boolean,
  ): Task<number | undefined> {
    const { firstOffset } = segment;
    const { pool } = this.#options;
    const bound = yield* sizeOf(log);
    const indexBytes = index === undefined ? 0 : yield* sizeOf(index);
    using lookup = index && new IndexLookup(index, pool);
    using check = index &&
      new IndexCheck(index, pool, firstOffset, indexBytes, open);
    // Behind this, what is not whole may be on its way.
    const settled = written ? yield* describedEnd(lookup, indexBytes) : bound;
    const survey = new Survey({
      log,
      lookup,
      pool,
      baseOffset: firstOffset,
      bound,
    });
    try {
      let stop: CursorStop | undefined;
      let nextOffset = firstOffset;
      for (;;) {
        const next = yield* survey.next();
        if (next instanceof MessageBatch) {
          using batch = next;
          if (stop !== undefined) {
            this.#damage(log.path, stop, batch.position + batch.starts[0]!);
          }
          stop = undefined;
          for (const wrong of check ? yield* check.compare(batch) : []) {
            this.#entries(index!.path, firstOffset, wrong.first, wrong.count);
          }
          this.#timestamps(log.path, batch);
          nextOffset = batch.nextOffset;
          this.#advance(batch.count, batch.byteLength);
        } else if (next.reason === "end" || next.position >= settled) break;
        else stop = next;
      }
      // Zeros behind the last message of an open log were prepared for the next ones.
      const tail = stop !== undefined && !(open && stop.reason === "zeros");
      if (stop !== undefined && tail) {
        this.#damage(log.path, stop, bound, open ? "; opening cuts it" : "");
      }
      const known = tail ? undefined : nextOffset;
      if (index !== undefined && !written && known !== undefined) {
        yield* this.#indexEnd(index, indexBytes, known - firstOffset, {
          firstOffset,
          open,
        });
      }
      return known;
    } finally {
      yield* survey.close();
    }
  }

  /** The index must end where the messages do; that of an open log may lag behind, and may be padded. */
  *#indexEnd(
    index: TaskFile,
    indexBytes: number,
    count: number,
    segment: { firstOffset: number; open: boolean },
  ): Task<void> {
    const { firstOffset, open } = segment;
    const expected = count * INDEX_ENTRY_BYTES;
    if (indexBytes < expected && !open) {
      this.#report(index.path, indexBytes, 0, {
        kind: "index",
        offset: firstOffset + Math.floor(indexBytes / INDEX_ENTRY_BYTES),
        message: `it has ${indexBytes} bytes, for ${count} messages`,
      });
    }
    if (indexBytes <= expected) return;
    const { pool } = this.#options;
    if (open && (yield* isZero(index, pool, expected, indexBytes))) return;
    this.#report(index.path, expected, indexBytes - expected, {
      kind: "index",
      offset: firstOffset + count,
      message: `it goes on behind the ${count} messages of the log`,
    });
  }

  #entries(path: string, firstOffset: number, i: number, count: number): void {
    const position = i * INDEX_ENTRY_BYTES;
    this.#report(path, position, count * INDEX_ENTRY_BYTES, {
      kind: "index",
      offset: firstOffset + i,
      message: count === 1
        ? "the entry does not agree with the message"
        : `${count} entries do not agree with their messages`,
    });
  }

  #timestamps(path: string, batch: MessageBatch): void {
    for (let i = 0; i < batch.count; i++) {
      const timestamp = batch.timestamp(i);
      if (timestamp < this.#lastTimestamp) {
        const start = batch.starts[i]!;
        const length = batch.starts[i + 1]! - start;
        this.#report(path, batch.position + start, length, {
          kind: "timestamp",
          offset: batch.offset(i),
          message:
            `its time, ${timestamp}, lies before that of the message before it, ${this.#lastTimestamp}`,
        });
      }
      this.#lastTimestamp = timestamp;
    }
  }

  #damage(path: string, stop: CursorStop, end: number, more = ""): void {
    const { position, offset } = stop;
    const { kind, message } = describeStop(stop);
    this.#report(path, position, end - position, {
      offset,
      kind,
      message: `${message}${more}`,
    });
    this.#advance(0, end - position);
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

  #path({ firstOffset }: ListedSegment, kind: "log" | "index"): string {
    return join(this.#dir, `${segmentName(firstOffset)}.${kind}`);
  }

  *#open(
    segment: ListedSegment,
    kind: "log" | "index",
  ): Task<TaskFile | undefined> {
    const { storage } = this.#options;
    return yield* openIfThere(storage, this.#path(segment, kind));
  }
}

/** Where the last message ends that the index describes. */
function* describedEnd(
  lookup: IndexLookup | undefined,
  indexBytes: number,
): Task<number> {
  if (lookup === undefined) return 0;
  for (let i = Math.floor(indexBytes / INDEX_ENTRY_BYTES); i-- > 0;) {
    const entry = yield* lookup.entry(i);
    if (entry !== undefined && isPlausible(entry, i)) return entry.position;
  }
  return 0;
}
