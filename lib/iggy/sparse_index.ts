import type { Task } from "../base/mod.ts";
import {
  batchBaseOffsetAt,
  batchTimestampAt,
  INDEX_ENTRY_BYTES,
  type IndexEntry,
  isPlausibleEntry,
  readIndexEntry,
  writeIndexEntry,
} from "../codec/mod.ts";
import { INDEX_INTERVAL_BYTES } from "../segment/mod.ts";
import type { BatchReader } from "./batch_reader.ts";
import { corrupt } from "./damage.ts";
import type { Output } from "./output.ts";
import type { FileWindow } from "./file_window.ts";

/** Compares a sparse index with the batches of its segment. */
export class SparseIndexCheck {
  readonly #window: FileWindow;
  readonly #path: string;
  readonly #advice: string | undefined;
  #before: IndexEntry | undefined;

  /** Begins at the first entry of the file at `path`. */
  constructor(window: FileWindow, path: string, advice?: string) {
    this.#window = window;
    this.#path = path;
    this.#advice = advice;
  }

  /**
   * Compares the entries for the batches that a reader has in its window.
   *
   * @throws {CorruptSegmentError} If an entry does not name one of them.
   */
  *check(reader: BatchReader): Task<void> {
    const { scan, window } = reader;
    const base = window.position - window.start;
    for (;;) {
      const entry = yield* this.#peek();
      if (entry === undefined || entry.position >= base + scan.end) return;
      const { bytes } = window;
      const at = entry.position - base;
      const isBatch = hasBatchAt(scan.batchStarts, scan.batchCount, at);
      if (
        !isBatch || !isPlausibleEntry(entry, this.#before) ||
        batchBaseOffsetAt(bytes, at) !== entry.offset ||
        batchTimestampAt(bytes, at) !== entry.timestamp
      ) {
        throw this.#damage("the entry does not agree with the log", entry);
      }
      this.#before = entry;
      this.#window.consumeTo(this.#window.start + INDEX_ENTRY_BYTES);
    }
  }

  /** Whether a plausible entry vouches for a batch after the last one that was there. */
  *vouchesForMore(): Task<boolean> {
    const entry = yield* this.#peek();
    return entry !== undefined && isPlausibleEntry(entry, this.#before);
  }

  /**
   * Makes sure that no entry is left.
   *
   * @throws {CorruptSegmentError} If there is one.
   */
  *finish(): Task<void> {
    const entry = yield* this.#peek();
    if (entry === undefined) return;
    throw this.#damage("the entry does not agree with the log", entry);
  }

  /** Returns the next entry; `undefined` after the last one. */
  *#peek(): Task<IndexEntry | undefined> {
    const window = this.#window;
    if (window.end - window.start < INDEX_ENTRY_BYTES && !window.isEnd) {
      yield* window.fill(INDEX_ENTRY_BYTES);
    }
    const rest = window.end - window.start;
    if (rest === 0) return undefined;
    if (rest < INDEX_ENTRY_BYTES) {
      throw this.#damage("the last entry is cut off", this.#before);
    }
    return readIndexEntry(window.bytes.subarray(window.start), 0);
  }

  #damage(text: string, entry: IndexEntry | undefined) {
    const place = {
      path: this.#path,
      position: this.#window.position,
      offset: entry?.offset ?? 0,
    };
    return corrupt(["index", text], place, this.#advice);
  }
}

/** Searches sorted positions. */
function hasBatchAt(starts: Uint32Array, count: number, at: number): boolean {
  let [low, high] = [0, count];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (starts[middle]! < at) low = middle + 1;
    else high = middle;
  }
  return low < count && starts[low] === at;
}

/** Makes a sparse index of the batches that it is shown. */
export class SparseIndexWriter {
  readonly #output: Output;
  #last: number | undefined;

  /** Writes to a new file. */
  constructor(output: Output) {
    this.#output = output;
  }

  /** Adds an entry for the batch at `at` in the bytes, if it is far enough from the last one. */
  add(bytes: Uint8Array, at: number, position: number): void {
    if (
      this.#last !== undefined && position - this.#last < INDEX_INTERVAL_BYTES
    ) {
      return;
    }
    this.#last = position;
    writeIndexEntry(this.#output.room, 0, {
      offset: batchBaseOffsetAt(bytes, at),
      timestamp: batchTimestampAt(bytes, at),
      position,
    });
    this.#output.advance(INDEX_ENTRY_BYTES);
  }
}
