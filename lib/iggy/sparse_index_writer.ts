import {
  INDEX_ENTRY_BYTES,
  type IndexEntry,
  writeIndexEntry,
} from "../codec/mod.ts";
import { INDEX_INTERVAL_BYTES } from "../segment/mod.ts";
import type { Output } from "./output.ts";

/** Writes the sparse index of the batches that it is shown (`docs/format.md#index-density`). */
export class SparseIndexWriter {
  readonly #output: Output;
  /** The first batch has an entry. */
  #lastPosition = -INDEX_INTERVAL_BYTES;

  /** Writes to a new file. */
  constructor(output: Output) {
    this.#output = output;
  }

  /** Adds the entry for a batch, if it is far enough from the last one. */
  add(entry: IndexEntry): void {
    if (entry.position - this.#lastPosition < INDEX_INTERVAL_BYTES) return;
    this.#lastPosition = entry.position;
    writeIndexEntry(this.#output.room, 0, entry);
    this.#output.advance(INDEX_ENTRY_BYTES);
  }
}
