import type { ReadStart } from "./segment_pass.ts";
import { MAX_OFFSET } from "./layout.ts";
import type { MessageBatch } from "./message_batch.ts";

/** What to read, and how much of it. */
export interface ReadOptions extends ReadStart {
  /** Read at most this many messages. @default {all} */
  count?: number;
  /** Stop before the message that would exceed this many bytes, headers included; the first one is read whatever its size. @default {no limit} */
  maxBytes?: number;
  /** Bytes of blocks that are read ahead at most, beside the one that is needed: as many as the reader turns out to need, at most a quarter of the pool's limit, none where the pool has no room, and none by readers that block. @default {8 MiB} */
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

  /** As much of the batch as is wanted; `undefined`, and the batch dropped, if that is nothing. */
  apply(batch: MessageBatch): MessageBatch | undefined {
    let wanted = Math.min(batch.count, this.#count);
    const { starts } = batch;
    while (
      wanted > (this.#first ? 1 : 0) &&
      starts[wanted]! - starts[0]! > this.#bytes
    ) wanted--;
    if (wanted === 0) {
      this.#bytes = 0;
      batch.drop();
      return undefined;
    }
    this.#first = false;
    this.#count -= wanted;
    this.#bytes -= starts[wanted]! - starts[0]!;
    // A message that did not fit ends the reading, also if a later one would.
    if (wanted < batch.count) this.#bytes = 0;
    return wanted === batch.count ? batch : batch.narrow(0, wanted);
  }
}
