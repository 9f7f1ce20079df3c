import type { Msg } from "@nats-io/nats-core";

/** Numbers of errors that the server gives. */
export const CODE = {
  MESSAGE_TOO_LARGE: 10054,
  STREAM_NOT_FOUND: 10059,
  WRONG_LAST_SEQUENCE: 10071,
  WRONG_LAST_SEQUENCE_UNKNOWN: 10164,
  BATCH_HEADER_UNSUPPORTED: 10177,
  BATCH_TOO_LARGE: 10199,
  BATCH_DUPLICATE: 10201,
} as const;

/** The server refused a message or a batch. */
export class PublishError extends Error {
  /** `"PublishError"`. */
  override readonly name: string = "PublishError";
  /** The number of the error. */
  readonly code: number;

  /** Makes the error. */
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** What the server acknowledged. */
export interface Acknowledgement {
  /** The stream that has the messages. */
  stream: string;
  /** The sequence of the last message. */
  seq: number;
  /** Whether the server had a message with this id before, and stored nothing. */
  duplicate?: boolean;
  /** The number of messages of a batch. */
  count?: number;
}

/**
 * Reads an acknowledgement.
 *
 * @throws {PublishError} If it is an error.
 */
export function acknowledgement(reply: Msg): Acknowledgement {
  const { error, ...acknowledged } = reply.json<
    Acknowledgement & { error?: { err_code: number; description: string } }
  >();
  if (error === undefined) return acknowledged;
  throw new PublishError(error.err_code, error.description);
}
