import type { Task } from "../base/mod.ts";
import { CorruptSegment } from "../segment/mod.ts";
import type { TaskStorage } from "../storage/mod.ts";
import {
  isTemporaryName,
  join,
  parseSegmentName,
  segmentName,
  TEMPORARY_SUFFIX,
  WRITER_MARK,
} from "./names.ts";

/** A segment's files, as the directory lists them. */
export interface ListedSegment {
  /** The offset in the names. */
  firstOffset: number;
  /** Whether there is a `.log`. */
  log: boolean;
  /** Whether there is an `.index`. */
  index: boolean;
}

/** What lies in a log's directory. */
export interface Listing {
  /** Segments in the order of their offsets. */
  segments: ListedSegment[];
  /** Files that a writer was making when it died. */
  temporary: string[];
  /** Whether a writer has, or left, its mark. */
  marked: boolean;
  /** Names that are none of the log's. */
  foreign: string[];
}

/** Lists a log's directory. */
export function* listDirectory(
  storage: TaskStorage,
  dir: string,
): Task<Listing> {
  const listing: Listing = {
    segments: [],
    temporary: [],
    marked: false,
    foreign: [],
  };
  const byOffset = new Map<number, ListedSegment>();
  const entries = yield* storage.list(dir);
  for (const { name, isFile } of entries) {
    const parsed = isFile ? parseSegmentName(name) : undefined;
    if (parsed !== undefined) {
      const { firstOffset, kind } = parsed;
      const segment = byOffset.get(firstOffset) ??
        { firstOffset, log: false, index: false };
      segment[kind] = true;
      byOffset.set(firstOffset, segment);
    } else if (isFile && isTemporaryName(name)) listing.temporary.push(name);
    else if (isFile && name === WRITER_MARK) listing.marked = true;
    else listing.foreign.push(name);
  }
  listing.segments = [...byOffset.values()].sort((a, b) =>
    a.firstOffset - b.firstOffset
  );
  return listing;
}

/**
 * Refuses a directory without any trace of a log.
 *
 * @throws {Deno.errors.NotFound} If there is none.
 */
export function refuseNoLog(dir: string, listing: Listing): void {
  if (listing.segments.length > 0 || listing.marked) return;
  throw new Deno.errors.NotFound(
    `No segment of a log in '${dir}': a log has files such as 00000000000000000000.log`,
  );
}

/**
 * Makes the two empty files of a segment: under temporary names, renamed when both are there, durable when the directory is synced.
 */
export function* createSegment(
  storage: TaskStorage,
  dir: string,
  firstOffset: number,
): Task<void> {
  const names = ["log", "index"].map((kind) =>
    join(dir, `${segmentName(firstOffset)}.${kind}`)
  );
  for (const name of names) yield* createFile(storage, name + TEMPORARY_SUFFIX);
  for (const name of names) {
    yield* storage.rename(name + TEMPORARY_SUFFIX, name);
  }
  yield* syncDirectory(storage, dir);
}

/** Makes an empty file; one that is there is kept as it is. */
export function* createFile(storage: TaskStorage, path: string): Task<void> {
  const options = { write: true, create: true };
  const file = yield* storage.open(path, options);
  yield* file.close();
}

/** Removes a file. */
export function* removeFile(storage: TaskStorage, path: string): Task<void> {
  yield* storage.remove(path);
}

/** Makes the names in a directory durable. */
export function* syncDirectory(storage: TaskStorage, dir: string): Task<void> {
  yield* storage.syncDirectory(dir);
}

/**
 * Removes what a dead writer was making, and completes pairs of which one file is missing.
 *
 * @throws {CorruptSegment} If an `.index` has lost its `.log`, within the log.
 */
export function* completePairs(
  storage: TaskStorage,
  dir: string,
  listing: Listing,
): Task<void> {
  let changed = false;
  const first = listing.segments.find((segment) => segment.log)?.firstOffset;
  const lost = [];
  for (const segment of listing.segments) {
    if (segment.log) continue;
    const path = join(dir, `${segmentName(segment.firstOffset)}.index`);
    // A truncation removes the `.log` first: below the first offset the index is what is left of one.
    // Making a segment leaves an empty one, behind all others.
    const last = segment === listing.segments.at(-1);
    if (first !== undefined && segment.firstOffset < first) {
      lost.push(path);
    } else if (!last || !(yield* isEmpty(storage, path))) {
      throw new CorruptSegment("its '.log' is missing", {
        path,
        position: 0,
        offset: segment.firstOffset,
        kind: "missing",
      });
    }
  }
  for (const name of listing.temporary) lost.push(join(dir, name));
  for (const path of lost) {
    yield* removeFile(storage, path);
    changed = true;
  }
  listing.segments = listing.segments.filter((segment) =>
    segment.log || first === undefined || segment.firstOffset > first
  );
  for (const segment of listing.segments) {
    // A lost index is written anew by whoever opens the segment, under a temporary name if a later segment exists.
    const complete = segment.log && segment.index ||
      segment.log && segment !== listing.segments.at(-1);
    if (complete) continue;
    const kind = segment.log ? "index" : "log";
    const name = `${segmentName(segment.firstOffset)}.${kind}`;
    yield* createFile(storage, join(dir, name));
    segment[kind] = true;
    changed = true;
  }
  if (changed) yield* syncDirectory(storage, dir);
}

/** Whether a file holds no byte. */
export function* isEmpty(storage: TaskStorage, path: string): Task<boolean> {
  const file = yield* storage.open(path);
  const size = yield* file.size();
  yield* file.close();
  return size === 0;
}
