import type { Task } from "../base/mod.ts";
import { CorruptSegment } from "../segment/mod.ts";
import type { TaskStorage } from "../storage/mod.ts";
import {
  isEmpty,
  listDirectory,
  type ListedSegment,
  type Listing,
  refuseNoLog,
} from "./directory.ts";
import { join, segmentName } from "./names.ts";

/** How often a directory is listed before a file counts as lost: a listing that a truncation overtakes lacks files, too. */
const ATTEMPTS = 3;
const DELAY_MS = 2;

/** The segments that can be read one after the other, and what is behind them. */
export interface Readable {
  /** Whole segments, in the order of their offsets. */
  segments: ListedSegment[];
  /** Why the ones behind cannot be read: reading on would leave messages out. */
  lost: CorruptSegment | undefined;
}

/**
 * The segments of a log that anybody may be writing, up to one of which a file is lost.
 *
 * An empty file alone at the end is a segment that is being made; an index below the first log is what is left of a truncation.
 *
 * @throws {Deno.errors.NotFound} If there is no segment.
 */
export function* readableSegments(
  storage: TaskStorage,
  dir: string,
): Task<Readable> {
  for (let attempt = 1;; attempt++) {
    const listing = yield* listDirectory(storage, dir);
    const lost = yield* lostHalf(storage, dir, listing);
    if (lost === undefined) {
      const segments = listing.segments.filter(isWhole);
      if (segments.length > 0) return { segments, lost };
      refuseNoLog(dir, listing);
      throw new Deno.errors.NotFound(
        `No whole segment in '${dir}': its first one is being made, or 'Log.open' has to complete it`,
      );
    }
    if (attempt === ATTEMPTS) {
      const before = listing.segments.slice(0, listing.segments.indexOf(lost));
      return { segments: before.filter(isWhole), lost: lostError(dir, lost) };
    }
    yield* storage.delay(DELAY_MS);
  }
}

function isWhole({ log, index }: ListedSegment): boolean {
  return log && index;
}

function lostError(dir: string, lost: ListedSegment): CorruptSegment {
  const { firstOffset, log } = lost;
  const [there, missing] = log ? ["log", "index"] : ["index", "log"];
  const advice = log ? ": opening the log for writing writes it anew" : "";
  return new CorruptSegment(`its '.${missing}' is missing${advice}`, {
    path: join(dir, `${segmentName(firstOffset)}.${there}`),
    position: 0,
    offset: firstOffset,
    kind: "missing",
  });
}

/** The first segment of which one file is missing that should be there. */
function* lostHalf(
  storage: TaskStorage,
  dir: string,
  { segments }: Listing,
): Task<ListedSegment | undefined> {
  const first = segments.find((each) => each.log)?.firstOffset ?? 0;
  for (const segment of segments) {
    const { firstOffset, log, index } = segment;
    if (log && index || !log && firstOffset < first) continue;
    if (segment !== segments.at(-1)) return segment;
    const path = join(
      dir,
      `${segmentName(firstOffset)}.${log ? "log" : "index"}`,
    );
    try {
      if (!(yield* isEmpty(storage, path))) return segment;
    } catch (error) {
      // Gone since it was listed.
      if (error instanceof Deno.errors.NotFound) return segment;
      throw error;
    }
  }
  return undefined;
}
