import {
  BATCH_HEADER_BYTES,
  FRAME_HEADER_BYTES,
  layPayloads,
  putFrameId,
  putFrameOrigin,
  putSealContext,
  RECORD_BATCH_START,
  RECORD_BYTES,
  RECORD_ID_GIVEN,
  RECORD_ORIGIN_GIVEN,
  seal,
  SEAL_CONTEXT_BYTES,
  type SealRun,
} from "../../codec/mod.ts";
import { perform, type Task } from "../../base/mod.ts";
import type { PooledBuffer } from "../../pool/mod.ts";
import type { TaskFile } from "../../storage/mod.ts";
import { roundDown, roundUp } from "../layout.ts";
import type { BatchPlace } from "../read/segment_scan.ts";
import type { PreparedMessage } from "./prepared_message.ts";

/**
 * From this size a thread of the library may seal a block: hashing takes longer than waking the
 * thread.
 */
const THREAD_SEAL_BYTES = 64 * 1024;
const ENCODER = new TextEncoder();

/**
 * Gathers batches in one block of pooled memory, in the form in which they are written.
 *
 * The block is slotted. Batches grow up from its beginning: room for the batch header, then for
 * each message room for the frame header, the payload and the user headers. Records grow down from
 * the room for the sealing context at the block's end: two words with the lengths of each message.
 * Sealing fills in all headers and checksums by one native call, and needs nothing but the block: a
 * thread of the library can do it. Only the part with the batches is written.
 */
export class WriteBlock {
  /** The block. */
  readonly buffer: PooledBuffer;
  /** The offset of the first message of its segment. */
  readonly segmentOffset: number;
  /** Where the block's first byte goes in the `.log`: a multiple of the physical block. */
  readonly position: number;
  /**
   * Bytes at the beginning that an earlier block also holds: the physical block that is written
   * again. They are filled in when the block is written.
   */
  readonly prefix: number;
  /** The offset of its first message. */
  readonly firstOffset: number;
  /** Batches that get an index entry. */
  readonly indexed: BatchPlace[] = [];
  /** Upper bound of the end of the last batch, in bytes from the block's beginning. */
  limit = 0;

  #sealing: "no" | "by a thread" | "done" = "no";
  /** Called when the thread that seals the block is done. */
  #whenSealed: () => void = () => {};
  /** The arguments of sealing; `undefined` until the block is finished. */
  #run: SealRun | undefined;

  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #words: Uint32Array<ArrayBuffer>;
  /** Upper bound of the end of the open batch; 0 if the next message begins another batch. */
  #batchLimit = 0;
  /** The same for {@linkcode WriteBlock.add}; 0 if each message must be checked first. */
  #plainLimit = 0;
  #fill: number;
  /** Where the lowest record begins. */
  #recordsStart: number;
  #count = 0;
  /** Flags of the next record: `RECORD_BATCH_START` after a batch was opened. */
  #flags = 0;

  /** Takes a leased block. It has no room for batches until its `limit` is set. */
  constructor(
    buffer: PooledBuffer,
    place: Pick<
      WriteBlock,
      "segmentOffset" | "position" | "prefix" | "firstOffset"
    >,
  ) {
    this.buffer = buffer;
    this.segmentOffset = place.segmentOffset;
    this.position = place.position;
    this.prefix = place.prefix;
    this.firstOffset = place.firstOffset;
    const length = buffer.length - SEAL_CONTEXT_BYTES;
    this.#bytes = buffer.bytes.subarray(0, length);
    const { byteOffset } = this.#bytes;
    this.#words = new Uint32Array(this.#bytes.buffer, byteOffset, length / 4);
    this.#fill = place.prefix;
    this.#recordsStart = length;
  }

  /** Number of messages. */
  get count(): number {
    return this.#count;
  }

  /** Bytes in use from its beginning, the prefix included. */
  get fill(): number {
    return this.#fill;
  }

  /** Bytes of its batches. */
  get byteLength(): number {
    return this.#fill - this.prefix;
  }

  /** Where its last batch ends in the `.log`. */
  get end(): number {
    return this.position + this.#fill;
  }

  /** The offset of the message after its last. */
  get nextOffset(): number {
    return this.firstOffset + this.#count;
  }

  /** The append time of all its batches in microseconds, once it is finished. */
  get timestamp(): number {
    return this.#run!.baseTimestamp;
  }

  /**
   * Whether `count` messages with `frameBytes` bytes in total fit into the open batch, or else into
   * a batch of their own.
   */
  fits(frameBytes: number, count: number, inOpenBatch: boolean): boolean {
    const header = inOpenBatch ? 0 : BATCH_HEADER_BYTES;
    const end = this.#fill + header + frameBytes;
    if (inOpenBatch && end > this.#batchLimit) return false;
    return end <= this.limit &&
      end <= this.#recordsStart - count * RECORD_BYTES;
  }

  /**
   * Opens a batch of at most `maxBytes` bytes. The record of the next message marks its beginning.
   *
   * @param isIndexed Whether it gets an index entry.
   * @param isPlain Whether {@linkcode WriteBlock.add} may add to it.
   */
  openBatch(maxBytes: number, isIndexed: boolean, isPlain: boolean): void {
    if (isIndexed) {
      const position = this.position + this.#fill;
      this.indexed.push({ offset: this.nextOffset, position });
    }
    this.#batchLimit = this.#fill + maxBytes;
    this.#plainLimit = isPlain ? this.#batchLimit : 0;
    this.#fill += BATCH_HEADER_BYTES;
    this.#flags = RECORD_BATCH_START;
  }

  /** Ends the open batch. The next message begins another one. */
  endBatch(): void {
    this.#batchLimit = this.#plainLimit = 0;
  }

  /**
   * Adds a message that is only a payload to the open batch.
   *
   * @returns Its offset; -1, with nothing changed, if there is no open batch, it does not fit, or
   *   it must be checked first.
   */
  add(payload: Uint8Array | string): number {
    const start = this.#fill + FRAME_HEADER_BYTES;
    const limit = Math.min(
      this.#plainLimit,
      this.limit,
      this.#recordsStart - RECORD_BYTES,
    );
    const bytes = this.#bytes;
    let length: number;
    if (typeof payload === "string") {
      // A unit of UTF-16 becomes at most 3 bytes.
      const most = 3 * payload.length;
      if (start + most > limit) return -1;
      // This takes half the time of `subarray`.
      const place = new Uint8Array(
        bytes.buffer,
        bytes.byteOffset + start,
        most,
      );
      length = ENCODER.encodeInto(payload, place).written;
    } else {
      if (!(payload instanceof Uint8Array)) return -1;
      length = payload.length;
      // The buffer of an empty view may be detached.
      if (length === 0 || start + length > limit) return -1;
      bytes.set(payload, start);
    }
    this.#record(length, 0);
    this.#fill = start + length;
    return this.firstOffset + this.#count - 1;
  }

  /** Adds a message to the open batch, which must have room. */
  addPrepared(message: PreparedMessage): void {
    const at = this.#fill;
    const bytes = this.#bytes;
    const { payload, userHeaders, id, originTimestamp } = message;
    let flags = 0;
    if (id !== undefined) {
      putFrameId(bytes, at, id);
      flags |= RECORD_ID_GIVEN;
    }
    if (originTimestamp !== undefined) {
      putFrameOrigin(bytes, at, originTimestamp);
      flags |= RECORD_ORIGIN_GIVEN;
    }
    bytes.set(payload, at + FRAME_HEADER_BYTES);
    if (userHeaders.length > 0) {
      bytes.set(userHeaders, at + FRAME_HEADER_BYTES + payload.length);
    }
    this.#record(payload.length, userHeaders.length | flags);
    this.#fill = at + message.frameBytes;
  }

  /** Adds messages that are only payloads to the open batch, which must have room. */
  addPayloads(payloads: readonly Uint8Array[]): void {
    for (const payload of payloads) {
      const start = this.#fill + FRAME_HEADER_BYTES;
      this.#bytes.set(payload, start);
      this.#record(payload.length, 0);
      this.#fill = start + payload.length;
    }
  }

  /** Adds payloads that lie back to back in `source` to the open batch, which must have room. */
  addFlat(
    source: Uint8Array<ArrayBuffer>,
    lengths: Uint32Array<ArrayBuffer>,
  ): void {
    const { end } = layPayloads({
      source,
      sourceStart: 0,
      lengths,
      first: 0,
      bytes: this.#bytes,
      start: this.#fill,
      end: this.#recordsStart,
      recordCount: this.#count,
    });
    this.#words[this.#recordsStart / 4 - 1]! |= this.#flags;
    this.#flags = 0;
    this.#fill = end;
    this.#count += lengths.length;
    this.#recordsStart -= lengths.length * RECORD_BYTES;
  }

  /** Adds the record of the message at the end. */
  #record(payloadLength: number, word: number): void {
    const at = (this.#recordsStart -= RECORD_BYTES) / 4;
    this.#words[at] = payloadLength;
    this.#words[at + 1] = (word | this.#flags) >>> 0;
    this.#flags = 0;
    this.#count++;
  }

  /**
   * Finishes the block: nothing is added after this.
   *
   * @param baseTimestamp The append time in microseconds.
   * @param seed 32 random bytes, from which the ids of messages without one are drawn.
   */
  finish(baseTimestamp: number, seed: Uint8Array<ArrayBuffer>): void {
    this.endBatch();
    this.#run = {
      bytes: this.#bytes,
      start: this.prefix,
      count: this.#count,
      baseOffset: this.firstOffset,
      baseTimestamp,
      seed,
    };
  }

  /** Whether a thread of the library may seal it. */
  get isLarge(): boolean {
    return this.byteLength >= THREAD_SEAL_BYTES;
  }

  /** Whether a thread is sealing it. The block cannot be used meanwhile. */
  get isSealing(): boolean {
    return this.#sealing === "by a thread";
  }

  /** Starts sealing it on a thread of the library, unless that was done before. */
  sealAhead(file: TaskFile): void {
    if (this.#sealing !== "no") return;
    putSealContext(this.buffer.bytes, this.#bytes.length, this.#run!);
    const over = (sealing: "no" | "done") => () => {
      this.#sealing = sealing;
      this.#whenSealed();
    };
    this.#sealing = "by a thread";
    try {
      file.seal(this.buffer, over("done"), over("no"));
    } catch {
      // The flush seals it in place.
      this.#sealing = "no";
    }
  }

  /** Seals it on a thread and waits for that. A caller that blocks does not start a thread. */
  sealByThread(file: TaskFile): Task<void> {
    return perform({
      kind: "seal",
      begin: (resolve) => {
        this.sealAhead(file);
        if (this.isSealing) this.#whenSealed = resolve;
        else resolve();
      },
      runSync: () => {
        if (this.isSealing) file.settleSync();
      },
      settleSync: () => file.settleSync(),
    });
  }

  /**
   * Writes all headers and checksums, unless that was done before, and zeros to the end of the last
   * physical block.
   */
  seal(physicalBlock: number): void {
    if (this.#sealing !== "done") seal(this.#run!);
    this.#sealing = "done";
    this.buffer.bytes.fill(0, this.#fill, roundUp(this.#fill, physicalBlock));
  }

  /** Fills in the prefix from the end of the block before. */
  putPrefix(tail: Uint8Array): void {
    if (this.prefix > 0) this.buffer.bytes.set(tail.subarray(0, this.prefix));
  }

  /** Returns the bytes of the partly filled last physical block, once it is sealed. */
  tail(physicalBlock: number): Uint8Array<ArrayBuffer> {
    const start = roundDown(this.#fill, physicalBlock);
    return this.buffer.bytes.subarray(start, this.#fill);
  }
}
