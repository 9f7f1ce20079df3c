import { microsOf, type Time } from "../../base/mod.ts";
import {
  decodeUserHeaders,
  encodeUserHeaders,
  FRAME_HEADER_BYTES,
  MAX_PAYLOAD_BYTES,
  MAX_USER_HEADERS_BYTES,
  parseUuid,
  type UserHeadersInit,
} from "../../codec/mod.ts";

/** A condition for an append. */
export interface ExpectOptions {
  /**
   * The offset that the message, or the first one of a batch, must get; otherwise nothing is
   * appended and `OffsetConflictError` is thrown. Default: any.
   */
  expect?: number;
}

/** The parts of a message besides its payload. */
export interface AppendOptions extends ExpectOptions {
  /** The message's id: the text of a UUID, or 16 bytes. Default: a random UUID v4. */
  id?: string | Uint8Array;
  /** When the producer made the message. Default: the append time. */
  originTimestamp?: Time;
  /** User headers, or their encoding. Default: none. */
  userHeaders?: UserHeadersInit | Uint8Array;
}

const ENCODER = new TextEncoder();
const NONE = new Uint8Array(0);

/** A message with checked parts. */
export interface PreparedMessage {
  /** The payload's bytes. */
  payload: Uint8Array;
  /** The user headers, encoded. */
  userHeaders: Uint8Array;
  /** The id as 16 bytes, if given. */
  id: Uint8Array | undefined;
  /** The producer time in microseconds, if given. */
  originTimestamp: number | undefined;
  /** Bytes of its frame: header, payload and user headers. */
  frameBytes: number;
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
  checkPayload(bytes);
  const userHeaders = options?.userHeaders === undefined
    ? NONE
    : encodedHeaders(options.userHeaders);
  const time = options?.originTimestamp;
  return {
    payload: bytes,
    userHeaders,
    id: options?.id === undefined ? undefined : idBytes(options.id),
    originTimestamp: time === undefined
      ? undefined
      : microsOf("append", "originTimestamp", time),
    frameBytes: FRAME_HEADER_BYTES + bytes.length + userHeaders.length,
  };
}

/**
 * Checks the bytes of a payload.
 *
 * @throws {RangeError} If they are too many.
 * @throws {TypeError} If they are no bytes, or their buffer was detached.
 */
export function checkPayload(bytes: Uint8Array): void {
  if (!(bytes instanceof Uint8Array)) {
    throw new TypeError(
      `Cannot append as 'payload' must be a Uint8Array or a string: received ${typeof bytes}`,
    );
  }
  if (bytes.length === 0) checkAttached("payload", bytes);
  if (bytes.length > MAX_PAYLOAD_BYTES) {
    throw new RangeError(
      `Cannot append as 'payload' must be at most ${MAX_PAYLOAD_BYTES} bytes: received ${bytes.length}`,
    );
  }
}

/** Throws a `TypeError` if a view is empty because its buffer was detached. */
export function checkAttached(name: string, bytes: Uint8Array): void {
  if (!(bytes.buffer as ArrayBuffer).detached) return;
  throw new TypeError(
    `Cannot append as '${name}' is a view whose buffer was detached: it was transferred, or its owner dropped it`,
  );
}

function encodedHeaders(given: UserHeadersInit | Uint8Array): Uint8Array {
  if (!(given instanceof Uint8Array)) return encodeUserHeaders(given);
  if (given.length > MAX_USER_HEADERS_BYTES) {
    throw new RangeError(
      `Cannot append as 'userHeaders' must be at most ${MAX_USER_HEADERS_BYTES} bytes when encoded: received ${given.length}`,
    );
  }
  // Refuses what is no encoding.
  decodeUserHeaders(given);
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
