import {
  encodeUserHeaders,
  HEADER_BYTES,
  MAX_PAYLOAD_BYTES,
  MAX_USER_HEADERS_BYTES,
  parseUuid,
  RECORD_ID_GIVEN,
  RECORD_ORIGIN_GIVEN,
  type UserHeadersInit,
  validateUserHeaders,
} from "../codec/mod.ts";
import { type BufferPool, type PooledBuffer, PoolLimit } from "../pool/mod.ts";
import { Backpressure } from "./backpressure.ts";
import { Chunk } from "./chunk.ts";
import {
  CHECKPOINT_BYTES,
  MAX_OFFSET,
  MAX_SEGMENT_BYTES,
  roundDown,
  roundUp,
} from "./layout.ts";
import type { Timeline } from "./timeline.ts";

/** What a message may have beside its payload. */
export interface AppendOptions {
  /** The message's id: the text of a UUID, or 16 bytes. @default {a random UUID v4} */
  id?: string | Uint8Array;
  /** When the producer made the message, in microseconds since the Unix epoch. @default {the append time} */
  originTimestamp?: number;
  /** User headers, or their encoding. @default {none} */
  userHeaders?: UserHeadersInit | Uint8Array;
}

/** What all write buffers of a log share. */
export interface WriteBufferShared {
  /** Where blocks come from. */
  pool: BufferPool;
  /** Bytes of a block; a larger message gets a larger one. */
  blockBytes: number;
  /** The physical block of the disk. */
  physicalBlock: number;
  /** The append times. */
  timeline: Timeline;
  /** Fills a view with random bytes. */
  random(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>;
}

/** Where a write buffer begins. */
export interface WriteBufferStart {
  /** The offset of the segment's first message. */
  baseOffset: number;
  /** The offset of the next message. */
  nextOffset: number;
  /** Where the segment's data ends, in bytes. */
  end: number;
  /** What the file holds from the last multiple of the physical block to `end`. */
  tail: Uint8Array;
}

const ENCODER = new TextEncoder();
const NONE = new Uint8Array(0);

/**
 * The messages of one segment that are in memory and not yet handed to a flush.
 *
 * A payload is copied once, to its final place behind room for its header. The partly filled last block of the file is the only other copy: each chunk begins with it.
 */
export class WriteBuffer {
  /** The offset of the segment's first message. */
  readonly baseOffset: number;

  readonly #shared: WriteBufferShared;
  readonly #seed = new Uint8Array(32);
  /** The partly filled last block of what was sealed; its first `#tailLength` bytes. */
  readonly #tail: Uint8Array<ArrayBuffer>;
  #tailLength: number;
  #sealed: Chunk[] = [];
  #open: Chunk | undefined;
  /** Blocks acquired ahead for a batch, so that it is appended whole or not at all. */
  #spare: PooledBuffer[] = [];
  #end: number;
  #nextOffset: number;

  constructor(shared: WriteBufferShared, start: WriteBufferStart) {
    this.#shared = shared;
    this.#tail = new Uint8Array(shared.physicalBlock);
    this.#tail.set(start.tail);
    this.#tailLength = start.tail.length;
    this.baseOffset = start.baseOffset;
    this.#nextOffset = start.nextOffset;
    this.#end = start.end;
  }

  /** The offset that the next message gets. */
  get nextOffset(): number {
    return this.#nextOffset;
  }

  /** Where the segment's data ends, in bytes, with all that is in memory. */
  get end(): number {
    return this.#end;
  }

  /** Whether a whole block waits to be written. */
  get full(): boolean {
    return this.#sealed.length > 0;
  }

  /**
   * Appends a message in memory and answers its offset. When it throws, nothing has changed.
   *
   * @throws {RangeError} If a part of the message is too large.
   * @throws {Backpressure} If the pool has no room for another block.
   */
  append(message: PreparedMessage): number {
    const chunk = this.#room(message.size);
    const at = chunk.fill;
    const bytes = chunk.bytes;
    let flags = 0;
    if (message.id !== undefined) {
      bytes.set(message.id, at + 8);
      flags |= RECORD_ID_GIVEN;
    }
    if (message.originTimestamp !== undefined) {
      const view = new DataView(bytes.buffer, bytes.byteOffset + at + 40, 8);
      view.setUint32(0, message.originTimestamp >>> 0, true);
      view.setUint32(4, Math.floor(message.originTimestamp / 2 ** 32), true);
      flags |= RECORD_ORIGIN_GIVEN;
    }
    const { payload, userHeaders } = message;
    bytes.set(payload, at + HEADER_BYTES);
    if (userHeaders.length > 0) {
      bytes.set(userHeaders, at + HEADER_BYTES + payload.length);
    }
    chunk.push(
      payload.length,
      (userHeaders.length | flags) >>> 0,
      message.size,
    );
    this.#end += message.size;
    return this.#nextOffset++;
  }

  /**
   * Makes sure that the messages can be appended without another block; acquires what is missing.
   *
   * @throws {Backpressure} If the pool has no room; nothing is kept then.
   */
  reserve(sizes: readonly number[]): void {
    const wanted: number[] = [];
    let end = this.#end;
    let room = this.#open === undefined ? -1 : roomIn(this.#open);
    for (const size of sizes) {
      if (size > room) {
        const bytes = this.#blockFor(size);
        wanted.push(bytes);
        // Exactly what `#room` will find, so that each block is there when its turn comes.
        const tail = end % this.#shared.physicalBlock;
        room = Math.min(bytes - tail, Math.max(size, CHECKPOINT_BYTES));
      }
      room -= size;
      end += size;
    }
    try {
      for (const bytes of wanted) this.#spare.push(this.#acquire(bytes));
    } catch (error) {
      this.dropSpare();
      throw error;
    }
  }

  /** Gives back what {@linkcode WriteBuffer.reserve} acquired and the messages did not need. */
  dropSpare(): void {
    for (const buffer of this.#spare) buffer.drop();
    this.#spare = [];
  }

  /** Hands over the chunks that are sealed, for a flush to write; what was appended after sealing is for the next one. */
  take(): Chunk[] {
    const chunks = this.#sealed;
    this.#sealed = [];
    return chunks;
  }

  /** Drops what is in memory: after the log was poisoned. */
  discard(): void {
    this.dropSpare();
    for (const chunk of this.take()) chunk.buffer.drop();
    this.#open?.buffer.drop();
    this.#open = undefined;
  }

  /** The open chunk with room for `size` bytes, made if there is none. */
  #room(size: number): Chunk {
    if (this.#open !== undefined && roomIn(this.#open) >= size) {
      return this.#open;
    }
    if (this.#nextOffset >= MAX_OFFSET) {
      throw new RangeError(
        `Cannot append as offsets end at ${MAX_OFFSET}: the next is ${this.#nextOffset}`,
      );
    }
    const bytes = this.#blockFor(size);
    const spare = this.#spare[0];
    // Acquired before anything changes: when it fails, the message was never there.
    const buffer = spare !== undefined && spare.length >= bytes
      ? this.#spare.shift()!
      : this.#acquire(bytes);
    this.seal();
    buffer.bytes.set(this.#tail.subarray(0, this.#tailLength));
    return this.#open = new Chunk(
      buffer,
      this.#end - this.#tailLength,
      this.#tailLength,
      this.#nextOffset,
    );
  }

  /** Bytes of the block that a chunk beginning with a message of `size` bytes needs. */
  #blockFor(size: number): number {
    const { blockBytes, physicalBlock } = this.#shared;
    // The partly filled block before it is at most one physical block.
    const least = roundUp(size, physicalBlock) + physicalBlock;
    return Math.max(roundUp(blockBytes, physicalBlock), least);
  }

  #acquire(bytes: number): PooledBuffer {
    try {
      return this.#shared.pool.acquireSync(bytes);
    } catch (error) {
      if (!(error instanceof PoolLimit)) throw error;
      throw new Backpressure(
        `no memory for a block of ${bytes} bytes in the pool`,
        { cause: error },
      );
    }
  }

  /** Stamps what was appended: headers, checksums, index entries. */
  seal(): void {
    const chunk = this.#open;
    if (chunk === undefined) return;
    const { physicalBlock, random, timeline } = this.#shared;
    chunk.seal({
      baseOffset: this.baseOffset,
      timestamp: timeline.stamp(),
      seed: random(this.#seed),
    }, physicalBlock);
    const tailStart = roundDown(chunk.end, physicalBlock);
    // A tail that began before this chunk does not happen: a chunk begins at a multiple of the physical block.
    this.#tailLength = chunk.end - tailStart;
    this.#tail.set(
      chunk.bytes.subarray(tailStart - chunk.position, chunk.fill),
    );
    this.#sealed.push(chunk);
    this.#open = undefined;
  }
}

/** Bytes of messages that a chunk still takes: all of it can be written after one checkpoint, but for a message that is larger by itself. */
function roomIn(chunk: Chunk): number {
  return Math.min(chunk.room, CHECKPOINT_BYTES - (chunk.fill - chunk.prefix));
}

/** A message whose parts were checked. */
export interface PreparedMessage {
  /** The payload's bytes. */
  payload: Uint8Array;
  /** The user headers, encoded. */
  userHeaders: Uint8Array;
  /** 16 bytes, if given. */
  id: Uint8Array | undefined;
  /** Microseconds, if given. */
  originTimestamp: number | undefined;
  /** Bytes of the whole message. */
  size: number;
}

/**
 * Checks the parts of a message and encodes them.
 *
 * @throws {RangeError} If a part is too large or out of its range.
 * @throws {TypeError} If a part is of a wrong kind.
 */
export function prepareMessage(
  payload: Uint8Array | string,
  options: AppendOptions | undefined,
): PreparedMessage {
  const bytes = typeof payload === "string" ? ENCODER.encode(payload) : payload;
  if (!(bytes instanceof Uint8Array)) {
    throw new TypeError(
      `Cannot append as 'payload' must be a Uint8Array or a string: received ${typeof payload}`,
    );
  }
  if (bytes.length === 0 && (bytes.buffer as ArrayBuffer).detached) {
    throw new TypeError(
      "Cannot append as 'payload' is a view whose buffer was detached: it was transferred, or its owner dropped it",
    );
  }
  if (bytes.length > MAX_PAYLOAD_BYTES) {
    throw new RangeError(
      `Cannot append as 'payload' must be at most ${MAX_PAYLOAD_BYTES} bytes: received ${bytes.length}`,
    );
  }
  const userHeaders = options?.userHeaders === undefined
    ? NONE
    : encodedHeaders(options.userHeaders);
  return {
    payload: bytes,
    userHeaders,
    id: options?.id === undefined ? undefined : idBytes(options.id),
    originTimestamp: checkedTime(options?.originTimestamp),
    size: HEADER_BYTES + bytes.length + userHeaders.length,
  };
}

function encodedHeaders(given: UserHeadersInit | Uint8Array): Uint8Array {
  if (!(given instanceof Uint8Array)) return encodeUserHeaders(given);
  if (given.length > MAX_USER_HEADERS_BYTES) {
    throw new RangeError(
      `Cannot append as 'userHeaders' must be at most ${MAX_USER_HEADERS_BYTES} bytes when encoded: received ${given.length}`,
    );
  }
  validateUserHeaders(given);
  return given;
}

function idBytes(id: string | Uint8Array): Uint8Array {
  if (typeof id === "string") return parseUuid(id);
  if (id instanceof Uint8Array && id.length === 16) return id;
  throw new RangeError(
    `Cannot append as 'id' must be the text of a UUID or 16 bytes: received ${
      id instanceof Uint8Array ? `${id.length} bytes` : typeof id
    }`,
  );
}

function checkedTime(time: number | undefined): number | undefined {
  if (time === undefined || Number.isSafeInteger(time) && time >= 0) {
    return time;
  }
  throw new RangeError(
    `Cannot append as 'originTimestamp' must be an integer of microseconds from 0 to ${MAX_OFFSET}: received ${time}`,
  );
}

/** Whether a message of `size` bytes may follow `end` bytes in a segment that should not exceed `segmentBytes`. */
export function fits(end: number, size: number, segmentBytes: number): boolean {
  return end === 0 || end + size <= Math.min(segmentBytes, MAX_SEGMENT_BYTES);
}
