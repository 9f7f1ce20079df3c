import type { ReadStart } from "./segment_pass.ts";
import { MAX_OFFSET } from "./layout.ts";
import type { MessageBatch } from "./message_batch.ts";

/** What to read, and how much of it. */
export interface ReadOptions extends ReadStart {
  /** Read at most this many messages. @default {all} */
  count?: number;
  /**
   * Stop before the message that would exceed this many bytes, with frame headers and user headers.
   * The first one is read whatever its size.
   *
   * @default {no limit}
   */
  maxBytes?: number;
  /**
   * Bytes of blocks that are read ahead at most, beside the one that is needed. A reader reads
   * ahead as far as it turns out to need, at most a quarter of the pool's limit, not at all where
   * the pool has no room, and never if it blocks.
   *
   * @default {8 MiB}
   */
  readAheadBytes?: number;
}

const NUMBERS = [
  "from",
  "since",
  "count",
  "maxBytes",
  "readAheadBytes",
] as const;

/**
 * Checks read options.
 *
 * @throws {RangeError} If one is out of its range.
 */
export function checkReadOptions(options: ReadOptions): void {
  for (const name of NUMBERS) {
    const value = options[name];
    if (value === undefined || Number.isSafeInteger(value) && value >= 0) {
      continue;
    }
    throw new RangeError(
      `Cannot read as '${name}' must be an integer from 0 to ${MAX_OFFSET}: received ${value}`,
    );
  }
}

/** Cuts batches to the count and the bytes that were asked for. */
export class ReadLimit {
  #count: number;
  #bytes: number;
  #first = true;

  constructor(options: ReadOptions) {
    this.#count = options.count ?? Infinity;
    this.#bytes = options.maxBytes ?? Infinity;
  }

  /** Whether nothing more is wanted. */
  get reached(): boolean {
    return this.#count <= 0 || this.#bytes <= 0 && !this.#first;
  }

  /**
   * Returns as much of the batch as is wanted; `undefined`, and the batch dropped, if that is
   * nothing.
   */
  apply(batch: MessageBatch): MessageBatch | undefined {
    const wanted = this.#wanted(batch);
    if (wanted === 0) {
      this.#bytes = 0;
      batch.drop();
      return undefined;
    }
    this.#first = false;
    this.#count -= wanted;
    this.#bytes -= batch.bytesBetween(0, wanted);
    // A message that did not fit ends the reading, also if a later one would.
    if (wanted < batch.count) this.#bytes = 0;
    return wanted === batch.count ? batch : batch.narrow(0, wanted);
  }

  /** Returns how many messages of the batch are wanted. */
  #wanted(batch: MessageBatch): number {
    const most = Math.min(batch.count, this.#count);
    if (batch.bytesBetween(0, most) <= this.#bytes) return most;
    let low = 0;
    let high = most;
    while (low + 1 < high) {
      const middle = (low + high) >> 1;
      if (batch.bytesBetween(0, middle) <= this.#bytes) low = middle;
      else high = middle;
    }
    return this.#first ? Math.max(low, 1) : low;
  }
}
