import {
  type ApiError,
  JetStreamApiError,
  type PubAck,
} from "@nats-io/jetstream";
import type { Msg } from "@nats-io/nats-core";

/** Error numbers of the server. */
export const CODE = {
  MESSAGE_TOO_LARGE: 10054,
  STREAM_NOT_FOUND: 10059,
  BATCH_HEADER_UNSUPPORTED: 10177,
  BATCH_TOO_LARGE: 10199,
} as const;

/** Whether an error is the refusal of the server with this number. */
export function isRefusal(
  error: unknown,
  code: number,
): error is JetStreamApiError {
  return error instanceof JetStreamApiError && error.code === code;
}

/** What the server acknowledged: one message or, with a count, a batch. */
export type Acknowledgement = PubAck & { count?: number };

/**
 * Reads an acknowledgement.
 *
 * @throws {JetStreamApiError} If it is an error.
 */
export function acknowledgement(reply: Msg): Acknowledgement {
  const { error, ...acknowledged } = reply.json<
    Acknowledgement & { error?: ApiError }
  >();
  if (error === undefined) return acknowledged;
  throw new JetStreamApiError(error);
}
