import type { Msg, MsgHdrs } from "@nats-io/nats-core";
import { abortable } from "../base/mod.ts";
import type { MessageBatch } from "../segment/mod.ts";
import { type ShippedLog, ShippingError } from "../ship/mod.ts";
import { natsHeaders } from "./_headers.ts";
import {
  type Acknowledgement,
  acknowledgement,
  CODE,
  isRefusal,
} from "./_replies.ts";
import type { StreamView } from "./_stream.ts";

/** Upper bound of the messages in an atomic batch, set by the server. */
const MAX_BATCH_MESSAGES = 1000;
/** Upper bound of the payload bytes in an atomic batch of several messages. */
const MAX_BATCH_BYTES = 2 * 1024 * 1024;

/** The state of the stream that the next message follows. */
export interface PublisherStart {
  /** The sequence of the last message of the subject; 0 if there is none. */
  lastSequence: number;
  /** Whether the stream takes atomic batches. */
  isAtomic: boolean;
  /** The largest message of the stream, in bytes; -1 if it has no limit of its own. */
  maxMessageBytes: number;
}

/** A message on its way: headers, and a copy of the payload. */
interface Outgoing {
  offset: number;
  headers: MsgHdrs;
  payload: Uint8Array;
}

/**
 * Publishes messages to a subject so that the server refuses them unless they follow the last one.
 *
 * The sequence that the last message of the subject must have goes with the first message of each
 * atomic batch, and is known from the acknowledgement of the batch before it. So one batch is in
 * flight: if a later one were sent before, without the sequence, a refusal would leave a gap.
 */
export class Publisher {
  readonly #view: StreamView;
  /** The caller sets it at the start, and again after an error. */
  start: PublisherStart = {
    lastSequence: 0,
    isAtomic: false,
    maxMessageBytes: -1,
  };
  #maxBatchMessages = MAX_BATCH_MESSAGES;
  /** Whether batches may have message ids; NATS 2.12.0 refuses them. */
  #hasBatchIds = true;

  constructor(view: StreamView) {
    this.#view = view;
  }

  /**
   * Publishes the messages of a batch; they are stored when this resolves. After an error, any
   * number of the first ones may be.
   */
  async publish(
    batch: MessageBatch,
    log: ShippedLog,
    signal: AbortSignal,
  ): Promise<void> {
    for (let from = 0; from < batch.count;) {
      const messages = this.#outgoing(batch, from, log);
      // Those before a message that is too large go first.
      if (messages.length === 0) this.#refuseLarge(batch, from);
      this.#accept(await this.#send(messages, signal), messages);
      from += messages.length;
    }
  }

  /**
   * Gathers the messages that one acknowledgement covers, from message `from` on. Copies them,
   * because the client may keep them longer than the batch lives.
   */
  #outgoing(batch: MessageBatch, from: number, log: ShippedLog): Outgoing[] {
    const { isAtomic } = this.start;
    const most = isAtomic ? this.#maxBatchMessages : 1;
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
      if (!isAtomic || this.#hasBatchIds) {
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
    const limit = this.#maxMessageBytes;
    // The headers that are added later, and names with values, take less than this.
    const roomBytes = 512;
    return payload.length + roomBytes > limit &&
      payload.length + String(headers).length + roomBytes > limit;
  }

  get #maxMessageBytes(): number {
    const { maxMessageBytes } = this.start;
    return Math.min(
      this.#view.connection.info?.max_payload ?? Infinity,
      maxMessageBytes > 0 ? maxMessageBytes : Infinity,
    );
  }

  #refuseLarge(batch: MessageBatch, i: number): never {
    throw new ShippingError(
      "too large",
      `Cannot ship offset ${batch.offset(i)}: its payload of ${
        batch.lengths[i]
      } bytes and its headers exceed the ${this.#maxMessageBytes} bytes of a message that stream '${this.#view.address.stream}' and its servers take`,
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
    const { isAtomic, lastSequence } = this.start;
    const [first, last] = [messages[0]!, messages.at(-1)!];
    first.headers.set(
      "Nats-Expected-Last-Subject-Sequence",
      String(lastSequence),
    );
    if (isAtomic) markBatch(messages);
    const begin = this.#request(first);
    const { connection, address } = this.#view;
    for (const { headers, payload } of messages.slice(1, -1)) {
      connection.publish(address.subject, payload, { headers });
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
    const { connection, address, timeoutMs: timeout } = this.#view;
    return connection.request(address.subject, payload, { headers, timeout });
  }

  /** Checks an acknowledgement, and continues after it. */
  #accept(
    { stream, seq, duplicate, count }: Acknowledgement,
    messages: readonly Outgoing[],
  ): void {
    const { offset } = messages[0]!;
    const wanted = this.#view.address.stream;
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
    if (this.start.isAtomic && count !== messages.length) {
      throw new Error(
        `The server stored ${count} messages of a batch of ${messages.length}`,
      );
    }
    this.start = { ...this.start, lastSequence: seq };
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
