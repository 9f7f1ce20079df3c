import type { Task } from "../base/mod.ts";
import {
  join,
  parseSegmentName,
  segmentName,
  TEMPORARY_SUFFIX,
} from "../log/names.ts";
import type { TaskStorage } from "../storage/mod.ts";
import { corrupt } from "./damage.ts";

/** Name of the file that a log has while it is open. */
export const OWNER_NAME = "writer";
/** Name of the file with a log's identity. */
const META_NAME = "meta";

/** A segment, as a directory lists it. */
export interface ListedSegment {
  /** The offset in its names. */
  firstOffset: number;
  /** Path of the `.log`. */
  logPath: string;
  /** Path of the `.index`; `undefined` if there is none. */
  indexPath: string | undefined;
}

/** What lies in a directory of segments. */
export interface Listing {
  /** Names of all segment files, in their order. */
  names: string[];
  /** Files that an interrupted transfer left unfinished. */
  temporary: string[];
  /** Whether a writer has the log open, or did not close it. */
  hasOwner: boolean;
  /** Whether the directory is a log that was opened before. */
  hasMeta: boolean;
  /** All other names. */
  others: string[];
}

/**
 * Lists a directory; a missing one is empty.
 *
 * @throws {Deno.errors.NotSupported} If a segment's name is not that of a regular file.
 */
export function* listDirectory(
  storage: TaskStorage,
  dir: string,
): Task<Listing> {
  const listing: Listing = {
    names: [],
    temporary: [],
    hasOwner: false,
    hasMeta: false,
    others: [],
  };
  for (const { name, isFile } of yield* listIfMade(storage, dir)) {
    if (parseSegmentName(name) !== undefined) {
      if (!isFile) {
        throw new Deno.errors.NotSupported(
          `Cannot use '${dir}': '${name}' is no regular file`,
        );
      }
      listing.names.push(name);
    } else if (isFile && isTemporary(name)) listing.temporary.push(name);
    else if (isFile && name === OWNER_NAME) listing.hasOwner = true;
    else if (isFile && name === META_NAME) listing.hasMeta = true;
    else listing.others.push(name);
  }
  return listing;
}

function* listIfMade(storage: TaskStorage, dir: string) {
  try {
    return yield* storage.list(dir);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

function isTemporary(name: string): boolean {
  return name.endsWith(TEMPORARY_SUFFIX) &&
    parseSegmentName(name.slice(0, -TEMPORARY_SUFFIX.length)) !== undefined;
}

/**
 * Returns the segments of a source in the order of their offsets.
 *
 * @throws {Deno.errors.NotFound} If there is none.
 * @throws {CorruptSegment} If an `.index` has no `.log`.
 */
export function segmentsOf(dir: string, listing: Listing): ListedSegment[] {
  const { names } = listing;
  const segments: ListedSegment[] = [];
  for (const name of names) {
    const { firstOffset, kind } = parseSegmentName(name)!;
    const logName = `${segmentName(firstOffset)}.log`;
    const indexName = `${segmentName(firstOffset)}.index`;
    if (kind === "index") {
      if (names.includes(logName)) continue;
      throw corrupt(["missing", "its '.log' is missing"], {
        path: join(dir, name),
        position: 0,
        offset: firstOffset,
      });
    }
    segments.push({
      firstOffset,
      logPath: join(dir, name),
      indexPath: names.includes(indexName) ? join(dir, indexName) : undefined,
    });
  }
  if (segments.length > 0) return segments;
  throw new Deno.errors.NotFound(
    `No segment in '${dir}': there must be files such as 00000000000000000000.log`,
  );
}
