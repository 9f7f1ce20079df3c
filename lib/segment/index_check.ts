import type { Task } from "../base/mod.ts";
import {
  INDEX_ENTRY_BYTES,
  type IndexEntry,
  readIndexEntry,
} from "../codec/mod.ts";
import { acquire, type BufferPool, type PooledBuffer } from "../pool/mod.ts";
import type { TaskFile } from "../storage/mod.ts";
import { roundDown, roundUp } from "./layout.ts";
import type { MessageBatch } from "./message_batch.ts";

/** Bytes of the index that are read at a time. */
const BLOCK_BYTES = 256 * 1024;

/** Neighbouring entries that are not what the log says. */
export interface WrongEntries {
  /** The number of the first. */
  first: number;
  /** How many. */
  count: number;
}

/** What a check must know of the segment. */
export interface IndexCheckOptions {
  /**
   * Whether a writer has or left the segment open: entries of zeros are room for entries to come.
   */
  isOpen: boolean;
}

/**
 * Checks an `.index` against the batches of its log, in their order: every entry must name one of
 * them, and entries must ascend. Any density is right.
 *
 * A writer that rolls cuts the room after its last entry: what is cut during a check is no entry.
 *
 * Bytes between two compared batches are damaged: entries that name them are not judged.
 */
export class IndexCheck implements Disposable {
  readonly #index: TaskFile;
  /** Entries of the file, fewer if its writer cuts it meanwhile. */
  #count: number;
  readonly #isOpen: boolean;
  readonly #buffer: PooledBuffer;
  #position = -1;
  #valid = 0;
  /** The number of the next entry. */
  #next = 0;
  /** Entries that name a byte before this one are wrong. */
  #end = 0;
  /** No entry names a batch that begins before this byte. */
  #quietUntil = 0;

  private constructor(
    index: TaskFile,
    size: number,
    buffer: PooledBuffer,
    { isOpen }: IndexCheckOptions,
  ) {
    this.#index = index;
    this.#count = Math.floor(size / INDEX_ENTRY_BYTES);
    this.#buffer = buffer;
    this.#isOpen = isOpen;
  }

  /** Starts a check at the first entry. */
  static *open(
    index: TaskFile,
    pool: BufferPool,
    options: IndexCheckOptions,
  ): Task<IndexCheck> {
    const unit = index.capabilities.readOffsetAlignment;
    const size = yield* index.size();
    const buffer = yield* acquire(pool, roundUp(BLOCK_BYTES + unit, unit));
    return new IndexCheck(index, size, buffer, options);
  }

  /** Returns the entries up to the end of these messages that are wrong, in runs. */
  *compare(messages: MessageBatch): Task<WrongEntries[]> {
    const wrong: WrongEntries[] = [];
    for (let k = 0; k < messages.batchCount; k++) {
      const batch = messages.batch(k);
      if (batch.position < this.#quietUntil) continue;
      if (k > 0) this.#end = batch.position;
      yield* this.#compareBatch(batch, wrong);
    }
    this.#end = messages.endPosition;
    return wrong;
  }

  /** Returns the entries that name a byte at or after `end`, after all batches were compared. */
  *rest(end: number): Task<WrongEntries[]> {
    const wrong: WrongEntries[] = [];
    for (; this.#next < this.#count; this.#next++) {
      const entry = yield* this.#entry(this.#next);
      if (this.#isRoom(entry)) continue;
      const isDamaged = entry !== undefined && entry.position >= this.#end &&
        entry.position < end;
      if (!isDamaged) this.#report(wrong);
    }
    return wrong;
  }

  /** Compares the entries up to the one that may name a batch, and takes them. */
  *#compareBatch(batch: IndexEntry, wrong: WrongEntries[]): Task<void> {
    for (; this.#next < this.#count; this.#next++) {
      const entry = yield* this.#entry(this.#next);
      if (this.#isRoom(entry)) continue;
      if (entry === undefined) {
        this.#report(wrong);
      } else if (entry.position > batch.position) {
        // It may name a later batch, unless the entry after it names this one.
        const after = yield* this.#entry(this.#next + 1);
        if (after === undefined || !isSame(after, batch)) {
          this.#quietUntil = Math.min(
            entry.position,
            after?.position ?? Infinity,
          );
          return;
        }
        this.#report(wrong);
      } else if (isSame(entry, batch)) {
        this.#next++;
        this.#end = batch.position + 1;
        return;
      } else if (
        entry.position < this.#end || entry.position === batch.position
      ) {
        this.#report(wrong);
      }
    }
  }

  /** Adds the next entry to the last run, or begins one, unless the file was cut meanwhile. */
  #report(wrong: WrongEntries[]): void {
    if (this.#next >= this.#count) return;
    const last = wrong.at(-1);
    if (last !== undefined && last.first + last.count === this.#next) {
      last.count++;
    } else wrong.push({ first: this.#next, count: 1 });
  }

  #isRoom(entry: IndexEntry | undefined): boolean {
    return this.#isOpen && entry !== undefined && entry.offset === 0 &&
      entry.timestamp === 0 &&
      entry.position === 0;
  }

  /**
   * Returns entry `i`; `undefined` if the file ends before it, or if its fields are no safe
   * integers.
   */
  *#entry(i: number): Task<IndexEntry | undefined> {
    if (i >= this.#count) return undefined;
    const at = i * INDEX_ENTRY_BYTES;
    if (
      this.#position < 0 ||
      at + INDEX_ENTRY_BYTES > this.#position + this.#buffer.length
    ) {
      const start = roundDown(at, this.#index.capabilities.readOffsetAlignment);
      this.#position = -1;
      this.#valid = yield* this.#index.read(this.#buffer, start);
      this.#position = start;
      if (this.#valid < this.#buffer.length) {
        const end = Math.floor((start + this.#valid) / INDEX_ENTRY_BYTES);
        this.#count = Math.min(this.#count, end);
      }
    }
    const start = at - this.#position;
    if (start < 0 || start + INDEX_ENTRY_BYTES > this.#valid) return undefined;
    const bytes = this.#buffer.bytes.subarray(start, start + INDEX_ENTRY_BYTES);
    const entry = readIndexEntry(bytes, 0);
    const isSafe = [entry.offset, entry.timestamp, entry.position].every(
      Number.isSafeInteger,
    );
    return isSafe ? entry : undefined;
  }

  /** Gives the block back. */
  [Symbol.dispose](): void {
    this.#buffer.drop();
  }
}

function isSame(entry: IndexEntry, batch: IndexEntry): boolean {
  return entry.position === batch.position && entry.offset === batch.offset &&
    entry.timestamp === batch.timestamp;
}
