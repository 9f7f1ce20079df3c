import {
  HEADER_BYTES,
  INDEX_ENTRY_BYTES,
  RECORD_ID_GIVEN,
  RECORD_ORIGIN_GIVEN,
  spread,
  stamp,
} from "../codec/mod.ts";
import type { PooledBuffer } from "../pool/mod.ts";
import { encodeAscii } from "./ascii_texts.ts";
import type { EntryQueue } from "./entry_queue.ts";
import { CHECKPOINT_BYTES } from "./layout.ts";
import type { PreparedMessage } from "./prepared_message.ts";

/** What stamping a chunk needs beside its records. */
export interface ChunkStamp {
  /** The offset of the segment's first message. */
  baseOffset: number;
  /** Append time in microseconds. */
  timestamp: number;
  /** 32 bytes from which the ids of messages that have none are drawn. */
  seed: Uint8Array;
}

/** The records of the chunk that is being filled; the next one uses the memory again. */
export class Records {
  /** For each message the lengths of payload and user headers, as `stamp` wants them. */
  words: Uint32Array<ArrayBuffer> = new Uint32Array(2 * 64);

  /** Makes room for so many messages. */
  grow(count: number): Uint32Array<ArrayBuffer> {
    if (2 * count <= this.words.length) return this.words;
    const grown = new Uint32Array(Math.max(2 * count, 2 * this.words.length));
    grown.set(this.words);
    return this.words = grown;
  }
}

const ENCODER = new TextEncoder();
/** Through this, texts that were joined come to their places. */
const joined = new Uint8Array(64 * 1024);
const joinedLengths = new Uint32Array(1024);

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

  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #records: Records;
  /** Where messages end at the latest: all of it can be written after one checkpoint, but for a message that is larger by itself. */
  readonly #limit: number;
  /** Where a message must end to be taken without another look at anything. */
  #easyEnd = 0;
  #fill: number;
  #count = 0;

  /** Takes a leased block of which the first `prefix` bytes are filled in. */
  constructor(
    buffer: PooledBuffer,
    position: number,
    prefix: number,
    firstOffset: number,
    records: Records,
  ) {
    this.buffer = buffer;
    this.position = position;
    this.prefix = prefix;
    this.firstOffset = firstOffset;
    this.#bytes = buffer.bytes;
    this.#records = records;
    this.#limit = Math.min(this.#bytes.length, prefix + CHECKPOINT_BYTES);
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

  /** Bytes of messages that it still takes. */
  get room(): number {
    return this.#limit - this.#fill;
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

  /** From here on {@linkcode Chunk.add} takes so many bytes of messages; 0 for none. */
  ease(bytes: number): void {
    this.#easyEnd = Math.min(this.#limit, this.#fill + bytes);
  }

  /**
   * Adds a message that is nothing but its payload, and answers its offset; -1, with nothing changed, where it does not
   * end within what {@linkcode Chunk.ease} allowed, or something about it must be looked at first.
   */
  add(payload: Uint8Array | string): number {
    const start = this.#fill + HEADER_BYTES;
    const bytes = this.#bytes;
    let length: number;
    if (typeof payload === "string") {
      // No unit of UTF-16 becomes more than 3 bytes.
      const most = 3 * payload.length;
      if (start + most > this.#easyEnd) return -1;
      // Cheaper by half than `subarray`.
      const place = new Uint8Array(bytes.buffer, start, most);
      length = ENCODER.encodeInto(payload, place).written;
    } else {
      if (!(payload instanceof Uint8Array)) return -1;
      length = payload.length;
      // An empty view may be a detached one.
      if (length === 0 || start + length > this.#easyEnd) return -1;
      bytes.set(payload, start);
    }
    const count = this.#count;
    let { words } = this.#records;
    if (2 * count === words.length) words = this.#records.grow(count + 1);
    words[2 * count] = length;
    words[2 * count + 1] = 0;
    this.#count = count + 1;
    this.#fill = start + length;
    return this.firstOffset + count;
  }

  /**
   * Adds messages that are nothing but their payloads, all of one kind, all or none; answers the first one's offset, or -1 as
   * {@linkcode Chunk.add} does.
   */
  addAll(payloads: readonly (Uint8Array | string)[]): number {
    const count = payloads.length;
    // Payloads of a batch are much alike: where the first says that they do not fit, it is not tried.
    const size = HEADER_BYTES + (payloads[0]?.length ?? 0);
    if (count === 0 || size * count > this.#easyEnd - this.#fill) return -1;
    const words = this.#records.grow(this.#count + count);
    const end = typeof payloads[0] === "string"
      ? this.#layTexts(payloads, words)
      : this.#layArrays(payloads, words);
    if (end < 0) return -1;
    const offset = this.nextOffset;
    this.#fill = end;
    this.#count += count;
    return offset;
  }

  /** Copies payloads to their places and notes their records; answers where the last message ends, or -1: nothing was changed that counts. */
  #layArrays(payloads: readonly unknown[], words: Uint32Array): number {
    const bytes = this.#bytes;
    const end = this.#easyEnd;
    let fill = this.#fill;
    let at = 2 * this.#count;
    for (let i = 0; i < payloads.length; i++) {
      const payload = payloads[i];
      if (!(payload instanceof Uint8Array)) return -1;
      const start = fill + HEADER_BYTES;
      const { length } = payload;
      // An empty one may be a detached one.
      if (length === 0 || start + length > end) return -1;
      bytes.set(payload, start);
      words[at] = length;
      words[at + 1] = 0;
      at += 2;
      fill = start + length;
    }
    return fill;
  }

  /** The same for texts. */
  #layTexts(
    texts: readonly unknown[],
    words: Uint32Array<ArrayBuffer>,
  ): number {
    let fill = this.#fill;
    for (let first = 0; first < texts.length;) {
      const count = encodeAscii(texts, first, joinedLengths, joined);
      if (count === 0) return -1;
      const done = spread({
        source: joined,
        sourceStart: 0,
        lengths: joinedLengths.subarray(0, count),
        first: 0,
        bytes: this.#bytes,
        start: fill,
        end: this.#easyEnd,
        records: words,
        recordCount: this.#count + first,
      });
      if (done.count < count) return -1;
      first += count;
      fill = done.end;
    }
    return fill;
  }

  /** Adds a message, for which the block must have room. */
  addPrepared(message: PreparedMessage): void {
    const at = this.#fill;
    const bytes = this.#bytes;
    const { payload, userHeaders } = message;
    let flags = 0;
    if (message.id !== undefined) {
      bytes.set(message.id, at + 8);
      flags |= RECORD_ID_GIVEN;
    }
    if (message.originTimestamp !== undefined) {
      const view = new DataView(bytes.buffer, at + 40, 8);
      view.setUint32(0, message.originTimestamp >>> 0, true);
      view.setUint32(4, Math.floor(message.originTimestamp / 2 ** 32), true);
      flags |= RECORD_ORIGIN_GIVEN;
    }
    bytes.set(payload, at + HEADER_BYTES);
    if (userHeaders.length > 0) {
      bytes.set(userHeaders, at + HEADER_BYTES + payload.length);
    }
    const words = this.#records.grow(this.#count + 1);
    words[2 * this.#count] = payload.length;
    words[2 * this.#count + 1] = (userHeaders.length | flags) >>> 0;
    this.#count++;
    this.#fill = at + message.size;
  }

  /**
   * Adds the payloads `[first, end)` of a list, as many as fit, but at least one, for which the block must have room.
   *
   * @returns The number behind the last one added.
   */
  addList(
    payloads: readonly Uint8Array[],
    lengths: Uint32Array,
    first: number,
    end: number,
  ): number {
    const bytes = this.#bytes;
    const { words, limit } = this.#prepare(lengths, first, end);
    let fill = this.#fill;
    let at = 2 * this.#count;
    let i = first;
    for (; i < end; i++) {
      const start = fill + HEADER_BYTES;
      const length = lengths[i]!;
      if (start + length > limit) break;
      bytes.set(payloads[i]!, start);
      words[at] = length;
      words[at + 1] = 0;
      at += 2;
      fill = start + length;
    }
    this.#fill = fill;
    this.#count += i - first;
    return i;
  }

  /**
   * The same of payloads that lie back to back in `source`, the first of them at `sourceStart`.
   *
   * @returns The number behind the last one added, and where that one ends in `source`.
   */
  addRun(
    source: Uint8Array<ArrayBuffer>,
    sourceStart: number,
    lengths: Uint32Array<ArrayBuffer>,
    first: number,
    end: number,
  ): [next: number, sourceEnd: number] {
    const { words, limit } = this.#prepare(lengths, first, end);
    const done = spread({
      source,
      sourceStart,
      lengths: end === lengths.length ? lengths : lengths.subarray(0, end),
      first,
      bytes: this.#bytes,
      start: this.#fill,
      end: limit,
      records: words,
      recordCount: this.#count,
    });
    this.#fill = done.end;
    this.#count += done.count;
    return [first + done.count, done.sourceEnd];
  }

  /** Room for the records of a run, and where it must end. */
  #prepare(
    lengths: Uint32Array,
    first: number,
    end: number,
  ): { words: Uint32Array<ArrayBuffer>; limit: number } {
    const limit = Math.max(
      this.#limit,
      this.#fill + HEADER_BYTES + lengths[first]!,
    );
    const most = Math.floor((limit - this.#fill) / HEADER_BYTES);
    const count = Math.min(end - first, most);
    return { words: this.#records.grow(this.#count + count), limit };
  }

  /** Stamps the messages, and their index entries into `index`; zeroes the rest of the last block of `unit` bytes. Nothing is added after this. */
  seal(with_: ChunkStamp, index: EntryQueue, unit: number): void {
    stamp({
      bytes: this.#bytes,
      start: this.prefix,
      records: this.#records.words,
      count: this.#count,
      index: index.extend(this.#count * INDEX_ENTRY_BYTES),
      firstOffset: this.firstOffset,
      timestamp: with_.timestamp,
      relativeOffset: this.firstOffset - with_.baseOffset,
      position: this.position + this.prefix,
      seed: with_.seed,
    });
    const rest = this.#fill % unit;
    if (rest > 0) this.#bytes.fill(0, this.#fill, this.#fill + unit - rest);
  }
}
