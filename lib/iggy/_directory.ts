import type { Task } from "../base/mod.ts";
import {
  join,
  listDirectory as listLog,
  type Listing as LogListing,
  segmentName,
  unlessGone,
} from "../log/mod.ts";
import type { TaskStorage } from "../storage/mod.ts";
import { corrupt } from "./_damage.ts";

/** A segment of a source. */
export interface ListedSegment {
  /** The offset in its names. */
  firstOffset: number;
  /** Path of the `.log`. */
  logPath: string;
  /** Path of the `.index`; `undefined` if there is none (`docs/format.md#iggy-index-optional`). */
  indexPath: string | undefined;
}

/** What lies in a directory of segments. */
export interface Listing extends Pick<LogListing, "segments"> {
  /** Names of all segment files, in their order. */
  names: string[];
  /** Segment files that an interrupted transfer left unfinished. */
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
  const listing: Partial<LogListing> =
    (yield* unlessGone(listLog(storage, dir))) ?? {};
  const { segments = [], temporary = [], odd = [] } = listing;
  for (const { name, found } of odd) {
    throw new Deno.errors.NotSupported(
      `Cannot use '${dir}': '${name}' is ${found}`,
    );
  }
  return {
    segments,
    names: segments.flatMap(({ firstOffset, log, index }) => [
      ...index ? [`${segmentName(firstOffset)}.index`] : [],
      ...log ? [`${segmentName(firstOffset)}.log`] : [],
    ]),
    temporary: temporary.filter((name) => /^\d{20}\./.test(name)),
    hasOwner: listing.hasOwner ?? false,
    hasMeta: listing.hasMeta ?? false,
    others: [...listing.cut ?? [], ...listing.foreign ?? []],
  };
}

/**
 * Returns the segments of a source in the order of their offsets.
 *
 * @param advice What to do with an `.index` alone before the first `.log`, which an interrupted
 *   deletion leaves.
 * @throws {Deno.errors.NotFound} If there is none.
 * @throws {CorruptSegmentError} If an `.index` has no `.log`.
 */
export function segmentsOf(
  dir: string,
  { segments }: Listing,
  advice: string,
): ListedSegment[] {
  const firstLog = segments.find(({ log }) => log)?.firstOffset ?? 0;
  if (segments.length === 0) {
    throw new Deno.errors.NotFound(
      `No segment in '${dir}': there must be files such as 00000000000000000000.log`,
    );
  }
  return segments.map(({ firstOffset, log, index }) => {
    const path = join(dir, segmentName(firstOffset));
    const indexPath = index ? `${path}.index` : undefined;
    if (log) return { firstOffset, logPath: `${path}.log`, indexPath };
    throw corrupt(
      ["missing", "its '.log' is missing"],
      { path: `${path}.index`, position: 0, offset: firstOffset },
      firstOffset < firstLog ? advice : undefined,
    );
  });
}
