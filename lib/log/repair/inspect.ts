import { drive, driveSync, type Task } from "../../base/mod.ts";
import type { BufferPool } from "../../pool/mod.ts";
import {
  type BatchPlace,
  IndexLookup,
  MessageBatch,
  RESTART_BYTES,
  type ScanStop,
  type SegmentFiles,
  SegmentScan,
} from "../../segment/mod.ts";
import { LockedError, type TaskFile } from "../../storage/mod.ts";
import { readContents } from "./_contents.ts";
import { filesOf, type ListedSegment } from "../open/directory.ts";
import { type LogReaderOptions, placeOf } from "../log_options.ts";
import { timestampAt } from "../read/_log_scan.ts";
import type { LogPlace } from "../record/meta.ts";
import { type SegmentFileKind, segmentPath } from "../names.ts";
import { closeOpened, type OpeningReport, openLog } from "../open/opening.ts";
import { lockOwnerOf, type OwnerRecord } from "../record/owner_file.ts";
import { readSegment, sizeAt, unlessGone } from "../open/_segment_files.ts";
import { inMemory } from "../open/_try_recovery.ts";

/** A segment, as found in its files. */
export interface SegmentInspection {
  /** The offset of its first message: the number in its name. */
  firstOffset: number;
  /** The offset after its last whole batch. */
  nextOffset: number;
  /** The size of the `.log` in bytes; `undefined` if it is missing. */
  logBytes: number | undefined;
  /** Bytes of whole batches in the `.log`. */
  dataBytes: number;
  /** Bytes of the `.log` after the data: prepared space, or the remains of a crash. */
  preparedBytes: number;
  /** The size of the `.index` in bytes; `undefined` if it is missing. */
  indexBytes: number | undefined;
  /**
   * The append time of the first message, in microseconds since the Unix epoch; `undefined` without
   * one.
   */
  firstTimestamp: number | undefined;
  /**
   * The append time of the last message, in microseconds since the Unix epoch; `undefined` without
   * one.
   */
  lastTimestamp: number | undefined;
}

/** The outcome that opening a log for writing would have: a report, or an error. */
export type OpeningForecast =
  | { possible: true; report: OpeningReport }
  | { possible: false; error: Error };

/** The contents of a log's directory. */
export interface LogInspection {
  /** The directory. */
  path: string;
  /** The identity of the log, a UUID; `undefined` if it has none yet, or if `meta` is damaged. */
  identity: string | undefined;
  /** Its segments, in order, without those wholly below the first offset. */
  segments: SegmentInspection[];
  /** The offset of the first message. */
  firstOffset: number;
  /**
   * The offset of the next message; in a log that is being written, the one after the last batch in
   * its files.
   */
  nextOffset: number;
  /** Bytes of all files of the segments. */
  byteLength: number;
  /** Bytes of whole batches. */
  dataBytes: number;
  /** Bytes of space that was prepared for messages to come, or that a crash left. */
  preparedBytes: number;
  /**
   * How far the clock of this machine is behind the last message, in microseconds; 0 if it is not.
   * Until it has caught up, all messages get the time of that one.
   */
  clockBehindMicros: number;
  /** Whether a writer has it open now. */
  locked: boolean;
  /** Whether it was closed cleanly: no writer has it open, and no owner file is left. */
  closed: boolean;
  /** The contents of the owner file; `undefined` without one, `"invalid"` if it is damaged. */
  owner: OwnerRecord | "invalid" | undefined;
  /** What opening it would do. */
  opening: OpeningForecast;
  /** Files that opening removes: incomplete ones, and what an interrupted removal left. */
  temporary: string[];
  /** Files with bytes that recovery or repair removed from the log. */
  kept: string[];
  /** Names of the log's files that are not regular files: opening and reading refuse them. */
  odd: string[];
  /** Names that do not belong to the log; they are left alone. */
  foreign: string[];
}

/**
 * Describes a log's directory, and what opening the log would do. Opening is tried with all changes
 * in memory: no lock is taken and nothing is changed.
 *
 * It reads sizes, the ends of segments and, for a log that was not closed, what recovery would
 * read. {@linkcode verifyLog} verifies all messages.
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
 * assertEquals(segments.map((each) => each.dataBytes), [256 + 48 + 5]);
 * Deno.removeSync(dir, { recursive: true });
 * ```
 */
export function inspectLog(
  path: string | URL,
  options: LogReaderOptions = {},
): Promise<LogInspection> {
  return drive(inspecting(placeOf("inspect log", path, options)));
}

/** Sync version of {@linkcode inspectLog}. */
export function inspectLogSync(
  path: string | URL,
  options: LogReaderOptions = {},
): LogInspection {
  return driveSync(inspecting(placeOf("inspect log", path, options)));
}

function* inspecting(place: LogPlace): Task<LogInspection> {
  const { storage, dir } = place;
  const contents = yield* readContents(place);
  const { isLocked: locked, listing, meta } = contents;
  const { hasOwner, temporary, cut, odd, foreign } = listing;
  const owner = contents.owner ?? (hasOwner ? "invalid" : undefined);
  const tried = inMemory(place);
  const opening: OpeningForecast = locked
    ? { possible: false, error: new LockedError(dir, lockOwnerOf(owner)) }
    : yield* forecast(tried);
  const isNewlyLocked = !locked && !opening.possible && storage.isLocked(dir);
  // A writer came during the forecast.
  if (isNewlyLocked) return yield* inspecting(place);
  // Inspect the segments as opening would leave them: remains of a crash are not data.
  const view = opening.possible ? tried : place;
  const { start, kept, below } = contents.segments;
  const segments: SegmentInspection[] = [];
  for (const segment of kept) {
    segments.push(yield* inspectSegment(place, view, segment, odd.length > 0));
  }
  const sum = (bytes: (each: SegmentInspection) => number): number =>
    segments.reduce((total, each) => total + bytes(each), 0);
  const last = segments.findLast((each) => each.lastTimestamp !== undefined);
  const behindMicros = (last?.lastTimestamp ?? 0) - storage.now();
  return {
    path: dir,
    identity: meta?.identity,
    segments,
    firstOffset: start,
    nextOffset: segments.at(-1)?.nextOffset ?? start,
    byteLength: sum((each) => (each.logBytes ?? 0) + (each.indexBytes ?? 0)),
    dataBytes: sum((each) => each.dataBytes),
    preparedBytes: sum((each) => each.preparedBytes),
    clockBehindMicros: Math.max(0, behindMicros),
    locked,
    closed: !locked && !hasOwner,
    owner,
    opening,
    temporary: [...temporary, ...below.flatMap(filesOf)],
    kept: cut,
    odd: odd.map(({ name }) => name),
    foreign,
  };
}

/** Opens the log; `place` keeps changes in memory. */
function* forecast(place: LogPlace): Task<OpeningForecast> {
  try {
    const opened = yield* openLog(place);
    yield* closeOpened(opened, false);
    return { possible: true, report: opened.report };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { possible: false, error };
  }
}

function* inspectSegment(
  { storage, dir }: LogPlace,
  view: LogPlace,
  segment: ListedSegment,
  isOdd: boolean,
): Task<SegmentInspection> {
  const { firstOffset } = segment;
  const sizeOf = function* (kind: SegmentFileKind): Task<number | undefined> {
    if (!segment[kind]) return undefined;
    return yield* sizeAt(storage, segmentPath(dir, firstOffset, kind));
  };
  const logBytes = yield* sizeOf("log");
  const indexBytes = yield* sizeOf("index");
  // Something that is not a regular file must not be opened.
  const found = isOdd
    ? undefined
    : yield* unlessGone(readSegment(view, firstOffset, dataOf));
  const preparedBytes = found === undefined
    ? 0
    : Math.max(0, (logBytes ?? 0) - found.dataBytes);
  const data = found ?? {
    nextOffset: firstOffset,
    dataBytes: 0,
    firstTimestamp: undefined,
    lastTimestamp: undefined,
  };
  return { firstOffset, logBytes, indexBytes, ...data, preparedBytes };
}

type SegmentData = Pick<
  SegmentInspection,
  "nextOffset" | "dataBytes" | "firstTimestamp" | "lastTimestamp"
>;

/**
 * Returns how far the data of a segment reach, from a scan that starts at the last indexed batch.
 */
export function* dataOf(segment: SegmentFiles): Task<SegmentData> {
  const { log, firstOffset, pool } = segment;
  using lookup = yield* IndexLookup.open(segment);
  const last = (yield* lookup.entry(lookup.count - 1)) ??
    (yield* lookup.lastPlausible())?.entry;
  const bound = yield* log.size();
  const beginning = { position: 0, offset: firstOffset };
  const firstTimestamp = yield* timestampAt(log, pool, beginning, bound);
  let data = yield* scanFrom(log, pool, last ?? beginning, bound);
  // The index is wrong: its entry does not name a batch.
  if (data.lastTimestamp === undefined && data.dataBytes > 0) {
    data = yield* scanFrom(log, pool, beginning, bound);
  }
  return { ...data, firstTimestamp };
}

function* scanFrom(
  log: TaskFile,
  pool: BufferPool,
  start: BatchPlace,
  bound: number,
): Task<Omit<SegmentData, "firstTimestamp">> {
  const options = { firstBytes: RESTART_BYTES, readAheadBytes: 0 };
  const scan = new SegmentScan(log, pool, start, options);
  try {
    let next: MessageBatch | ScanStop;
    while ((next = yield* scan.next(bound)) instanceof MessageBatch) {
      next.drop();
    }
    const { offset: nextOffset, position: dataBytes } = scan;
    const lastTimestamp = dataBytes > start.position
      ? scan.lastTimestamp
      : undefined;
    return { nextOffset, dataBytes, lastTimestamp };
  } finally {
    yield* scan.close();
  }
}
