import type { IndexEntry } from "../codec/mod.ts";
import { INDEX_INTERVAL_BYTES } from "./layout.ts";
import type { MessageBatch } from "./message_batch.ts";

/** Chooses the batches that get an index entry (`docs/format.md#index-density`). */
export class SparseIndex {
  #indexedPosition: number | undefined;

  /**
   * @param indexedPosition Where the last batch with an entry begins; `undefined` if there is none.
   */
  constructor(indexedPosition: number | undefined) {
    this.#indexedPosition = indexedPosition;
  }

  /**
   * Returns the entries for the batches that hold these messages; they follow those of the call
   * before.
   */
  entries(messages: MessageBatch): IndexEntry[] {
    const entries: IndexEntry[] = [];
    for (let k = 0; k < messages.batchCount; k++) {
      const batch = messages.batch(k);
      const before = this.#indexedPosition;
      if (
        before !== undefined && batch.position < before + INDEX_INTERVAL_BYTES
      ) continue;
      this.#indexedPosition = batch.position;
      entries.push(batch);
    }
    return entries;
  }
}
