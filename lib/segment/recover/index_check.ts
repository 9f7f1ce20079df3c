import type { Task } from "../../base/mod.ts";
import type { IndexEntry } from "../../codec/mod.ts";
import type { BufferPool } from "../../pool/mod.ts";
import type { TaskFile } from "../../storage/mod.ts";
import { IndexLookup } from "../read/index_lookup.ts";
import type { MessageBatch } from "../read/message_batch.ts";

/** Bytes of the index that are read at a time. */
const BLOCK_BYTES = 256 * 1024;

/** Neighbouring entries that are not what the log says. */
export interface WrongEntries {
  /** The number of the first. */
  first: number;
  /** How many. */
  count: number;
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
  readonly #lookup: IndexLookup;
  readonly #isOpen: boolean;
  /** The number of the next entry. */
  #next = 0;
  /** Entries that name a byte before this one are wrong. */
  #end = 0;
  /** No entry names a batch that begins before this byte. */
  #quietUntil = 0;

  private constructor(lookup: IndexLookup, isOpen: boolean) {
    this.#lookup = lookup;
    this.#isOpen = isOpen;
  }

  /**
   * Starts a check at the first entry.
   *
   * @param isOpen Whether a writer has or left the segment open: entries of zeros are room for
   * entries to come.
   */
  static *open(
    index: TaskFile,
    pool: BufferPool,
    { isOpen }: { isOpen: boolean },
  ): Task<IndexCheck> {
    // Entries are compared with batches only, so the offset of the segment does not matter.
    const segment = { index, pool, firstOffset: 0 };
    const lookup = yield* IndexLookup.open(segment, BLOCK_BYTES);
    return new IndexCheck(lookup, isOpen);
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
    for (; this.#next < this.#lookup.count; this.#next++) {
      const entry = yield* this.#lookup.read(this.#next);
      if (this.#isRoom(entry)) continue;
      const isDamaged = entry !== undefined && entry.position >= this.#end &&
        entry.position < end;
      if (!isDamaged) this.#report(wrong);
    }
    return wrong;
  }

  /** Compares the entries up to the one that may name a batch, and takes them. */
  *#compareBatch(batch: IndexEntry, wrong: WrongEntries[]): Task<void> {
    for (; this.#next < this.#lookup.count; this.#next++) {
      const entry = yield* this.#lookup.read(this.#next);
      if (this.#isRoom(entry)) continue;
      if (entry === undefined) {
        this.#report(wrong);
      } else if (entry.position > batch.position) {
        // It may name a later batch, unless the entry after it names this one.
        const after = yield* this.#lookup.read(this.#next + 1);
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
    if (this.#next >= this.#lookup.count) return;
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

  /** Gives the block back. */
  [Symbol.dispose](): void {
    this.#lookup[Symbol.dispose]();
  }
}

function isSame(entry: IndexEntry, batch: IndexEntry): boolean {
  return entry.position === batch.position && entry.offset === batch.offset &&
    entry.timestamp === batch.timestamp;
}
