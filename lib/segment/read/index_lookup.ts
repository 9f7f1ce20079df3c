import type { Task } from "../../base/mod.ts";
import {
  BATCH_HEADER_BYTES,
  FRAME_HEADER_BYTES,
  INDEX_ENTRY_BYTES,
  type IndexEntry,
  isPlausibleEntry,
  isSafeEntry,
  readIndexEntry,
} from "../../codec/mod.ts";
import { acquire, type PooledBuffer } from "../../pool/mod.ts";
import { roundDown, roundUp } from "../layout.ts";
import type { SegmentFiles } from "../segment_state.ts";

/** Bytes that a search reads at a time. Its last steps hit the same block. */
const SEARCH_BYTES = 4096;

/** Bytes that reading all entries reads at a time: what is added to align them fits 128 KiB. */
const SWEEP_BYTES = 120 * 1024;

/** An entry and its number in the index. */
export interface NumberedEntry {
  /** The entry. */
  entry: IndexEntry;
  /** Number of entries before it. */
  number: number;
}

/**
 * Looks up entries of an `.index` file, a block at a time.
 *
 * An entry may be wrong, so a reader must check that the batch is there
 * (`docs/format.md#index-seek`).
 */
export class IndexLookup implements Disposable {
  readonly #segment: Omit<SegmentFiles, "log">;
  readonly #buffer: PooledBuffer;
  #count: number;
  /** Where the block begins in the file. */
  #position = Infinity;
  #valid = 0;

  private constructor(
    segment: Omit<SegmentFiles, "log">,
    size: number,
    buffer: PooledBuffer,
  ) {
    this.#segment = segment;
    this.#count = Math.floor(size / INDEX_ENTRY_BYTES);
    this.#buffer = buffer;
  }

  /**
   * Opens the index of a segment.
   *
   * @param blockBytes Bytes that are read at a time.
   */
  static *open(
    segment: Omit<SegmentFiles, "log">,
    blockBytes: number = SEARCH_BYTES,
  ): Task<IndexLookup> {
    const { index, pool } = segment;
    const unit = index.capabilities.readOffsetAlignment;
    const size = yield* index.size();
    const buffer = yield* acquire(pool, roundUp(blockBytes + unit, unit));
    return new IndexLookup(segment, size, buffer);
  }

  /** Number of entries in the file, plausible or not; fewer if its writer cuts it meanwhile. */
  get count(): number {
    return this.#count;
  }

  /**
   * Returns entry `i`; `undefined` if there is none, or if it cannot be an entry of this segment.
   */
  *entry(i: number): Task<IndexEntry | undefined> {
    const entry = yield* this.read(i);
    return entry && this.#isPossible(entry, i) ? entry : undefined;
  }

  /**
   * Returns entry `i` as it is; `undefined` if the file ends before it, or if its fields are no
   * safe integers.
   */
  *read(i: number): Task<IndexEntry | undefined> {
    if (i < 0 || i >= this.#count) return undefined;
    const at = i * INDEX_ENTRY_BYTES;
    const isHere = at >= this.#position &&
      at + INDEX_ENTRY_BYTES <= this.#position + this.#buffer.length;
    if (!isHere) yield* this.#load(Math.max(0, at - SEARCH_BYTES / 2));
    const start = at - this.#position;
    if (start + INDEX_ENTRY_BYTES > this.#valid) return undefined;
    const bytes = this.#buffer.bytes.subarray(start, start + INDEX_ENTRY_BYTES);
    const entry = readIndexEntry(bytes, 0);
    return isSafeEntry(entry) ? entry : undefined;
  }

  /**
   * Returns the last plausible entry; `undefined` if there is none. All entries before it are
   * plausible (`docs/format.md#index-plausible`).
   *
   * @param visit Called with each of them, in their order.
   */
  *lastPlausible(
    visit: (entry: IndexEntry) => void = () => {},
  ): Task<NumberedEntry | undefined> {
    let last: NumberedEntry | undefined;
    const total = this.count * INDEX_ENTRY_BYTES;
    if (total === 0) return undefined;
    const { index, pool } = this.#segment;
    const unit = index.capabilities.readOffsetAlignment;
    const bytes = Math.min(SWEEP_BYTES, total + unit) + INDEX_ENTRY_BYTES;
    using buffer = yield* acquire(pool, roundUp(bytes, unit));
    for (let number = 0; number < this.count;) {
      const first = number;
      const at = first * INDEX_ENTRY_BYTES;
      const start = roundDown(at, unit);
      // In place: most indexes are one read, and what reads the log next need not wait for a turn.
      const read = yield* index.readNow(buffer, start);
      const end = Math.floor((start + read) / INDEX_ENTRY_BYTES);
      if (end <= first) return last;
      const entries = buffer.bytes.subarray(at - start);
      for (; number < Math.min(end, this.#count); number++) {
        const entry = readIndexEntry(entries, number - first);
        const isPlausible = isSafeEntry(entry) &&
          this.#isPossible(entry, number) &&
          (last === undefined || isPlausibleEntry(entry, last.entry));
        if (!isPlausible) return last;
        visit(entry);
        last = { entry, number };
      }
    }
    return last;
  }

  /** Finds the last entry that passes a test, by halving. All entries before it must pass, too. */
  *findLast(
    test: (entry: IndexEntry) => boolean,
  ): Task<NumberedEntry | undefined> {
    let found: NumberedEntry | undefined;
    let low = 0;
    let high = this.count;
    while (low < high) {
      const number = (low + high) >>> 1;
      const entry = yield* this.entry(number);
      if (entry !== undefined && test(entry)) {
        found = { entry, number };
        low = number + 1;
      } else high = number;
    }
    return found;
  }

  /** Gives the block back. */
  [Symbol.dispose](): void {
    this.#buffer.drop();
  }

  *#load(from: number): Task<void> {
    const { index } = this.#segment;
    const start = roundDown(from, index.capabilities.readOffsetAlignment);
    this.#position = Infinity;
    this.#valid = yield* index.read(this.#buffer, start);
    this.#position = start;
    if (this.#valid === this.#buffer.length) return;
    const end = Math.floor((start + this.#valid) / INDEX_ENTRY_BYTES);
    this.#count = Math.min(this.#count, end);
  }

  /**
   * Whether a safe entry `i` can be true by itself, given that there is a batch for each entry
   * before it.
   *
   * Zeros can only be the first entry.
   */
  #isPossible(entry: IndexEntry, i: number): boolean {
    const { offset, position } = entry;
    const messages = offset - this.#segment.firstOffset;
    if (messages < i) return false;
    if (messages === 0) return position === 0;
    return position >=
      messages * FRAME_HEADER_BYTES + Math.max(1, i) * BATCH_HEADER_BYTES;
  }
}
