import { checkInteger } from "../../base/mod.ts";
import { checked, native } from "../../native/mod.ts";
import { checkBytes, MAX_UINT32 } from "../_checks.ts";

/** Why expanding stopped. */
export const EXPAND_STOP = {
  /** The source is used up. */
  END: 0,
  /** The next batch belongs to another segment. */
  LIMIT: 1,
  /** The target or the index has no room for the next batch. */
  FULL: 2,
  /** The messages of the next batch would end above the largest position, 2^32 - 1. */
  POSITION: 3,
} as const;

/**
 * Turns batches into messages with a header each, and entries of their index
 * (`docs/format.md#old-index`), block after block.
 */
export class Expansion {
  readonly #context = new Float64Array(10);

  /** Where the first batch that was not expanded begins in the source. */
  get sourceEnd(): number {
    return this.#context[0]!;
  }

  /** Where the last message ends in the target. */
  get targetEnd(): number {
    return this.#context[1]!;
  }

  /** Number of messages, and of index entries, of the last run. */
  get count(): number {
    return this.#context[5]!;
  }

  /** Why the last run stopped: one of the numbers in {@linkcode EXPAND_STOP}. */
  get stop(): number {
    return this.#context[7]!;
  }

  /** After `FULL`: bytes of the messages of the next batch. */
  get neededBytes(): number {
    return this.#context[8]!;
  }

  /** After `FULL`: number of messages of the next batch. */
  get neededMessages(): number {
    return this.#context[9]!;
  }

  /**
   * Begins a segment.
   *
   * @param limit No batch begins at this position or after it.
   */
  begin(firstOffset: number, limit: number): void {
    const task = "expand batches";
    checkInteger(task, "firstOffset", firstOffset);
    checkInteger(task, "limit", limit, 0, MAX_UINT32);
    this.#context[2] = 0;
    this.#context[3] = firstOffset;
    this.#context[4] = limit;
  }

  /**
   * Writes the messages of whole batches, which a scan has found valid, to `target`, and their
   * entries to `index`, both from the beginning.
   *
   * @param source Batches from `start` to the end.
   */
  run(
    source: Uint8Array<ArrayBuffer>,
    start: number,
    target: Uint8Array<ArrayBuffer>,
    index: Uint8Array<ArrayBuffer>,
  ): void {
    const task = "expand batches";
    checkBytes(task, "source.length", source, start);
    checkBytes(task, "target.length", target);
    checkBytes(task, "index.length", index);
    this.#context[0] = start;
    this.#context[1] = 0;
    const status = native().basalt_legacy_expand(
      source,
      source.length,
      target,
      target.length,
      index,
      index.length,
      this.#context,
    );
    checked(status, "basalt_legacy_expand");
  }
}
