import {
  HEADER_BYTES,
  type Message,
  readMessage,
  timestampAt,
} from "../codec/mod.ts";
import type { PooledBuffer } from "../pool/mod.ts";

/** What a {@linkcode MessageBatch} is made of. */
export interface MessageBatchParts {
  /** The block. */
  buffer: PooledBuffer;
  /** Where the messages' bytes begin in it. */
  start: number;
  /** Where they end in it. */
  end: number;
  /** Where they begin in the segment's `.log`. */
  position: number;
  /** The offset of the first message. */
  firstOffset: number;
  /** Where each message begins in these bytes, and behind them where the last one ends. */
  starts: Uint32Array;
  /** The length of each payload. */
  lengths: Uint32Array;
  /** The memory of the two arrays, if it is a pool's. */
  arrays: PooledBuffer | undefined;
}

/**
 * Messages that lie behind one another in one block, every one verified. Payloads are views into the block: no copy, and empty once the batch is dropped.
 *
 * The batch owns its block: end it with `drop()` or `using`.
 *
 * @example Payloads without a copy
 * ```ts
 * import { Log } from "@basalt/io";
 * import { assertEquals } from "@std/assert";
 *
 * const dir = Deno.makeTempDirSync();
 * {
 *   await using log = await Log.open(dir);
 *   log.appendBatch(["one", "two"]);
 *   await log.flush();
 *   for await (using batch of log.read()) {
 *     assertEquals([batch.firstOffset, batch.count], [0, 2]);
 *     assertEquals(new TextDecoder().decode(batch.payload(1)), "two");
 *   }
 * }
 * Deno.removeSync(dir, { recursive: true });
 * ```
 */
export class MessageBatch implements Disposable {
  /** The offset of the first message. */
  readonly firstOffset: number;
  /** How many messages there are. */
  readonly count: number;
  /** Bytes of all messages, headers included. */
  readonly byteLength: number;
  /** Where each message begins in {@linkcode MessageBatch.bytes}, and behind them where the last one ends: `count + 1` values; empty once the batch is dropped. */
  readonly starts: Uint32Array;
  /** The length of each payload in bytes; it lies 64 bytes behind the message's start. Empty once the batch is dropped. */
  readonly lengths: Uint32Array;
  /** Where `bytes` begins in the segment's `.log`. */
  readonly position: number;

  readonly #parts: MessageBatchParts;

  /** Takes the block over. @internal */
  constructor(parts: MessageBatchParts) {
    this.#parts = parts;
    this.position = parts.position;
    this.firstOffset = parts.firstOffset;
    this.starts = parts.starts;
    this.lengths = parts.lengths;
    this.count = parts.lengths.length;
    this.byteLength = this.starts[this.count]! - this.starts[0]!;
  }

  /** The offset of the message after the last. */
  get nextOffset(): number {
    return this.firstOffset + this.count;
  }

  /** The messages' bytes, and those of a message that is not whole yet, bounded to what was read. */
  get bytes(): Uint8Array<ArrayBuffer> {
    const { buffer, start, end } = this.#parts;
    return buffer.bytes.subarray(start, end);
  }

  /** The offset of message `i`. */
  offset(i: number): number {
    return this.firstOffset + this.#checked(i);
  }

  /** The append time of message `i`, in microseconds since the Unix epoch. */
  timestamp(i: number): number {
    const { buffer, start } = this.#parts;
    const { bytes } = buffer;
    return timestampAt(bytes, start + this.starts[this.#checked(i)]!);
  }

  /** The payload of message `i`: a view into the block, empty once the batch is dropped. */
  payload(i: number): Uint8Array<ArrayBuffer> {
    const { buffer, start } = this.#parts;
    const { bytes } = buffer;
    const at = start + this.starts[this.#checked(i)]! + HEADER_BYTES;
    // Half the price of `subarray`.
    return new Uint8Array(
      bytes.buffer,
      bytes.byteOffset + at,
      this.lengths[i]!,
    );
  }

  /** Message `i` with all its parts; the payload is a view into the block. */
  message(i: number): Message {
    const { buffer, start } = this.#parts;
    const { bytes } = buffer;
    const from = this.starts[this.#checked(i)]!;
    const length = this.starts[i + 1]! - from;
    return readMessage(bytes, start + from, this.lengths[i]!, length);
  }

  /** Gives the block back; views of payloads become empty. Dropping twice does nothing. */
  drop(): void {
    this.#parts.buffer.drop();
    this.#parts.arrays?.drop();
  }

  /** The same as {@linkcode MessageBatch.drop}. */
  [Symbol.dispose](): void {
    this.drop();
  }

  /** The messages `[from, to)` as a batch that takes the block over: this one must not be used any more. */
  narrow(from: number, to: number): MessageBatch {
    return new MessageBatch({
      ...this.#parts,
      firstOffset: this.firstOffset + from,
      starts: this.starts.subarray(from, to + 1),
      lengths: this.lengths.subarray(from, to),
    });
  }

  #checked(i: number): number {
    if (Number.isInteger(i) && i >= 0 && i < this.count) return i;
    throw new RangeError(
      `Cannot take message ${i} of a batch of ${this.count}: count from 0`,
    );
  }
}
