import type { Msg, MsgHdrs, NatsConnection } from "@nats-io/nats-core";
import type { MessageBatch } from "../segment/mod.ts";
import { type ShippedLog, ShippingError } from "../ship/mod.ts";
import { type Acknowledgement, acknowledgement, CODE } from "./_api_error.ts";
import { PublishError } from "./_api_error.ts";
import { natsHeaders } from "./_headers.ts";
import { orAborted } from "./_signal.ts";
import type { JetStreamAddress } from "./_stream.ts";

/** Messages of an atomic batch at most, by the server's limit. */
const MAX_BATCH_MESSAGES = 1000;
/** Bytes of payloads in an atomic batch, beside its first message. */
const MAX_BATCH_BYTES = 2 * 1024 * 1024;

/** What a publisher starts from. */
export interface PublisherStart {
  /** The sequence of the last message of the subject; 0 if there is none. */
  lastSequence: number;
  /** Whether the stream takes atomic batches. */
  isAtomic: boolean;
  /** Bytes of a message that the stream takes at most; -1 for no limit of its own. */
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
  readonly #connection: NatsConnection;
  readonly #address: JetStreamAddress;
  readonly #timeoutMs: number;
  #start: PublisherStart = {
    lastSequence: 0,
    isAtomic: false,
    maxMessageBytes: -1,
  };
  #maxBatchMessages = MAX_BATCH_MESSAGES;
  /** Whether batches may have message ids; NATS 2.12.0 refuses them. */
  #hasBatchIds = true;

  constructor(
    connection: NatsConnection,
    address: JetStreamAddress,
    timeoutMs: number,
  ) {
    this.#connection = connection;
    this.#address = address;
    this.#timeoutMs = timeoutMs;
  }

  /** Starts after a message, or again after an error. */
  start(start: PublisherStart): void {
    this.#start = start;
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
    const { isAtomic } = this.#start;
    for (let from = 0; from < batch.count;) {
      const to = isAtomic ? this.#endOf(batch, from) : from + 1;
      const messages = this.#outgoing(batch, from, to, log);
      // Those before a message that is too large go first.
      if (messages.length === 0) this.#refuseLarge(batch, from);
      const acknowledged = isAtomic
        ? await this.#publishBatch(messages, signal)
        : await this.#publishOne(messages[0]!, signal);
      this.#accept(acknowledged, messages);
      from += messages.length;
    }
  }

  /** Returns the end of the atomic batch that begins at message `from`. */
  #endOf(batch: MessageBatch, from: number): number {
    let bytes = batch.lengths[from]!;
    let to = from + 1;
    const most = Math.min(batch.count, from + this.#maxBatchMessages);
    while (to < most && (bytes += batch.lengths[to]!) <= MAX_BATCH_BYTES) to++;
    return to;
  }

  /** Copies messages, because the client may keep them longer than the batch lives. */
  #outgoing(
    batch: MessageBatch,
    from: number,
    to: number,
    log: ShippedLog,
  ): Outgoing[] {
    const { isAtomic } = this.#start;
    const messages: Outgoing[] = [];
    for (let i = from; i < to; i++) {
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

  /** Whether no server of this connection, or the stream, takes a message. */
  #isTooLarge(headers: MsgHdrs, payload: Uint8Array): boolean {
    const limit = this.#maxMessageBytes;
    // The headers that are added later, and names with values, take less than this.
    const roomBytes = 512;
    return payload.length + roomBytes > limit &&
      payload.length + String(headers).length + roomBytes > limit;
  }

  get #maxMessageBytes(): number {
    const { maxMessageBytes } = this.#start;
    return Math.min(
      this.#connection.info?.max_payload ?? Infinity,
      maxMessageBytes > 0 ? maxMessageBytes : Infinity,
    );
  }

  #refuseLarge(batch: MessageBatch, i: number): never {
    throw new ShippingError(
      "too large",
      `Cannot ship offset ${batch.offset(i)}: its payload of ${
        batch.lengths[i]
      } bytes and its headers exceed the ${this.#maxMessageBytes} bytes of a message that stream '${this.#address.stream}' and its servers take`,
    );
  }

  async #publishOne(
    message: Outgoing,
    signal: AbortSignal,
  ): Promise<Acknowledgement> {
    this.#fence(message);
    return acknowledgement(await orAborted(this.#request(message), signal));
  }

  /** The first message tells whether the batch begins, the last one whether it was stored. */
  async #publishBatch(
    messages: readonly Outgoing[],
    signal: AbortSignal,
  ): Promise<Acknowledgement> {
    const id = crypto.randomUUID();
    this.#fence(messages[0]!);
    messages.forEach(({ headers }, i) => {
      headers.set("Nats-Batch-Id", id);
      headers.set("Nats-Batch-Sequence", String(i + 1));
    });
    messages.at(-1)!.headers.set("Nats-Batch-Commit", "1");
    const first = this.#request(messages[0]!);
    for (const { headers, payload } of messages.slice(1, -1)) {
      this.#connection.publish(this.#address.subject, payload, { headers });
    }
    const last = messages.length === 1
      ? first
      : this.#request(messages.at(-1)!);
    const replies = Promise.all([first, last]);
    const [begun, stored] = await orAborted(replies, signal);
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
    if (!(error instanceof PublishError)) return;
    if (error.code === CODE.BATCH_HEADER_UNSUPPORTED) this.#hasBatchIds = false;
    if (error.code === CODE.BATCH_TOO_LARGE) {
      const limit = Number(/\d+/.exec(error.message)?.[0]);
      this.#maxBatchMessages = limit > 0 && limit < this.#maxBatchMessages
        ? limit
        : Math.max(1, this.#maxBatchMessages >> 1);
    }
  }

  #fence({ headers }: Outgoing): void {
    const { lastSequence } = this.#start;
    headers.set("Nats-Expected-Last-Subject-Sequence", String(lastSequence));
  }

  #request({ payload, headers }: Outgoing): Promise<Msg> {
    const options = { headers, timeout: this.#timeoutMs };
    return this.#connection.request(this.#address.subject, payload, options);
  }

  /** Takes an acknowledgement as where the next messages go on. */
  #accept(
    { stream, seq, duplicate, count }: Acknowledgement,
    messages: readonly Outgoing[],
  ): void {
    const { offset } = messages[0]!;
    const wanted = this.#address.stream;
    if (stream !== wanted) {
      throw new ShippingError(
        "unfit",
        `Offset ${offset} was stored in stream '${stream}', not in '${wanted}'`,
      );
    }
    // It may have been stored and removed since: only the subject tells.
    if (duplicate === true) {
      throw new Error(`The server has seen offset ${offset} before`);
    }
    if (this.#start.isAtomic && count !== messages.length) {
      throw new Error(
        `The server stored ${count} messages of a batch of ${messages.length}`,
      );
    }
    this.#start = { ...this.#start, lastSequence: seq };
  }
}
