import type { Msg, MsgHdrs } from "@nats-io/nats-core";
import { abortable } from "../base/mod.ts";
import type { MessageBatch } from "../segment/mod.ts";
import { type ShippedLog, ShippingError, type Sink } from "../ship/mod.ts";
import {
  LOG_HEADER,
  natsHeaders,
  OFFSET_HEADER,
  offsetOf,
} from "./_headers.ts";
import {
  type Acknowledgement,
  acknowledgement,
  CODE,
  isRefusal,
} from "./_replies.ts";
import {
  type JetStreamConnection,
  type JetStreamOptions,
  losses,
  StreamView,
} from "./_stream.ts";

/** Upper bound of the messages in an atomic batch, set by the server. */
const MAX_BATCH_MESSAGES = 1000;
/** Upper bound of the payload bytes in an atomic batch of several messages. */
const MAX_BATCH_BYTES = 2 * 1024 * 1024;

/** A message on its way: headers, and a copy of the payload. */
interface Outgoing {
  offset: number;
  headers: MsgHdrs;
  payload: Uint8Array;
}

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

/**
 * Publishes messages to a subject so that the server refuses them unless they follow the last one.
 *
 * The sequence that the last message of the subject must have goes with the first message of each
 * atomic batch, and is known from the acknowledgement of the batch before it. So one batch is in
 * flight: if a later one were sent before, without the sequence, a refusal would leave a gap.
 */
class JetStreamSink implements Sink {
  readonly #view: StreamView;
  // `next` sets these three.
  /** The sequence of the last message of the subject; 0 if there is none. */
  #lastSequence = 0;
  /** Whether the stream takes atomic batches. */
  #isAtomic = false;
  /** The largest message of the stream, in bytes; -1 if it has no limit of its own. */
  #maxMessageBytes = -1;
  #maxBatchMessages = MAX_BATCH_MESSAGES;
  /** Whether batches may have message ids; NATS 2.12.0 refuses them. */
  #hasBatchIds = true;

  constructor(view: StreamView) {
    this.#view = view;
  }

  async next(signal: AbortSignal, log: ShippedLog): Promise<number> {
    const { stream, subject } = this.#view;
    const config = await this.#view.config(signal);
    for (const loss of losses(config)) {
      log.warn(
        `Stream '${stream}' can remove the last message of subject '${subject}' (${loss}): then shipping cannot continue by itself`,
      );
    }
    this.#isAtomic = config.allow_atomic === true;
    this.#maxMessageBytes = config.max_msg_size;
    if (!this.#isAtomic) {
      log.warn(
        `Stream '${stream}' does not have 'allow_atomic' (NATS 2.12 or later): one message is in flight at a time`,
      );
    }
    const last = await this.#view.message(signal);
    this.#lastSequence = last?.seq ?? 0;
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

  /** Publishes the messages of a batch. After an error, any number of the first ones are stored. */
  async send(
    batch: MessageBatch,
    signal: AbortSignal,
    log: ShippedLog,
  ): Promise<void> {
    try {
      for (let from = 0; from < batch.count;) {
        const messages = this.#outgoing(batch, from, log);
        // Those before a message that is too large go first.
        if (messages.length === 0) this.#refuseLarge(batch, from);
        this.#accept(await this.#send(messages, signal), messages);
        from += messages.length;
      }
    } catch (error) {
      this.#view.refuseClosed(error);
      if (!isRefusal(error, CODE.MESSAGE_TOO_LARGE)) throw error;
      throw new ShippingError(
        "too large",
        `Stream '${this.#view.stream}' refuses a message of offsets [${batch.firstOffset}, ${batch.nextOffset}): ${error.message}`,
        { cause: error },
      );
    }
  }

  /**
   * Gathers the messages that one acknowledgement covers, from message `from` on. Copies them,
   * because the client may keep them longer than the batch lives.
   */
  #outgoing(batch: MessageBatch, from: number, log: ShippedLog): Outgoing[] {
    const most = this.#isAtomic ? this.#maxBatchMessages : 1;
    const end = Math.min(batch.count, from + most);
    const messages: Outgoing[] = [];
    let bytes = 0;
    for (let i = from; i < end; i++) {
      bytes += batch.lengths[i]!;
      if (i > from && bytes > MAX_BATCH_BYTES) break;
      const message = batch.message(i);
      const { offset } = message;
      const headers = natsHeaders(message, log.identity, (name) =>
        log.warn(
          `User header '${name}' cannot be a NATS header (first at offset ${offset}): it is left out`,
        ));
      if (!this.#isAtomic || this.#hasBatchIds) {
        headers.set("Nats-Msg-Id", `${log.identity}:${offset}`);
      }
      const payload = batch.payload(i).slice();
      if (this.#isTooLarge(headers, payload)) break;
      messages.push({ offset, headers, payload });
    }
    return messages;
  }

  /** Whether a message exceeds the limit of the servers or of the stream. */
  #isTooLarge(headers: MsgHdrs, payload: Uint8Array): boolean {
    const limit = this.#limitBytes;
    // The headers that are added later, and names with values, take less than this.
    const roomBytes = 512;
    return payload.length + roomBytes > limit &&
      payload.length + String(headers).length + roomBytes > limit;
  }

  get #limitBytes(): number {
    return Math.min(
      this.#view.connection.info?.max_payload ?? Infinity,
      this.#maxMessageBytes > 0 ? this.#maxMessageBytes : Infinity,
    );
  }

  #refuseLarge(batch: MessageBatch, i: number): never {
    throw new ShippingError(
      "too large",
      `Cannot ship offset ${batch.offset(i)}: its payload of ${
        batch.lengths[i]
      } bytes and its headers exceed the ${this.#limitBytes} bytes of a message that stream '${this.#view.stream}' and its servers take`,
    );
  }

  /**
   * Sends messages, as an atomic batch if the stream takes them. The first message tells whether
   * the batch begins, the last one whether it was stored.
   */
  async #send(
    messages: readonly Outgoing[],
    signal: AbortSignal,
  ): Promise<Acknowledgement> {
    const [first, last] = [messages[0]!, messages.at(-1)!];
    first.headers.set(
      "Nats-Expected-Last-Subject-Sequence",
      String(this.#lastSequence),
    );
    if (this.#isAtomic) markBatch(messages);
    const begin = this.#request(first);
    const { connection, subject } = this.#view;
    for (const { headers, payload } of messages.slice(1, -1)) {
      connection.publish(subject, payload, { headers });
    }
    const commit = first === last ? begin : this.#request(last);
    const replies = Promise.all([begin, commit]);
    const [begun, stored] = await abortable(replies, signal);
    try {
      // The reply to the first of several is empty, or says why there is no batch.
      if (begun.data.length > 0) acknowledgement(begun);
      return acknowledgement(stored);
    } catch (error) {
      this.#adapt(error);
      throw error;
    }
  }

  /** Adapts to what this version of the server refuses. */
  #adapt(error: unknown): void {
    if (isRefusal(error, CODE.BATCH_HEADER_UNSUPPORTED)) {
      this.#hasBatchIds = false;
    } else if (isRefusal(error, CODE.BATCH_TOO_LARGE)) {
      const limit = Number(/\d+/.exec(error.message)?.[0]);
      this.#maxBatchMessages = limit > 0 && limit < this.#maxBatchMessages
        ? limit
        : Math.max(1, this.#maxBatchMessages >> 1);
    }
  }

  #request({ payload, headers }: Outgoing): Promise<Msg> {
    const { connection, subject, timeoutMs: timeout } = this.#view;
    return connection.request(subject, payload, { headers, timeout });
  }

  /** Checks an acknowledgement, and continues after it. */
  #accept(
    { stream, seq, duplicate, count }: Acknowledgement,
    messages: readonly Outgoing[],
  ): void {
    const { offset } = messages[0]!;
    const wanted = this.#view.stream;
    if (stream !== wanted) {
      throw new ShippingError(
        "unfit",
        `Offset ${offset} was stored in stream '${stream}', not in '${wanted}'`,
      );
    }
    // It may have been removed since. Only the subject tells.
    if (duplicate) {
      throw new Error(`The server has seen offset ${offset} before`);
    }
    if (this.#isAtomic && count !== messages.length) {
      throw new Error(
        `The server stored ${count} messages of a batch of ${messages.length}`,
      );
    }
    this.#lastSequence = seq;
  }
}

/** Makes messages an atomic batch, which the last one commits. */
function markBatch(messages: readonly Outgoing[]): void {
  const id = crypto.randomUUID();
  messages.forEach(({ headers }, i) => {
    headers.set("Nats-Batch-Id", id);
    headers.set("Nats-Batch-Sequence", String(i + 1));
  });
  messages.at(-1)!.headers.set("Nats-Batch-Commit", "1");
}
