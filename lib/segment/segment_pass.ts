import type { Task } from "../base/mod.ts";
import type { BufferPool } from "../pool/mod.ts";
import { INDEX_ENTRY_BYTES } from "../codec/mod.ts";
import type { SegmentTaskFiles } from "./active_segment.ts";
import { READ_AHEAD_BYTES } from "./block_reader.ts";
import { corruption, Cursor, type CursorStop } from "./cursor.ts";
import { IndexLookup, isPlausible } from "./index_lookup.ts";
import { MessageBatch } from "./message_batch.ts";

/** Where reading begins. */
export interface ReadStart {
  /** The first offset to read. @default {the first of the log} */
  from?: number;
  /** Skip messages appended before this time, in microseconds since the Unix epoch. @default {0} */
  since?: number;
}

/** What one pass over a segment needs. */
export interface SegmentPassOptions extends SegmentTaskFiles {
  /** Where blocks come from. */
  pool: BufferPool;
  /** The offset of the segment's first message. */
  baseOffset: number;
  /** Where to begin. */
  start: ReadStart;
  /** Bytes that may be read ahead. */
  readAheadBytes?: number | undefined;
  /** Ends the wait for memory. */
  signal?: AbortSignal | undefined;
  /** Up to which byte the log may be read; asked before each read. `undefined`: up to its size, whatever that holds. */
  bound: (() => number) | undefined;
  /** A place where a message begins, or will, if one is known. */
  known?: KnownPlace | undefined;
}

/** Where a message begins, as the writer of a segment knows. */
export interface KnownPlace {
  /** Its offset. */
  offset: number;
  /** Where it begins in the `.log`, in bytes. */
  position: number;
}

/**
 * One pass over a segment, in batches.
 *
 * With a bound, everything below it was written: anything but whole, valid messages is corruption. Without one, the end of the data is where messages end, and a bad message is reported as a stop, for the caller to judge.
 */
export class SegmentPass {
  readonly #options: SegmentPassOptions;
  #cursor: Cursor | undefined;
  /** Places to begin at, the best last; all but the first are what the index says, which reading proves or not. */
  #places: Place[] = [];

  constructor(options: SegmentPassOptions) {
    this.#options = options;
  }

  /** The offset of the next message that would be read; `undefined` before the first call of {@linkcode SegmentPass.next}. */
  get offset(): number | undefined {
    return this.#cursor?.offset;
  }

  /**
   * The next batch, which is the caller's; or why there is none.
   *
   * @throws {CorruptSegment} If the segment is damaged, as far as it is bounded.
   */
  *next(): Task<MessageBatch | CursorStop> {
    const { log, bound, start } = this.#options;
    if (this.#cursor === undefined) {
      this.#places = yield* this.#seek();
      this.#cursor = this.#cursorAt(this.#places.at(-1)!);
    }
    const { from = 0, since = 0 } = start;
    for (;;) {
      const end = bound === undefined ? yield* log.size() : bound();
      const next = yield* this.#cursor.next(end);
      const place = this.#places.pop();
      const doubtful = this.#places.at(-1);
      if (!(next instanceof MessageBatch)) {
        if (doubtful !== undefined) {
          yield* this.#moveTo(doubtful);
          continue;
        }
        // The file may also end before the bytes that it held.
        const early = next.reason !== "end" || next.position < end;
        if (bound !== undefined && early) throw corruption(log.path, next);
        return next;
      }
      this.#places = [];
      let first = Math.min(Math.max(0, from - next.firstOffset), next.count);
      while (first < next.count && next.timestamp(first) < since) first++;
      if (place?.unwanted && first === 0) {
        // Messages before it may be wanted too: the index was wrong.
        next.drop();
        yield* this.#moveTo(BEGINNING);
        continue;
      }
      if (first === 0) return next;
      if (first < next.count) return next.narrow(first, next.count);
      next.drop();
    }
  }

  /** Gives memory back, and waits for the reads in flight; batches that were given stay. */
  *close(): Task<void> {
    if (this.#cursor !== undefined) yield* this.#cursor.close();
  }

  *#moveTo(place: Place): Task<void> {
    yield* this.close();
    this.#cursor = this.#cursorAt(place);
  }

  #cursorAt(place: Place): Cursor {
    const { log, pool, baseOffset, readAheadBytes, signal } = this.#options;
    const offset = baseOffset + place.count;
    return new Cursor(log, pool, place.position, offset, {
      signal,
      readAheadBytes: readAheadBytes ?? READ_AHEAD_BYTES,
    });
  }

  /** The beginning, and what the index says: the last message that is not wanted, and the first one, if its offset tells that it is. */
  *#seek(): Task<Place[]> {
    const { index, pool, baseOffset, start } = this.#options;
    const { from = 0, since = 0 } = start;
    const places = [BEGINNING];
    const before = from - baseOffset;
    if (before <= 0 && since <= 0) return places;
    const { known } = this.#options;
    if (known !== undefined && from >= known.offset) {
      const { offset, position } = known;
      return [{ count: offset - baseOffset, position, unwanted: false }];
    }
    const size = yield* index.size();
    using lookup = new IndexLookup(index, pool);
    const skip = yield* lookup.partitionPoint(
      Math.floor(size / INDEX_ENTRY_BYTES),
      (entry, i) =>
        isPlausible(entry, i) && (i < before || entry.timestamp < since),
    );
    for (const count of [skip - 1, skip]) {
      const unwanted = count < skip;
      if (count <= 0 || !unwanted && skip !== before) continue;
      const entry = yield* lookup.entry(count - 1);
      if (entry === undefined) continue;
      places.push({ count, position: entry.position, unwanted });
    }
    return places;
  }
}

/** Where a message begins. */
interface Place {
  /** Messages before it in the segment. */
  count: number;
  /** Where it is, in bytes. */
  position: number;
  /** Whether it is one that is not wanted. */
  unwanted: boolean;
}

const BEGINNING: Place = { count: 0, position: 0, unwanted: false };
