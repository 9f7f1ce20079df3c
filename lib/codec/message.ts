import {
  BATCH_HEADER_BYTES,
  batchBaseOffsetAt,
  batchOriginTimestampAt,
  batchTimestampAt,
  FRAME_HEADER_BYTES,
  frameIdAt,
  frameOffsetDeltaAt,
  framePayloadLengthAt,
  frameTimestampDeltaAt,
  frameUserHeadersLengthAt,
} from "./header.ts";
import { decodeUserHeaders, type UserHeader } from "./user_headers.ts";

/**
 * A message. Its fields are read from the batch at each access, so they are valid only as long as
 * the batch; {@linkcode Message.copy} makes them last.
 */
export interface Message {
  /** The offset. */
  readonly offset: number;
  /** The id's 16 bytes as the text of a UUID. */
  readonly id: string;
  /** Time of appending, in microseconds since the Unix epoch. */
  readonly timestamp: number;
  /**
   * The producer's time, in microseconds since the Unix epoch. Its producer may choose any number:
   * above `Number.MAX_SAFE_INTEGER` it is a `RangeError`.
   */
  readonly originTimestamp: number;
  /** The payload: a view of the bytes of the batch. */
  readonly payload: Uint8Array<ArrayBuffer>;
  /**
   * The user headers, decoded at each access; `Deno.errors.InvalidData` if their encoding is
   * invalid.
   */
  readonly userHeaders: UserHeader[];
  /** Decodes the payload as UTF-8; invalid bytes become U+FFFD. */
  text(): string;
  /**
   * Parses the payload as JSON.
   *
   * @throws {SyntaxError} If it is not JSON.
   */
  json(): unknown;
  /** Returns a copy of the message that outlives the batch. */
  copy(): Message;
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Returns the message whose frame lies in `bytes`; a scan tells where its frame and its batch
 * start.
 *
 * @param frameStart Where its frame header starts.
 * @param batchStart Where the header of its batch starts.
 * @throws {RangeError} If the frame does not lie within the bytes, after the header of the batch.
 * Reading a field later throws a `RangeError` or `TypeError` once the bytes' buffer was dropped.
 */
export function readFrame(
  bytes: Uint8Array<ArrayBuffer>,
  frameStart: number,
  batchStart: number,
): Message {
  const payloadEnd = frameStart + FRAME_HEADER_BYTES +
    framePayloadLengthAt(bytes, frameStart);
  const end = payloadEnd + frameUserHeadersLengthAt(bytes, frameStart);
  const isInside = batchStart >= 0 &&
    batchStart + BATCH_HEADER_BYTES <= frameStart && end <= bytes.length;
  if (!isInside) {
    throw new RangeError(
      `Cannot read message at [${frameStart}, ${end}) in the batch at ${batchStart} as it must lie within the bytes, after the batch header: there are ${bytes.length}`,
    );
  }
  return new FrameView(bytes, frameStart, batchStart, payloadEnd, end);
}

class FrameView implements Message {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #start: number;
  readonly #batchStart: number;
  readonly #payloadEnd: number;
  readonly #end: number;

  constructor(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    batchStart: number,
    payloadEnd: number,
    end: number,
  ) {
    this.#bytes = bytes;
    this.#start = start;
    this.#batchStart = batchStart;
    this.#payloadEnd = payloadEnd;
    this.#end = end;
  }

  get offset(): number {
    return batchBaseOffsetAt(this.#bytes, this.#batchStart) +
      frameOffsetDeltaAt(this.#bytes, this.#start);
  }

  get id(): string {
    return frameIdAt(this.#bytes, this.#start);
  }

  get timestamp(): number {
    return batchTimestampAt(this.#bytes, this.#batchStart);
  }

  get originTimestamp(): number {
    const origin = batchOriginTimestampAt(this.#bytes, this.#batchStart);
    const time = origin + frameTimestampDeltaAt(this.#bytes, this.#start);
    if (time > Number.MAX_SAFE_INTEGER) {
      throw new RangeError(
        `Cannot read origin timestamp at ${this.#start} as a number: it is above ${Number.MAX_SAFE_INTEGER}`,
      );
    }
    return time;
  }

  get payload(): Uint8Array<ArrayBuffer> {
    const start = this.#start + FRAME_HEADER_BYTES;
    return this.#bytes.subarray(start, this.#payloadEnd);
  }

  get userHeaders(): UserHeader[] {
    return decodeUserHeaders(this.#bytes.subarray(this.#payloadEnd, this.#end));
  }

  text(): string {
    return decoder.decode(this.payload);
  }

  json(): unknown {
    return JSON.parse(this.text());
  }

  copy(): Message {
    const header = this.#batchStart + BATCH_HEADER_BYTES;
    const length = this.#end - this.#start;
    const bytes = new Uint8Array(BATCH_HEADER_BYTES + length);
    bytes.set(this.#bytes.subarray(this.#batchStart, header));
    bytes.set(
      this.#bytes.subarray(this.#start, this.#end),
      BATCH_HEADER_BYTES,
    );
    return readFrame(bytes, BATCH_HEADER_BYTES, 0);
  }

  /** Shows the fields in `console.log`, which leaves out getters. */
  [Symbol.for("Deno.customInspect")](
    inspect: typeof Deno.inspect,
    options: Deno.InspectOptions,
  ): string {
    if (this.#bytes.length === 0) return "Message (its bytes were dropped)";
    const { offset, id, timestamp, payload } = this;
    return `Message ${inspect({ offset, id, timestamp, payload }, options)}`;
  }
}
