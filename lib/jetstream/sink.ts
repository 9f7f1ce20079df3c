import type { JetStreamConnection } from "./connection.ts";
import type { MessageBatch } from "../segment/mod.ts";
import { type ShippedLog, ShippingError, type Sink } from "../ship/mod.ts";
import { LOG_HEADER, OFFSET_HEADER, offsetOf } from "./_headers.ts";
import { Publisher } from "./_publisher.ts";
import { CODE, isRefusal } from "./_replies.ts";
import { type JetStreamOptions, losses, StreamView } from "./_stream.ts";

/**
 * Makes a destination of one subject of a JetStream stream, for `ship`.
 *
 * A message keeps its payload. User headers that are text or numbers become NATS headers, besides
 * `Nats-Msg-Id`, `Basalt-Log` and `Basalt-Offset`. The first message of an atomic batch carries the
 * expected last sequence of the subject, so a second shipper is refused even outside the duplicate
 * window. Without atomic batches (`allow_atomic`, NATS 2.12), each message carries it, and one
 * message is in flight.
 *
 * @param connection The connection, which the caller closes; `await using` drains it first. It
 *   should reconnect forever (`maxReconnectAttempts: -1`) and notice a silent server soon
 *   (`pingInterval`).
 * @throws {TypeError} If the subject has wildcards, or the stream has no name.
 *
 * @example A log at the edge
 * ```ts
 * import { Log } from "@basalt/io";
 * import { jetStreamSink } from "@basalt/io/jetstream";
 * import { ship } from "@basalt/io/ship";
 * import { connect } from "npm:@nats-io/transport-node@3.4.0";
 *
 * async function run(): Promise<void> {
 *   await using connection = await connect({
 *     servers: "nats://127.0.0.1:4222",
 *     maxReconnectAttempts: -1,
 *     pingInterval: 5000,
 *   });
 *   await using log = await Log.open("data/log");
 *   const sink = jetStreamSink(connection, { stream: "edge", subject: "edge.7" });
 *   await using shipping = ship(log, sink, { cursor: "jetstream" });
 *   await shipping.done;
 * }
 * ```
 */
export function jetStreamSink(
  connection: JetStreamConnection,
  options: JetStreamOptions,
): Sink {
  return new JetStreamSink(new StreamView(connection, options));
}

class JetStreamSink implements Sink {
  readonly #view: StreamView;
  readonly #publisher: Publisher;

  constructor(view: StreamView) {
    this.#view = view;
    this.#publisher = new Publisher(view);
  }

  async next(signal: AbortSignal, log: ShippedLog): Promise<number> {
    const { stream, subject } = this.#view.address;
    const config = await this.#view.config(signal);
    for (const loss of losses(config)) {
      log.warn(
        `Stream '${stream}' can remove the last message of subject '${subject}' (${loss}): then shipping cannot continue by itself`,
      );
    }
    const isAtomic = config.allow_atomic === true;
    if (!isAtomic) {
      log.warn(
        `Stream '${stream}' does not have 'allow_atomic' (NATS 2.12 or later): one message is in flight at a time`,
      );
    }
    const last = await this.#view.last(signal);
    this.#publisher.start = {
      lastSequence: last?.seq ?? 0,
      isAtomic,
      maxMessageBytes: config.max_msg_size,
    };
    if (last === null) return 0;
    const offset = offsetOf(last.header);
    const identity = last.header.get(LOG_HEADER);
    if (offset === undefined || identity === "") {
      throw new ShippingError(
        "other log",
        `The last message of subject '${subject}' (sequence ${last.seq} of stream '${stream}') was not shipped from a log: it has no ${OFFSET_HEADER}`,
      );
    }
    if (identity !== log.identity) {
      throw new ShippingError(
        "other log",
        `Subject '${subject}' of stream '${stream}' holds log ${identity}, and log '${log.path}' is ${log.identity}: a log that was made again needs a subject of its own`,
      );
    }
    return offset + 1;
  }

  async send(
    batch: MessageBatch,
    signal: AbortSignal,
    log: ShippedLog,
  ): Promise<void> {
    try {
      await this.#publisher.publish(batch, log, signal);
    } catch (error) {
      this.#view.refuseClosed(error);
      if (!isRefusal(error, CODE.MESSAGE_TOO_LARGE)) throw error;
      throw new ShippingError(
        "too large",
        `Stream '${this.#view.address.stream}' refuses a message of offsets [${batch.firstOffset}, ${batch.nextOffset}): ${error.message}`,
        { cause: error },
      );
    }
  }
}
