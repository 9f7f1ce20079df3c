import type { Task } from "../../base/mod.ts";
import type { SegmentFiles } from "../../segment/mod.ts";
import type { TaskFile, TaskStorage } from "../../storage/mod.ts";
import type { LogPlace } from "../record/meta.ts";
import {
  classifyName,
  CURSORS_NAME,
  join,
  META_NAME,
  OWNER_NAME,
  segmentFileName,
  segmentPath,
  TEMPORARY_SUFFIX,
} from "../names.ts";
import { closeSegment, sizeAt, unlessGone } from "./_segment_files.ts";
import { discard, openTemporary } from "../record/_temporary_file.ts";

/** A segment's files, as the directory lists them. */
export interface ListedSegment {
  /** The offset in the names. */
  firstOffset: number;
  /** Whether there is a `.log`. */
  log: boolean;
  /** Whether there is an `.index`. */
  index: boolean;
  /** The size of an `.index` that is alone, in bytes. */
  indexBytes?: number;
}

/** What lies in a log's directory. */
export interface Listing {
  /** Segments in the order of their offsets. */
  segments: ListedSegment[];
  /** Whether there is a `meta`. */
  hasMeta: boolean;
  /** Whether there is an owner file: a writer has the log open, or did not close it. */
  hasOwner: boolean;
  /** Files that were not complete when their writer ended. */
  temporary: string[];
  /** Files with bytes that recovery or repair took out of the log. */
  cut: string[];
  /** Names of the log's own files on anything but a regular file. */
  odd: OddName[];
  /** Other names. */
  foreign: string[];
}

/** A name of the log's own on anything but a regular file. */
export interface OddName {
  /** The name. */
  name: string;
  /** What has it, in words. */
  found: string;
}

/** Lists a log's directory: the one place that tells what a name means. */
export function* listDirectory(
  storage: TaskStorage,
  dir: string,
): Task<Listing> {
  const listing: Listing = {
    segments: [],
    hasMeta: false,
    hasOwner: false,
    temporary: [],
    cut: [],
    odd: [],
    foreign: [],
  };
  const byOffset = new Map<number, ListedSegment>();
  for (const { name, isFile, isDirectory } of yield* storage.listNow(dir)) {
    if (isDirectory && name === CURSORS_NAME) continue;
    const found = classifyName(name);
    if (!isFile && ["segment", "meta", "owner"].includes(found.class)) {
      const what = isDirectory ? "a directory" : "a link or a special file";
      listing.odd.push({ name, found: what });
    } else if (!isFile) listing.foreign.push(name);
    else if (found.class === "segment") {
      const { firstOffset, kind } = found;
      const segment = byOffset.get(firstOffset) ??
        { firstOffset, log: false, index: false };
      segment[kind] = true;
      byOffset.set(firstOffset, segment);
    } else if (found.class === "meta") listing.hasMeta = true;
    else if (found.class === "owner") listing.hasOwner = true;
    else listing[found.class].push(name);
  }
  for (const segment of byOffset.values()) {
    if (!segment.log) {
      const path = segmentPath(dir, segment.firstOffset, "index");
      const bytes = yield* sizeAt(storage, path);
      // It is gone since the listing.
      if (bytes === undefined) continue;
      segment.indexBytes = bytes;
    }
    listing.segments.push(segment);
  }
  listing.segments.sort((a, b) => a.firstOffset - b.firstOffset);
  return listing;
}

/**
 * Refuses a name of the log's own that is not a regular file.
 *
 * @throws {Deno.errors.InvalidData} If there is one; it is named.
 */
export function refuseOddNames(dir: string, { odd }: Listing): void {
  const first = odd[0];
  if (first !== undefined) throw oddName(dir, first);
}

/** Returns the error for a name of the log's own on anything but a regular file. */
export function oddName(dir: string, { name, found }: OddName): Error {
  return oddFile(join(dir, name), found);
}

function oddFile(path: string, found: string): Error {
  return new Deno.errors.InvalidData(
    `Cannot use '${path}' as a file of a log: it must be a regular file, but is ${found}`,
  );
}

/**
 * Refuses a name that is a symbolic link: what it leads to is not the log's.
 *
 * @throws {Deno.errors.InvalidData} If it is one.
 */
export function refuseLink(storage: TaskStorage, path: string): void {
  if (storage.isLink(path)) throw oddFile(path, "a symbolic link");
}

/**
 * Refuses a directory without any trace of a log.
 *
 * @throws {Deno.errors.NotFound} If it has no file of a log.
 */
export function refuseNoLog(dir: string, listing: Listing): void {
  const { segments, hasMeta, hasOwner, odd } = listing;
  if (segments.length > 0 || hasMeta || hasOwner || odd.length > 0) return;
  throw new Deno.errors.NotFound(
    `No segment of a log in '${dir}': a log has files such as 00000000000000000000.log`,
  );
}

/**
 * Makes the two empty files of a segment, durably, and opens them for writing. It may be repeated
 * after a failure.
 *
 * @throws {Deno.errors.AlreadyExists} If a file with one of the names is there and is not empty.
 */
export function* createSegment(
  place: LogPlace,
  firstOffset: number,
): Task<SegmentFiles> {
  const { storage, dir } = place;
  const segment = { firstOffset, log: false, index: false };
  for (const kind of ["log", "index"] as const) {
    const path = segmentPath(dir, firstOffset, kind);
    const size = yield* sizeAt(storage, path);
    if (size !== undefined && size > 0) {
      throw new Deno.errors.AlreadyExists(
        `Cannot make segment file '${path}': a file of ${size} bytes has that name`,
      );
    }
    segment[kind] = size !== undefined;
  }
  const files = yield* openPair(place, segment);
  try {
    yield* storage.syncDirectory(dir);
  } catch (error) {
    yield* closeSegment(files);
    throw error;
  }
  return files;
}

/**
 * Opens the files of a segment for writing. Those that were not listed are made under temporary
 * names and renamed, without making their names durable.
 */
export function* openPair(
  { storage, dir, pool }: LogPlace,
  segment: ListedSegment,
): Task<SegmentFiles> {
  const options = { write: true };
  const { firstOffset } = segment;
  const kinds = ["log", "index"] as const;
  const pathOf = (kind: "log" | "index") => segmentPath(dir, firstOffset, kind);
  const files: TaskFile[] = [];
  try {
    for (const kind of kinds) {
      const file = segment[kind]
        ? yield* storage.openNow(pathOf(kind), options)
        : yield* openTemporary(storage, pathOf(kind), options);
      files.push(file);
    }
    for (const [i, kind] of kinds.entries()) {
      if (segment[kind]) continue;
      files[i] = yield* storage.renameOpen(files[i]!, pathOf(kind), options);
    }
    const [log, index] = files;
    return { log: log!, index: index!, firstOffset, pool };
  } catch (error) {
    for (const file of files) {
      const isNamed = !file.path.endsWith(TEMPORARY_SUFFIX);
      yield* isNamed ? file.close() : discard(storage, file);
    }
    throw error;
  }
}

/** Removes files, without making that durable; one that is gone already is no fault. */
export function* removeFiles(
  storage: TaskStorage,
  paths: readonly string[],
): Task<void> {
  for (const path of paths) yield* unlessGone(storage.remove(path));
}

/**
 * Returns the names of the files of a segment that are there, in the order in which they are
 * removed.
 */
export function filesOf(segment: ListedSegment): string[] {
  return (["log", "index"] as const).filter((kind) => segment[kind])
    .map((kind) => segmentFileName(segment.firstOffset, kind));
}

/** Returns the path of `meta` in a directory. */
export function metaPath(dir: string): string {
  return join(dir, META_NAME);
}

/** Returns the path of the owner file in a directory. */
export function ownerPath(dir: string): string {
  return join(dir, OWNER_NAME);
}
