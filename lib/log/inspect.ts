import { drive, driveSync, type Task } from "../base/mod.ts";
import { INDEX_ENTRY_BYTES } from "../codec/mod.ts";
import type { BufferPool } from "../pool/mod.ts";
import { IndexLookup, isPlausible } from "../segment/mod.ts";
import {
  Locked,
  type LockOwner,
  OverlayStorage,
  pathString,
  TaskStorage,
} from "../storage/mod.ts";
import { listDirectory, type ListedSegment, refuseNoLog } from "./directory.ts";
import { completeOptions, type LogReaderOptions } from "./log_options.ts";
import { isKeptName, join, segmentName } from "./names.ts";
import { type OpeningReport, openLog } from "./opening.ts";
import {
  closeFile,
  closeSegment,
  openIfThere,
  sizeOf,
} from "./segment_files.ts";
import { isLocked, readMark } from "./writer_mark.ts";

/** A segment as its files are now. */
export interface SegmentInspection {
  /** The offset of its first message: the number in its name. */
  firstOffset: number;
  /** The offset behind its last message, as its index says; as opening would find it, where that is possible. */
  nextOffset: number;
  /** The size of the `.log` in bytes, prepared zeros included; `undefined` if it is missing. */
  logBytes: number | undefined;
  /** The size of the `.index` in bytes; `undefined` if it is missing. */
  indexBytes: number | undefined;
  /** The append time of the first message, in microseconds since the Unix epoch; `undefined` without one. */
  firstTimestamp: number | undefined;
  /** The append time of the last message, in microseconds since the Unix epoch; `undefined` without one. */
  lastTimestamp: number | undefined;
}

/** What opening a log for writing would do: what it would find and put in order, or the error that it would end with. */
export type OpeningForecast =
  | { possible: true; report: OpeningReport }
  | { possible: false; error: Error };

/** What a log's directory holds. */
export interface LogInspection {
  /** The directory. */
  path: string;
  /** Its segments, in order. */
  segments: SegmentInspection[];
  /** The offset of the first message. */
  firstOffset: number;
  /** The offset that the next message gets; of a log that is being written, the one behind the last message that the index describes. */
  nextOffset: number;
  /** Bytes of all files of the segments. */
  byteLength: number;
  /** Whether a writer has it open now. */
  locked: boolean;
  /** Whether it was closed well: no writer has it open, or left its mark. */
  closed: boolean;
  /** Who has it open, or left it so; `undefined` if nobody, or if it is not known. */
  writer: LockOwner | undefined;
  /** What opening it would do. */
  opening: OpeningForecast;
  /** Files that a writer was making when it ended: opening removes them. */
  temporary: string[];
  /** Files with what recovery or repair took out of the log. */
  kept: string[];
  /** Files that are none of the log's: they are left alone. */
  foreign: string[];
}

/**
 * Tells what a log's directory holds, and what opening it would do: that is tried on the files with all changes kept in memory. It takes no lock and changes nothing.
 *
 * Sizes and the first and last index entries are read, and what recovery would read if the log was not closed: messages are not verified, see {@linkcode verifyLog}.
 *
 * @throws {Deno.errors.NotFound} If there is no log in the directory.
 *
 * @example A closed log
 * ```ts
 * import { inspectLog, Log } from "@basalt/io";
 * import { assertEquals } from "@std/assert";
 *
 * const dir = Deno.makeTempDirSync();
 * {
 *   await using log = await Log.open(dir);
 *   log.append("hello");
 * }
 * const { closed, nextOffset, opening, segments } = await inspectLog(dir);
 * assertEquals([closed, nextOffset, opening.possible], [true, 1, true]);
 * assertEquals(segments.map((each) => each.logBytes), [69]);
 * Deno.removeSync(dir, { recursive: true });
 * ```
 */
export function inspectLog(
  path: string | URL,
  options: LogReaderOptions = {},
): Promise<LogInspection> {
  return drive(inspecting(path, options));
}

/** The blocking version of {@linkcode inspectLog}. */
export function inspectLogSync(
  path: string | URL,
  options: LogReaderOptions = {},
): LogInspection {
  return driveSync(inspecting(path, options));
}

function* inspecting(
  path: string | URL,
  options: LogReaderOptions,
): Task<LogInspection> {
  const dir = pathString("inspect log", path);
  const { storage, pool } = completeOptions(options);
  const locked = isLocked(storage, dir);
  const listing = yield* listDirectory(storage, dir);
  refuseNoLog(dir, listing);
  const writer = listing.marked
    ? yield* readMark(storage, dir, pool)
    : undefined;
  const tried = new OverlayStorage(storage.storage, isWriteOnly);
  const opening: OpeningForecast = locked
    ? { possible: false, error: new Locked(dir, writer) }
    : yield* forecast(tried, dir, pool);
  // As opening would leave it: what the index says of a segment that was not closed is not all.
  const view = opening.possible ? new TaskStorage(tried) : storage;
  const segments: SegmentInspection[] = [];
  for (const segment of listing.segments) {
    segments.push(yield* inspectSegment(storage, view, dir, segment, pool));
  }
  const firstOffset = segments[0]?.firstOffset ?? 0;
  return {
    path: dir,
    segments,
    firstOffset,
    nextOffset: segments.at(-1)?.nextOffset ?? firstOffset,
    byteLength: segments.reduce(
      (sum, each) => sum + (each.logBytes ?? 0) + (each.indexBytes ?? 0),
      0,
    ),
    locked,
    closed: !locked && !listing.marked,
    writer,
    opening,
    temporary: listing.temporary,
    kept: listing.foreign.filter(isKeptName),
    foreign: listing.foreign.filter((name) => !isKeptName(name)),
  };
}

/** What is taken out of a log is written and not read again. */
export function isWriteOnly(path: string): boolean {
  return /\.cut(\.\d+)?(\.tmp)?$/.test(path);
}

/** Opens the log in a storage that keeps changes in memory. */
function* forecast(
  storage: OverlayStorage,
  dir: string,
  pool: BufferPool,
): Task<OpeningForecast> {
  try {
    const opened = yield* openLog(dir, completeOptions({ storage, pool }));
    yield* closeSegment(opened.files);
    return { possible: true, report: opened.report };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { possible: false, error };
  }
}

function* inspectSegment(
  storage: TaskStorage,
  view: TaskStorage,
  dir: string,
  segment: ListedSegment,
  pool: BufferPool,
): Task<SegmentInspection> {
  const { firstOffset } = segment;
  const path = join(dir, segmentName(firstOffset));
  const found = {
    firstOffset,
    nextOffset: firstOffset,
    logBytes: yield* sizeAt(storage, `${path}.log`),
    indexBytes: yield* sizeAt(storage, `${path}.index`),
    firstTimestamp: undefined,
    lastTimestamp: undefined,
  };
  const index = yield* openIfThere(view, `${path}.index`);
  if (index === undefined) return found;
  try {
    const size = yield* sizeOf(index);
    using lookup = new IndexLookup(index, pool);
    const first = yield* lookup.entry(0);
    for (let i = Math.floor(size / INDEX_ENTRY_BYTES); i-- > 0;) {
      const last = yield* lookup.entry(i);
      if (last === undefined || !isPlausible(last, i)) continue;
      return {
        ...found,
        nextOffset: firstOffset + i + 1,
        firstTimestamp: first?.timestamp,
        lastTimestamp: last.timestamp,
      };
    }
    return found;
  } finally {
    yield* closeFile(index);
  }
}

/** The size of the file at a path; `undefined` if there is none. */
function* sizeAt(storage: TaskStorage, path: string): Task<number | undefined> {
  const file = yield* openIfThere(storage, path);
  if (file === undefined) return undefined;
  try {
    return yield* sizeOf(file);
  } finally {
    yield* closeFile(file);
  }
}
