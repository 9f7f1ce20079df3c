import { checkInteger, microsOf, type Time } from "../../base/mod.ts";
import type { MessageBatch } from "./message_batch.ts";

/** Where reading begins. */
export interface ReadStart {
  /** The first offset to read. Default: the first of the log. */
  from?: number;
  /** Skip messages appended before this time. Default: none. */
  since?: Time;
}

/** A {@linkcode ReadStart} with its time in microseconds since the Unix epoch. */
export interface CheckedStart extends ReadStart {
  since?: number;
}

/** What to read, and how much. */
export interface ReadOptions extends ReadStart {
  /** Read at most this many messages. Default: all. */
  count?: number;
  /**
   * Stop before the message that would exceed this many bytes, frame headers and user headers
   * included. The first message is always read.
   *
   * @default {no limit}
   */
  maxBytes?: number;
  /**
   * The most to read ahead, in bytes. A reader reads ahead as far as that helps, at most a quarter
   * of the pool's limit. It does not if the pool has no room, and never in a sync version.
   *
   * @default {8 MiB}
   */
  readAheadBytes?: number;
}

const NUMBERS = ["from", "count", "maxBytes", "readAheadBytes"] as const;

/** Checked {@linkcode ReadOptions}. */
export type CheckedReadOptions = Omit<ReadOptions, "since"> & CheckedStart;

/** Cuts batches to the requested messages. */
export class Selection {
  /** The request. */
  readonly options: CheckedReadOptions;
  /** Messages below it are not wanted. */
  #from: number;
  /** Messages before this time are not wanted, until one is. */
  #since: number;
  #count: number;
  #bytes: number;
  #isFirst = true;

  /** @throws {RangeError} If an option is out of its range. */
  constructor(given: ReadOptions) {
    for (const name of NUMBERS) {
      const value = given[name];
      if (value !== undefined) checkInteger("read", name, value);
    }
    const { since, ...others } = given;
    const options: CheckedReadOptions = this.options = since === undefined
      ? others
      : { ...others, since: microsOf("read", "since", since) };
    this.#from = options.from ?? 0;
    this.#since = options.since ?? 0;
    this.#count = options.count ?? Infinity;
    this.#bytes = options.maxBytes ?? Infinity;
  }

  /** Whether nothing more is wanted. */
  get isOver(): boolean {
    return this.#count <= 0 || this.#bytes <= 0 && !this.#isFirst;
  }

  /**
   * Returns the wanted messages of the batch. If there are none, it drops the batch and returns
   * `undefined`. A selected message is not wanted again.
   */
  select(batch: MessageBatch): MessageBatch | undefined {
    const first = this.#first(batch);
    const end = first + this.#wanted(batch, first);
    if (end === first) {
      // A message that does not fit ends the reading, even if a later one would fit.
      if (first < batch.count) this.#bytes = 0;
      batch.drop();
      return undefined;
    }
    this.#isFirst = false;
    this.#since = 0;
    this.#from = batch.firstOffset + end;
    this.#count -= end - first;
    this.#bytes -= batch.bytesBetween(first, end);
    if (end < batch.count) this.#bytes = 0;
    return end - first === batch.count ? batch : batch.narrow(first, end);
  }

  /** Returns the number of the first message that is not before the start. */
  #first(batch: MessageBatch): number {
    const first = Math.max(0, this.#from - batch.firstOffset);
    if (this.#since === 0 || first >= batch.count) {
      return Math.min(first, batch.count);
    }
    return Math.max(first, batch.firstSince(this.#since));
  }

  /** Returns the number of wanted messages of the batch, from `first`. */
  #wanted(batch: MessageBatch, first: number): number {
    const most = Math.min(batch.count - first, this.#count);
    if (batch.bytesBetween(first, first + most) <= this.#bytes) return most;
    let low = 0;
    let high = most;
    while (low + 1 < high) {
      const middle = (low + high) >> 1;
      if (batch.bytesBetween(first, first + middle) <= this.#bytes) {
        low = middle;
      } else high = middle;
    }
    return this.#isFirst ? Math.max(low, 1) : low;
  }
}
