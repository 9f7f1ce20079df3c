import { decodeUserHeaders, type UserHeader } from "../user_headers.ts";
import { decodeText, type Message } from "../message.ts";
import { formatUuid } from "../uuid.ts";
import {
  HEADER_BYTES,
  messageOffsetAt,
  originTimestampAt,
  timestampAt,
} from "./header.ts";

/** A message as import reads it: it lies in the file's bytes. */
type LegacyMessage = Omit<Message, "json" | "copy">;

/**
 * A message that lies in `bytes` and was found good by a scan, which also told its lengths; they
 * are not taken from the bytes a second time.
 *
 * @param start Where its header starts.
 * @param payloadLength Bytes of the payload.
 * @param totalLength Bytes of the header, the payload and the user headers.
 * @throws {RangeError} If the message does not lie within the bytes, or is shorter than its header
 * and payload. Reading a field later throws a `RangeError` or `TypeError` once the bytes' buffer
 * was dropped.
 */
export function readMessage(
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  payloadLength: number,
  totalLength: number,
): LegacyMessage {
  if (
    !(start >= 0 && start + totalLength <= bytes.length && payloadLength >= 0 &&
      HEADER_BYTES + payloadLength <= totalLength)
  ) {
    throw new RangeError(
      `Cannot read message at ${start} with ${payloadLength} bytes of payload and ${totalLength} in all as it must lie within the bytes: there are ${bytes.length}`,
    );
  }
  return new MessageView(bytes, start, payloadLength, totalLength);
}

class MessageView implements LegacyMessage {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #start: number;
  readonly #payloadEnd: number;
  readonly #end: number;

  constructor(
    bytes: Uint8Array<ArrayBuffer>,
    start: number,
    payloadLength: number,
    totalLength: number,
  ) {
    this.#bytes = bytes;
    this.#start = start;
    this.#payloadEnd = start + HEADER_BYTES + payloadLength;
    this.#end = start + totalLength;
  }

  get offset(): number {
    return messageOffsetAt(this.#bytes, this.#start);
  }

  get id(): string {
    return formatUuid(this.#bytes, this.#start + 8);
  }

  get timestamp(): number {
    return timestampAt(this.#bytes, this.#start);
  }

  get originTimestamp(): number {
    return originTimestampAt(this.#bytes, this.#start);
  }

  get payload(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(this.#start + HEADER_BYTES, this.#payloadEnd);
  }

  get userHeaders(): UserHeader[] {
    return decodeUserHeaders(this.#bytes.subarray(this.#payloadEnd, this.#end));
  }

  text(): string {
    return decodeText(this.payload);
  }

  /** What `console.log` shows: the fields, which lie in the prototype. */
  [Symbol.for("Deno.customInspect")](
    inspect: typeof Deno.inspect,
    options: Deno.InspectOptions,
  ): string {
    if (this.#bytes.length === 0) return "Message (its bytes were dropped)";
    const { offset, id, timestamp, payload } = this;
    return `Message ${inspect({ offset, id, timestamp, payload }, options)}`;
  }
}
