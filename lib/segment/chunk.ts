import { INDEX_ENTRY_BYTES, stamp } from "../codec/mod.ts";
import type { PooledBuffer } from "../pool/mod.ts";

/** What stamping a chunk needs beside its records. */
export interface ChunkStamp {
  /** The offset of the segment's first message. */
  baseOffset: number;
  /** Append time in microseconds. */
  timestamp: number;
  /** 32 bytes from which the ids of messages that have none are drawn. */
  seed: Uint8Array;
}

/** A run of messages in one block, with the place in the file that the block will be written to. */
export class Chunk {
  /** The block. It begins with bytes that are in the file already, up to {@linkcode Chunk.prefix}. */
  readonly buffer: PooledBuffer;
  /** Where the block's first byte goes; a multiple of the physical block. */
  readonly position: number;
  /** Bytes at the beginning that an earlier chunk holds too: the partly filled block that is written again. */
  readonly prefix: number;
  /** The offset of the first message. */
  readonly firstOffset: number;

  #bytes: Uint8Array<ArrayBuffer>;
  #fill: number;
  #count = 0;
  /** For each message the lengths of payload and user headers, as `stamp` wants them. */
  #records = new Uint32Array(2 * 64);
  #index: Uint8Array | undefined;

  /** Takes a leased block of which the first `prefix` bytes are filled in. */
  constructor(
    buffer: PooledBuffer,
    position: number,
    prefix: number,
    firstOffset: number,
  ) {
    this.buffer = buffer;
    this.position = position;
    this.prefix = prefix;
    this.firstOffset = firstOffset;
    this.#bytes = buffer.bytes;
    this.#fill = prefix;
  }

  /** Messages in it. */
  get count(): number {
    return this.#count;
  }

  /** Bytes in use, the prefix included. */
  get fill(): number {
    return this.#fill;
  }

  /** Bytes that are free. */
  get room(): number {
    return this.#bytes.length - this.#fill;
  }

  /** Where its last message ends in the file. */
  get end(): number {
    return this.position + this.#fill;
  }

  /** The offset of the message after its last. */
  get nextOffset(): number {
    return this.firstOffset + this.#count;
  }

  /** The block's bytes, while it is being filled. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes;
  }

  /** The index entries of its messages, once sealed. */
  get index(): Uint8Array {
    return this.#index!;
  }

  /** Counts a message whose bytes were put at {@linkcode Chunk.fill}; `headersWord` is the length of its user headers with the flags of `stamp`. */
  push(payloadLength: number, headersWord: number, size: number): void {
    const at = 2 * this.#count;
    if (at === this.#records.length) {
      const grown = new Uint32Array(2 * at);
      grown.set(this.#records);
      this.#records = grown;
    }
    this.#records[at] = payloadLength;
    this.#records[at + 1] = headersWord;
    this.#count++;
    this.#fill += size;
  }

  /** Stamps the messages and zeroes the rest of the last block of `unit` bytes; nothing is added after this. */
  seal(with_: ChunkStamp, unit: number): void {
    const index = new Uint8Array(this.#count * INDEX_ENTRY_BYTES);
    stamp({
      bytes: this.#bytes,
      start: this.prefix,
      records: this.#records,
      count: this.#count,
      index,
      firstOffset: this.firstOffset,
      timestamp: with_.timestamp,
      relativeOffset: this.firstOffset - with_.baseOffset,
      position: this.position + this.prefix,
      seed: with_.seed,
    });
    this.#index = index;
    const rest = this.#fill % unit;
    if (rest > 0) this.#bytes.fill(0, this.#fill, this.#fill + unit - rest);
  }
}
