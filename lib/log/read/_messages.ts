import type {
  BatchIterator,
  LogIterator,
  Message,
  MessageBatch,
} from "../../segment/mod.ts";

const DONE: IteratorReturnResult<void> = { done: true, value: undefined };

/**
 * Iterates over messages. A message is valid until the next one is requested or the iterator is
 * left; `copy()` makes it last.
 *
 * Calls of `next` are served in order, also if a call does not wait for the one before it.
 */
export class MessageIterator implements LogIterator<Message> {
  readonly #batches: BatchIterator;
  #batch: MessageBatch | undefined;
  /** Index of the next message in the batch. */
  #number = 0;
  /** The pending calls, as one promise that never rejects, and their number. */
  #running: Promise<unknown> = Promise.resolve();
  #pending = 0;

  /** @internal */
  constructor(batches: BatchIterator) {
    this.#batches = batches;
  }

  get caughtUp(): Promise<void> {
    return this.#batches.caughtUp;
  }

  reached(
    offset: number,
    options?: { signal?: AbortSignal },
  ): Promise<void> {
    return this.#batches.reached(offset, options);
  }

  next(): Promise<IteratorResult<Message, void>> {
    const message = this.#pending === 0 ? this.#message() : undefined;
    if (message !== undefined) return Promise.resolve(message);
    this.#pending++;
    const next = this.#running.then(() => this.#next());
    this.#running = next.catch(() => {});
    return next;
  }

  async return(): Promise<IteratorReturnResult<void>> {
    this.#batch = undefined;
    await this.#batches.return();
    return DONE;
  }

  async throw(reason?: unknown): Promise<IteratorReturnResult<void>> {
    await this.return();
    throw reason;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  async #next(): Promise<IteratorResult<Message, void>> {
    try {
      const message = this.#message();
      if (message !== undefined) return message;
      this.#batch = undefined;
      const next = await this.#batches.next();
      if (next.done) return DONE;
      this.#batch = next.value;
      this.#number = 0;
      return this.#message()!;
    } finally {
      this.#pending--;
    }
  }

  /** Returns the next message of the batch; `undefined` if there is none. */
  #message(): IteratorYieldResult<Message> | undefined {
    const batch = this.#batch;
    if (batch === undefined || this.#number >= batch.count) return undefined;
    const number = this.#number++;
    if (number > 0) this.#batches.advance(batch.firstOffset + number);
    return { done: false, value: batch.message(number) };
  }
}
