import type { Task } from "../base/mod.ts";
import {
  INDEX_ENTRY_BYTES,
  type IndexEntry,
  readIndexEntry,
} from "../codec/mod.ts";
import type { BufferPool, PooledBuffer } from "../pool/mod.ts";
import type { TaskFile } from "../storage/mod.ts";
import { roundDown, roundUp } from "./layout.ts";

/** Bytes that one look into an index reads: a search comes back to the same block at its end. */
const BLOCK_BYTES = 4096;

/** Looks entries of an `.index` file up, a block at a time. */
export class IndexLookup implements Disposable {
  readonly #file: TaskFile;
  readonly #buffer: PooledBuffer;
  #position = -1;
  #valid = 0;

  constructor(file: TaskFile, pool: BufferPool) {
    this.#file = file;
    const unit = file.capabilities.readOffsetAlignment;
    this.#buffer = pool.acquireSync(roundUp(BLOCK_BYTES, unit));
  }

  /** Entry `i`; `undefined` behind the end of the file, and for an entry that cannot be one. */
  *entry(i: number): Task<IndexEntry | undefined> {
    const at = i * INDEX_ENTRY_BYTES;
    const start = roundDown(at, this.#buffer.length);
    if (start !== this.#position) {
      this.#position = -1;
      this.#valid = yield* this.#file.read(this.#buffer, start);
      this.#position = start;
    }
    if (at - start + INDEX_ENTRY_BYTES > this.#valid) return undefined;
    const { bytes } = this.#buffer;
    // A time that is no number here is no time: the entry is damaged, which must not end a search.
    if (bytes[at - start + 15]! > 0 || bytes[at - start + 14]! > 0x1f) {
      return undefined;
    }
    return readIndexEntry(bytes, (at - start) / INDEX_ENTRY_BYTES);
  }

  /**
   * The first `i` in `[0, count)` for which `test` answers `false`, or `count`; `test` must answer `true` below it. Missing entries count as `false`.
   *
   * @param guess Where it may be: a search that begins near its end reads two to five blocks, where halving a segment's index takes a dozen.
   */
  *partitionPoint(
    count: number,
    test: (entry: IndexEntry, i: number) => boolean,
    guess: number = Math.floor(count / 2),
  ): Task<number> {
    let low = 0;
    let high = count;
    let at = Math.min(guess, count - 1);
    let stride = BLOCK_BYTES / INDEX_ENTRY_BYTES;
    while (low < high) {
      const entry = yield* this.entry(at);
      const below = entry !== undefined && test(entry, at);
      if (below) low = at + 1;
      else high = at;
      // Beside the guess in strides that double, until halves are shorter.
      const middle = low + Math.floor((high - low) / 2);
      at = below
        ? Math.min(at + stride, middle)
        : Math.max(at - stride, middle);
      stride *= 2;
    }
    return low;
  }

  /** Gives the block back. */
  [Symbol.dispose](): void {
    this.#buffer.drop();
  }
}

/** Whether an entry can be entry `i`: an entry of zeros was never written. */
export function isPlausible(entry: IndexEntry, i: number): boolean {
  return entry.relativeOffset === i && entry.position > 0;
}
