import { HEADER_BYTES } from "../codec/mod.ts";
import {
  fits,
  MAX_SEGMENT_BYTES,
  type PayloadBatch,
  type PreparedMessage,
  WriteBuffer,
  type WriteBufferShared,
  type WriteBufferStart,
} from "../segment/mod.ts";

/**
 * The messages of a log that are in memory: the active segment's buffer, and behind it those of segments that do not exist yet.
 *
 * Here it is decided where a segment ends; the files follow when a flush comes there.
 */
export class WriteBuffers {
  /** The buffer to which messages go. */
  last: WriteBuffer;

  readonly #shared: WriteBufferShared;
  readonly #segmentBytes: number;
  #all: WriteBuffer[];
  /** Bytes of messages in the segments before the last buffer's, less those that opening found. */
  #earlierBytes: number;

  constructor(
    shared: WriteBufferShared,
    segmentBytes: number,
    start: WriteBufferStart,
  ) {
    this.#shared = shared;
    this.#segmentBytes = Math.min(segmentBytes, MAX_SEGMENT_BYTES);
    this.last = new WriteBuffer(shared, start);
    this.#all = [this.last];
    this.#earlierBytes = -start.end;
  }

  /** The active segment's. */
  get first(): WriteBuffer {
    return this.#all[0]!;
  }

  /** That of the segment that follows the active one, once there is one. */
  get next(): WriteBuffer | undefined {
    return this.#all[1];
  }

  /** How many segments are to follow the active one. */
  get rolls(): number {
    return this.#all.length - 1;
  }

  /** Bytes of messages that were appended since the log was opened. */
  get appendedBytes(): number {
    return this.#earlierBytes + this.last.end;
  }

  /** Bytes of messages behind the active segment. */
  get laterBytes(): number {
    let bytes = 0;
    for (let i = 1; i < this.#all.length; i++) bytes += this.#all[i]!.end;
    return bytes;
  }

  /** Copies a message to the end and answers its offset; nothing has changed when it throws. */
  append(message: PreparedMessage): number {
    if (fits(this.last.end, message.size, this.#segmentBytes)) {
      return this.last.append(message);
    }
    const next = this.#bufferAt(this.last.nextOffset);
    const offset = next.append(message);
    this.#push(next);
    return offset;
  }

  /** Copies messages to the end, into one segment if one can hold them all; nothing has changed when it throws. */
  appendBatch(batch: PayloadBatch): void {
    const parts = this.#parts(batch);
    const end = (i: number) => parts[i + 1]?.first ?? batch.lengths.length;
    try {
      parts.forEach(({ buffer, first }, i) =>
        buffer.reserve(batch, first, end(i))
      );
    } catch (error) {
      for (const { buffer } of parts) buffer.dropSpare();
      throw error;
    }
    parts.forEach(({ buffer, first }, i) => {
      buffer.appendBatch(batch, first, end(i));
      buffer.dropSpare();
      if (buffer !== this.last) this.#push(buffer);
    });
  }

  /** Which buffer takes a batch from which message on. */
  #parts({ lengths, size }: PayloadBatch): Part[] {
    const segmentBytes = this.#segmentBytes;
    const { nextOffset } = this.last;
    let { end } = this.last;
    if (end + size <= segmentBytes) return [{ buffer: this.last, first: 0 }];
    if (size <= segmentBytes) {
      return [{ buffer: this.#bufferAt(nextOffset), first: 0 }];
    }
    const parts = [{ buffer: this.last, first: 0 }];
    for (let i = 0; i < lengths.length; i++) {
      const size = HEADER_BYTES + lengths[i]!;
      if (!fits(end, size, segmentBytes)) {
        // Nothing fits into the first one at all.
        if (i === 0) parts.pop();
        parts.push({ buffer: this.#bufferAt(nextOffset + i), first: i });
        end = 0;
      }
      end += size;
    }
    return parts;
  }

  /** Lets {@linkcode WriteBuffer.add} take what fits into the segment, of so many bytes for which there is room. */
  ease(roomBytes: number): void {
    this.last.ease(Math.min(roomBytes, this.#segmentBytes - this.last.end));
  }

  /** Stamps everything: one append time for all of it. */
  seal(): void {
    for (const buffer of this.#all) buffer.seal();
    this.#shared.timeline.endGroup();
  }

  /** The active segment is over: the next one is the first. */
  advance(): void {
    this.#all.shift();
  }

  /** Drops what is in memory. */
  discard(): void {
    for (const buffer of this.#all) buffer.discard();
  }

  /** Goes on in another segment. */
  #push(buffer: WriteBuffer): void {
    this.#earlierBytes += this.last.end;
    this.last.ease(0);
    this.#all.push(buffer);
    this.last = buffer;
  }

  #bufferAt(offset: number): WriteBuffer {
    return new WriteBuffer(this.#shared, {
      baseOffset: offset,
      nextOffset: offset,
      end: 0,
      tail: new Uint8Array(0),
    });
  }
}

/** The messages of a batch from `first` on, up to the next part, and where they go. */
interface Part {
  readonly buffer: WriteBuffer;
  readonly first: number;
}
