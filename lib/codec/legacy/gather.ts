import { checkInteger } from "../../base/mod.ts";
import { checked, native } from "../../native/mod.ts";
import { checkBytes } from "../_checks.ts";
import { FULL, type StopReason, stopReasonOf } from "../stop_reason.ts";

/** Bytes of a message's header; the payload and the encoded user headers follow it. */
export const HEADER_BYTES = 64;

const NO_TARGET = new Uint8Array(0);

/**
 * Turns the messages of a segment into batches, block after block (`docs/format.md#old-import`).
 *
 * A message is checked for zeros, lengths, reserved field, offset, being whole, checksum and append
 * time, in this order.
 *
 * Where a batch ends does not depend on the blocks.
 */
export class Gathering {
  readonly #context = new Float64Array(10);

  /**
   * Starts with the first message of a segment.
   *
   * @param minTimestamp Append time that the first message must have at least.
   */
  constructor(nextOffset: number, minTimestamp: number) {
    const task = "gather messages";
    // One more than a message can have: the next offset after the very last one.
    const most = Number.MAX_SAFE_INTEGER + 1;
    checkInteger(task, "nextOffset", nextOffset, 0, most);
    checkInteger(task, "minTimestamp", minTimestamp);
    this.#context[2] = nextOffset;
    this.#context[3] = minTimestamp;
  }

  /** Where the first message that is not in a batch yet begins in the source. */
  get sourceEnd(): number {
    return this.#context[0]!;
  }

  /** Where the last batch ends in the target. */
  get targetEnd(): number {
    return this.#context[1]!;
  }

  /** Offset of the next message. */
  get nextOffset(): number {
    return this.#context[2]!;
  }

  /** Append time of the last message. */
  get lastTimestamp(): number {
    return this.#context[3]!;
  }

  /** Number of messages of the last run. */
  get count(): number {
    return this.#context[4]!;
  }

  /** Number of batches of the last run. */
  get batchCount(): number {
    return this.#context[5]!;
  }

  /** Number of its batches that end within equal timestamps because of their length. */
  get splitByLength(): number {
    return this.#context[6]!;
  }

  /**
   * Number of its batches that end within equal timestamps because producer times lie too far
   * apart.
   */
  get splitByTime(): number {
    return this.#context[7]!;
  }

  /** Whether the last run stopped because the target has no room for the next batch. */
  get isFull(): boolean {
    return this.#context[8] === FULL;
  }

  /** Why the last run stopped, if it was not full. */
  get stop(): StopReason {
    return stopReasonOf(this.#context[8]!);
  }

  /**
   * After `"partial"`: how many bytes from `sourceEnd` would decide more. If it is full: the length
   * of the next batch.
   */
  get neededBytes(): number {
    return this.#context[9]!;
  }

  /**
   * Checks the messages in `source` from `start`, and writes their batches to `target` from its
   * beginning.
   *
   * @param isEnd Whether no message follows the source. Otherwise its last batch waits for more.
   * @param target Without it, messages are only checked: it stops at the first batch.
   */
  run(
    source: Uint8Array<ArrayBuffer>,
    start: number,
    isEnd: boolean,
    target: Uint8Array<ArrayBuffer> = NO_TARGET,
  ): void {
    const task = "gather messages";
    checkBytes(task, "source.length", source, start);
    checkBytes(task, "target.length", target);
    this.#context[0] = start;
    this.#context[1] = 0;
    this.#context[4] = isEnd ? 1 : 0;
    const status = native().basalt_legacy_gather(
      source,
      source.length,
      target,
      target.length,
      this.#context,
    );
    checked(status, "basalt_legacy_gather");
  }
}
