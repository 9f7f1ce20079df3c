import { checkInteger } from "../base/mod.ts";
import { checked, native } from "../native/mod.ts";
import { checkBytes } from "./_checks.ts";
import { FULL, type StopReason, stopReasonOf } from "./stop_reason.ts";

/** Words of the results for each message: four arrays of the same length. */
const RESULT_WORDS = 4;

// Where the numbers lie in the context of a native call, which reads the first five and writes all.
const END = 0;
const NEXT_OFFSET = 1;
const LAST_TIMESTAMP = 2;
const COUNT = 3;
const BATCH_COUNT = 4;
const STOPPED = 5;
const NEEDED = 6;

/**
 * Checks batches that lie back to back, in one native call for a block, and holds what was found:
 * one object, with its arrays, for many blocks. Only messages of valid batches are found.
 *
 * The header of a batch is checked first, for its length, reserved bytes, count, offset and
 * timestamp; then whether the batch is wholly there; then its frames in their order; then its
 * checksum.
 */
export class BatchScan {
  readonly #allocate: (words: number) => Uint32Array<ArrayBuffer>;
  readonly #context = new Float64Array(7);
  #capacity!: number;
  #results!: Uint32Array<ArrayBuffer>;
  /**
   * Where the frame of each message begins in the bytes. The next run overwrites or replaces the
   * array, as it does those below.
   */
  starts!: Uint32Array<ArrayBuffer>;
  /** Length of each message's payload, in bytes. */
  lengths!: Uint32Array<ArrayBuffer>;
  /** Where the header of each batch begins in the bytes. */
  batchStarts!: Uint32Array<ArrayBuffer>;
  /** Number of each batch's first message in this scan. */
  batchFirsts!: Uint32Array<ArrayBuffer>;

  /**
   * Makes the arrays.
   *
   * @param capacity Number of messages that they hold at first; they grow as needed.
   * @param allocate Makes the array of this many words in which all results lie. The array before
   * is in use until the run ends.
   * @throws {RangeError} If the capacity is no integer of at least 1.
   */
  constructor(
    capacity = 1024,
    allocate: (words: number) => Uint32Array<ArrayBuffer> = (words) =>
      new Uint32Array(words),
  ) {
    checkInteger("create scan", "capacity", capacity, 1);
    this.#allocate = allocate;
    this.#take(capacity);
  }

  /** Number of messages found. */
  get count(): number {
    return this.#context[COUNT]!;
  }

  /** Number of valid batches found. */
  get batchCount(): number {
    return this.#context[BATCH_COUNT]!;
  }

  /**
   * Where the last valid batch ends, or the run's start if there is none: where the reason to stop
   * lies.
   */
  get end(): number {
    return this.#context[END]!;
  }

  /** Why the run ended. */
  get stop(): StopReason {
    return stopReasonOf(this.#context[STOPPED]!);
  }

  /**
   * After `"partial"`: how many bytes from `end` would decide more, the batch if its header is
   * there, else a header. Otherwise 0.
   */
  get neededBytes(): number {
    return this.#context[NEEDED]!;
  }

  /**
   * Offset after the last message of the last valid batch, or the expected one if there is none.
   */
  get nextOffset(): number {
    return this.#context[NEXT_OFFSET]!;
  }

  /** Append time of the last valid batch, or the run's `minTimestamp` if there is none. */
  get lastTimestamp(): number {
    return this.#context[LAST_TIMESTAMP]!;
  }

  /**
   * Checks batches from `start`; its results replace those of the run before.
   *
   * @param expectedOffset Base offset that the first batch must have.
   * @param minTimestamp Append time that the first batch must have at least. Defaults to 0.
   * @returns The number of messages in valid batches.
   * @throws {RangeError} If `start` lies after the bytes, or a number is no integer of its range.
   */
  run(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    expectedOffset: number,
    minTimestamp = 0,
  ): number {
    const task = "scan batches";
    checkBytes(task, "bytes.length", bytes, start);
    // One more than a message can have: the next offset after the very last one.
    const most = Number.MAX_SAFE_INTEGER + 1;
    checkInteger(task, "expectedOffset", expectedOffset, 0, most);
    checkInteger(task, "minTimestamp", minTimestamp);
    const context = this.#context;
    context[END] = start;
    context[NEXT_OFFSET] = expectedOffset;
    context[LAST_TIMESTAMP] = minTimestamp;
    context[COUNT] = 0;
    context[BATCH_COUNT] = 0;
    for (;;) {
      const status = native().basalt_scan(
        bytes,
        bytes.length,
        this.#results,
        this.#capacity,
        context,
      );
      checked(status, "basalt_scan");
      if (context[STOPPED] !== FULL) return this.count;
      // The results have no room for the next batch.
      this.#take(Math.max(2 * this.#capacity, this.count + context[NEEDED]!));
    }
  }

  /** Makes arrays for this many messages, and copies the results so far. */
  #take(capacity: number): void {
    const words = RESULT_WORDS * capacity;
    const results = this.#allocate(words).subarray(0, words);
    const part = (i: number, count: number, before?: Uint32Array) => {
      const array = results.subarray(i * capacity, (i + 1) * capacity);
      if (before !== undefined) array.set(before.subarray(0, count));
      return array;
    };
    const { count, batchCount } = this;
    this.#results = results;
    this.#capacity = capacity;
    this.starts = part(0, count, this.starts);
    this.lengths = part(1, count, this.lengths);
    this.batchStarts = part(2, batchCount, this.batchStarts);
    this.batchFirsts = part(3, batchCount, this.batchFirsts);
  }
}
