import type { Task } from "../../base/mod.ts";
import type { MessageBatch } from "../../segment/mod.ts";
import { classifySegments } from "../classify.ts";
import { listDirectory, type ListedSegment } from "../directory.ts";
import { dataOf } from "../inspect.ts";
import type { TailOptions } from "../following.ts";
import { type LogPlace, readMeta } from "../meta.ts";
import { segmentPath } from "../names.ts";
import { durableOffsetOf } from "../foreign_segments.ts";
import { closeSegment, openSegment, sizeAt } from "../segment_files.ts";
import type { CountedSegment, CursorSource } from "./cursor_source.ts";

/** What a cursor needs of a reader. */
interface Reader {
  tail(options: TailOptions): AsyncIterableIterator<MessageBatch>;
  read(options: TailOptions): AsyncIterableIterator<MessageBatch>;
}

/** A log that another process may be writing, for cursors: what is known of it is in its files. */
export class ReaderSource implements CursorSource {
  readonly place: LogPlace;
  readonly #reader: Reader;

  constructor(place: LogPlace, reader: Reader) {
    this.place = place;
    this.#reader = reader;
  }

  tail(
    from: number,
    signal: AbortSignal | undefined,
  ): AsyncIterableIterator<MessageBatch> {
    const options = { from, durable: true };
    return this.#reader.tail(
      signal === undefined ? options : { ...options, signal },
    );
  }

  read(from: number): AsyncIterableIterator<MessageBatch> {
    return this.#reader.read({ from, durable: true });
  }

  *end(): Task<number> {
    const segments = yield* this.#listed();
    return (yield* this.#last(segments.at(-1))).nextOffset;
  }

  knownEnd(): number {
    return 0;
  }

  *durableEnd(): Task<number> {
    const published = yield* durableOffsetOf(this.place);
    // A log that was closed is durable to its end.
    if (published === Infinity) return yield* this.end();
    // What was removed was durable.
    const meta = yield* readMeta(this.place);
    return Math.max(published, meta?.firstOffset ?? 0);
  }

  *segments(from: number): Task<readonly CountedSegment[]> {
    const listed = yield* this.#listed();
    const counted: CountedSegment[] = [];
    for (const [i, { firstOffset }] of listed.entries()) {
      const nextOffset = listed[i + 1]?.firstOffset;
      if (nextOffset === undefined) counted.push(yield* this.#last(listed[i]));
      else if (nextOffset > from) {
        const { storage, dir } = this.place;
        const path = segmentPath(dir, firstOffset, "log");
        const byteLength = (yield* sizeAt(storage, path)) ?? 0;
        counted.push({ firstOffset, nextOffset, byteLength });
      }
    }
    return counted;
  }

  *#listed(): Task<ListedSegment[]> {
    const { storage, dir } = this.place;
    const listing = yield* listDirectory(storage, dir);
    const meta = yield* readMeta(this.place);
    return classifySegments(dir, listing, meta?.firstOffset).readable;
  }

  /** The last segment, as far as it holds whole batches. */
  *#last(segment: ListedSegment | undefined): Task<CountedSegment> {
    const firstOffset = segment?.firstOffset ?? 0;
    if (segment === undefined) {
      return { firstOffset, nextOffset: firstOffset, byteLength: 0 };
    }
    const { storage, dir } = this.place;
    const files = yield* openSegment(storage, dir, firstOffset, {
      write: false,
    });
    try {
      const data = yield* dataOf(files, this.place, firstOffset);
      const { nextOffset, dataBytes } = data;
      return { firstOffset, nextOffset, byteLength: dataBytes };
    } finally {
      yield* closeSegment(files);
    }
  }
}
