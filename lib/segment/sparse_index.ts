import type { IndexEntry } from "../codec/mod.ts";
import { INDEX_INTERVAL_BYTES } from "./layout.ts";
import type { MessageBatch } from "./read/message_batch.ts";

/** Chooses the batches that get an index entry (`docs/format.md#index-density`). */
export class SparseIndex {
  #last: number | undefined;

  /** @param last Where the last batch with an entry begins; `undefined` if there is none. */
  constructor(last: number | undefined) {
    this.#last = last;
  }

  /** Returns whether the next batch, which begins at `position`, gets an entry. */
  takes(position: number): boolean {
    const last = this.#last;
    if (last !== undefined && position < last + INDEX_INTERVAL_BYTES) {
      return false;
    }
    this.#last = position;
    return true;
  }

  /** Returns the entries for the next batches, which are those of `messages`. */
  entries(messages: MessageBatch): IndexEntry[] {
    const entries: IndexEntry[] = [];
    for (let k = 0; k < messages.batchCount; k++) {
      const batch = messages.batch(k);
      if (this.takes(batch.position)) entries.push(batch);
    }
    return entries;
  }
}
