import type { Task } from "../base/mod.ts";
import type { CorruptSegmentError } from "../segment/mod.ts";
import { classifySegments } from "./classify.ts";
import {
  listDirectory,
  type ListedSegment,
  type Listing,
  refuseNoLog,
  refuseOddNames,
} from "./directory.ts";
import { type LogPlace, type MetaRecord, readMeta } from "./meta.ts";

/**
 * How often a directory is listed before a file counts as lost: a listing that a removal overtakes
 * lacks files, too.
 */
const ATTEMPTS = 3;
const DELAY_MS = 2;

/** The segments that can be read one after the other, and what is after them. */
export interface Readable {
  /** Segments with a `.log`, in the order of their offsets. */
  segments: ListedSegment[];
  /** Why those after them cannot be read: reading on would leave messages out. */
  lost: CorruptSegmentError | undefined;
}

/** Looks at the segments of a log that another process may be writing, again and again. */
export class ReadableSegments {
  readonly #place: LogPlace;
  #meta: MetaRecord | undefined;

  constructor(place: LogPlace) {
    this.#place = place;
  }

  /**
   * Returns the segments of now, up to one that is lost.
   *
   * An empty file alone at the end is a segment that is being made; what lies below the first
   * offset is being removed.
   *
   * @throws {Deno.errors.NotFound} If there is no segment.
   * @throws {Deno.errors.BadResource} If another log has taken the place of the one that was there.
   */
  *list(): Task<Readable> {
    const { storage, dir } = this.#place;
    for (let attempt = 1;; attempt++) {
      const listing = yield* listDirectory(storage, dir);
      refuseOddNames(dir, listing);
      const found = yield* this.#split(listing);
      if (found.lost === undefined && found.segments.length > 0) return found;
      if (attempt < ATTEMPTS) {
        yield* storage.delay(DELAY_MS);
        continue;
      }
      if (found.lost !== undefined) return found;
      refuseNoLog(dir, listing);
      throw new Deno.errors.NotFound(
        `No whole segment in '${dir}': its first one is being made, or 'Log.open' has to complete it`,
      );
    }
  }

  *#split(listing: Listing): Task<Readable> {
    const { firstOffset } = (yield* this.#metaOf(listing)) ?? {};
    const { readable, faults: [lost] } = classifySegments(
      this.#place.dir,
      listing,
      firstOffset,
    );
    return { segments: readable, lost };
  }

  /** What `meta` says, read after the listing: what it says is at least as new. */
  *#metaOf({ hasMeta }: Listing): Task<MetaRecord | undefined> {
    const before = this.#meta;
    const meta = hasMeta ? yield* readMeta(this.#place) : undefined;
    if (before !== undefined && meta?.identity !== before.identity) {
      throw new Deno.errors.BadResource(
        `Cannot read on in log '${this.#place.dir}': the log with identity ${before.identity} is not there any more`,
      );
    }
    return this.#meta = meta;
  }
}
