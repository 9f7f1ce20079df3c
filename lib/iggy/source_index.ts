import type { Task } from "../base/mod.ts";
import { INDEX_ENTRY_BYTES } from "../codec/mod.ts";
import {
  IndexCheck,
  IndexLookup,
  type MessageBatch,
  type WrongEntries,
} from "../segment/mod.ts";
import type { TaskFile } from "../storage/mod.ts";
import { corrupt } from "./damage.ts";
import type { Place } from "./files.ts";

/** Compares the sparse index of a source with the batches of its segment. */
export class SourceIndex implements Disposable {
  readonly #file: TaskFile;
  readonly #check: IndexCheck;
  readonly #firstOffset: number;
  readonly #advice: string | undefined;

  private constructor(
    file: TaskFile,
    check: IndexCheck,
    firstOffset: number,
    advice: string | undefined,
  ) {
    this.#file = file;
    this.#check = check;
    this.#firstOffset = firstOffset;
    this.#advice = advice;
  }

  /**
   * Begins at the first entry.
   *
   * @param advice What to do about an index that is wrong.
   */
  static *open(
    file: TaskFile,
    { pool }: Place,
    firstOffset: number,
    advice: string | undefined,
  ): Task<SourceIndex> {
    const check = yield* IndexCheck.open(file, pool, { isOpen: false });
    return new SourceIndex(file, check, firstOffset, advice);
  }

  /**
   * Compares the entries for the next batches.
   *
   * @throws {CorruptSegmentError} If an entry does not name one of them.
   */
  *compare(batches: MessageBatch): Task<void> {
    this.#refuse(yield* this.#check.compare(batches));
  }

  /** Whether a plausible entry names a batch at `end`, where the valid ones end, or after it. */
  *vouchesFor(end: number, { pool }: Place): Task<boolean> {
    using lookup = yield* IndexLookup.open(this.#file, pool, this.#firstOffset);
    const last = yield* lookup.lastPlausible();
    return last !== undefined && last.entry.position >= end;
  }

  /**
   * Makes sure that no entry is left after those for all batches.
   *
   * @throws {CorruptSegmentError} If there is one, or a part of one.
   */
  *finish(end: number): Task<void> {
    this.#refuse(yield* this.#check.rest(end));
    const size = yield* this.#file.size();
    const rest = size % INDEX_ENTRY_BYTES;
    if (rest > 0) throw this.#damage("the last entry is cut off", size - rest);
  }

  #refuse([wrong]: readonly WrongEntries[]): void {
    if (wrong === undefined) return;
    const position = wrong.first * INDEX_ENTRY_BYTES;
    throw this.#damage("the entry does not agree with the log", position);
  }

  #damage(text: string, position: number): Error {
    const place = {
      path: this.#file.path,
      position,
      offset: this.#firstOffset,
    };
    return corrupt(["index", text], place, this.#advice);
  }

  /** Gives the memory back. */
  [Symbol.dispose](): void {
    this.#check[Symbol.dispose]();
  }
}
