import {
  HEADER_BYTES,
  type Message,
  readMessage,
  timestampAt,
} from "../codec/mod.ts";
import type { PooledBuffer } from "../pool/mod.ts";

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
  /** Where each message begins in {@linkcode MessageBatch.bytes}, and behind them where the last one ends: `count + 1` values. */
  readonly starts: Uint32Array;
  /** The length of each payload in bytes; it lies 64 bytes behind the message's start. */
  readonly lengths: Uint32Array;
  /** Where `bytes` begins in the segment's `.log`. */
  readonly position: number;

  readonly #buffer: PooledBuffer;
  readonly #length: number;

  /** Takes the block over. */
  constructor(
    buffer: PooledBuffer,
    length: number,
    position: number,
    firstOffset: number,
    starts: Uint32Array,
    lengths: Uint32Array,
  ) {
    this.#buffer = buffer;
    this.#length = length;
    this.position = position;
    this.firstOffset = firstOffset;
    this.starts = starts;
    this.lengths = lengths;
    this.count = lengths.length;
  }

  /** The offset of the message after the last. */
  get nextOffset(): number {
    return this.firstOffset + this.count;
  }

  /** The block's bytes, bounded to what was read. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#buffer.bytes.subarray(0, this.#length);
  }

  /** Bytes of all messages, headers included. */
  get byteLength(): number {
    return this.starts[this.count]! - this.starts[0]!;
  }

  /** The offset of message `i`. */
  offset(i: number): number {
    return this.firstOffset + this.#checked(i);
  }

  /** The append time of message `i`, in microseconds since the Unix epoch. */
  timestamp(i: number): number {
    return timestampAt(this.#buffer.bytes, this.starts[this.#checked(i)]!);
  }

  /** The payload of message `i`: a view into the block, empty once the batch is dropped. */
  payload(i: number): Uint8Array<ArrayBuffer> {
    const start = this.starts[this.#checked(i)]! + HEADER_BYTES;
    return this.#buffer.bytes.subarray(start, start + this.lengths[i]!);
  }

  /** Message `i` with all its parts; the payload is a view into the block. */
  message(i: number): Message {
    const start = this.starts[this.#checked(i)]!;
    return readMessage(
      this.#buffer.bytes,
      start,
      this.lengths[i]!,
      this.starts[i + 1]! - start,
    );
  }

  /** Gives the block back; views of payloads become empty. Dropping twice does nothing. */
  drop(): void {
    this.#buffer.drop();
  }

  /** The same as {@linkcode MessageBatch.drop}. */
  [Symbol.dispose](): void {
    this.#buffer.drop();
  }

  /** The messages `[from, to)` as a batch that takes the block over: this one must not be used any more. */
  narrow(from: number, to: number): MessageBatch {
    return new MessageBatch(
      this.#buffer,
      this.#length,
      this.position,
      this.firstOffset + from,
      this.starts.subarray(from, to + 1),
      this.lengths.subarray(from, to),
    );
  }

  #checked(i: number): number {
    if (Number.isInteger(i) && i >= 0 && i < this.count) return i;
    throw new RangeError(
      `Cannot take message ${i} of a batch of ${this.count}: count from 0`,
    );
  }
}
