import {
  checkInteger,
  drive,
  driveSync,
  onAbort,
  type Task,
} from "../../base/mod.ts";
import type { MessageBatch } from "./message_batch.ts";

/** Gives batches of messages, one after the other. */
export interface BatchSource {
  /** Returns the next batch, which the caller must drop; `undefined` at the end. */
  next(): Task<MessageBatch | undefined>;
  /** Closes the files. */
  close(): Task<void>;
  /** Called when `next` is called for more than was there at the start. */
  onCaughtUp?: () => void;
}

/** How a {@linkcode BatchIterator} ends, and who drops its batches. */
export interface BatchIteratorOptions {
  /** Ends the waits of the source. The iterator aborts it when it is left. */
  leaving?: AbortController;
  /** The caller's signal, which also ends the waits of the source. */
  signal?: AbortSignal | undefined;
  /** Whether the consumer drops the batches. Default: `false`. */
  givesAway?: boolean;
}

/**
 * Iterates over the messages of a log, and tells how far the consumer has come.
 *
 * A consumer that builds a view, such as balances by account, can wait until the view has all
 * earlier messages (`caughtUp`), or a message that was just appended (`reached`).
 */
export interface LogIterator<T>
  extends AsyncIterableIterator<T, void, void>, AsyncDisposable {
  /**
   * Resolves when the consumer has processed all messages that existed at the start, that is,
   * requests the next one. Rejects if the iteration ends before.
   */
  readonly caughtUp: Promise<void>;
  /**
   * Resolves when the consumer has processed the message at `offset`, that is, has requested a
   * later one. Rejects if the iteration ends before, with its error if it has one.
   *
   * @throws {RangeError} If `offset` is not a valid offset.
   */
  reached(offset: number, options?: { signal?: AbortSignal }): Promise<void>;
  /** Ends the iteration: closes the files, and ends the wait for more. */
  return(): Promise<IteratorReturnResult<void>>;
}

/** A call that waits until the consumer has processed a message. */
interface Waiter {
  readonly offset: number;
  resolve(): void;
  reject(reason: unknown): void;
}

/** Tells how far the consumer of an iterator has come. */
class Progress implements Pick<LogIterator<unknown>, "caughtUp" | "reached"> {
  /** The consumer has processed all messages below this offset. */
  #doneOffset = 0;
  /** The waiters, ascending by offset. Most calls come in that order. */
  readonly #waiters: Waiter[] = [];
  readonly #caughtUp = Promise.withResolvers<void>();
  /** Why no more messages will be processed, once that is so. */
  #end: { reason: unknown } | undefined;

  constructor() {
    // A caller need not use the promise, so its rejection is not an error of the program.
    this.#caughtUp.promise.catch(() => {});
  }

  get caughtUp(): Promise<void> {
    return this.#caughtUp.promise;
  }

  /** Notes that the consumer has processed all messages below an offset. @internal */
  advance(offset: number): void {
    this.#doneOffset = offset;
    const waiters = this.#waiters;
    let count = 0;
    while (count < waiters.length && waiters[count]!.offset < offset) count++;
    if (count === 0) return;
    for (const waiter of waiters.splice(0, count)) waiter.resolve();
  }

  /** Notes that the consumer has processed what was there at the start. @internal */
  catchUp(): void {
    this.#caughtUp.resolve();
  }

  /** Rejects all waiters, because no more messages will be processed. @internal */
  end(reason: unknown): void {
    if (this.#end !== undefined) return;
    this.#end = { reason };
    this.#caughtUp.reject(reason);
    for (const waiter of this.#waiters.splice(0)) waiter.reject(reason);
  }

  // deno-lint-ignore require-await -- a wrong offset rejects, too
  async reached(
    offset: number,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<void> {
    checkInteger("wait", "offset", offset);
    if (offset < this.#doneOffset) return;
    signal?.throwIfAborted();
    if (this.#end !== undefined) throw this.#end.reason;
    const waiters = this.#waiters;
    const waiter = { offset, ...Promise.withResolvers<void>() };
    const at = waiters.findLastIndex((each) => each.offset <= offset);
    waiters.splice(at + 1, 0, waiter);
    if (signal === undefined) return waiter.promise;
    const unlisten = onAbort(signal, () => {
      const at = waiters.indexOf(waiter);
      if (at >= 0) waiters.splice(at, 1);
      waiter.reject(signal.reason);
    });
    return waiter.promise.finally(unlisten);
  }
}

const DONE: IteratorReturnResult<void> = { done: true, value: undefined };

/**
 * Iterates over batches. Each is valid until the next one is requested or the iterator is left;
 * `keep()` makes it last.
 *
 * Calls of `next` are served in their order, also when they overlap. A call ends all batches that
 * were returned before it. Files are closed at the end, after an error, and when the iterator is
 * left, which also ends a wait for more.
 */
export class BatchIterator extends Progress
  implements LogIterator<MessageBatch> {
  readonly #source: BatchSource;
  readonly #options: BatchIteratorOptions;
  /** The calls in progress, as one promise that never rejects. */
  #running: Promise<unknown> = Promise.resolve();
  /** Batches that the consumer has. */
  #given: MessageBatch[] = [];
  #isOver = false;

  /** @internal */
  constructor(source: BatchSource, options: BatchIteratorOptions = {}) {
    super();
    this.#source = source;
    this.#options = options;
    source.onCaughtUp = () => this.catchUp();
  }

  next(): Promise<IteratorResult<MessageBatch, void>> {
    this.#dropGiven();
    const next = this.#running.then(() => this.#next());
    this.#running = next.catch(() => {});
    return next;
  }

  async return(): Promise<IteratorReturnResult<void>> {
    this.#options.leaving?.abort();
    this.#dropGiven();
    await this.#running;
    // The calls in progress may have returned some.
    this.#dropGiven();
    await this.#end(this.#leftError());
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

  #dropGiven(): void {
    for (const batch of this.#given.splice(0)) {
      this.advance(batch.nextOffset);
      batch.drop();
    }
  }

  async #next(): Promise<IteratorResult<MessageBatch, void>> {
    if (this.#isOver) return DONE;
    try {
      this.#options.signal?.throwIfAborted();
      const batch = await drive(this.#source.next());
      if (batch === undefined) {
        this.catchUp();
        await this.#end(this.#leftError());
        return DONE;
      }
      if (!this.#isLeft) {
        if (!this.#options.givesAway) this.#given.push(batch);
        return { done: false, value: batch };
      }
      batch.drop();
    } catch (error) {
      const wasLeft = this.#isLeft &&
        error === this.#options.leaving!.signal.reason;
      await this.#end(wasLeft ? this.#leftError() : error);
      if (!wasLeft) throw error;
    }
    return DONE;
  }

  get #isLeft(): boolean {
    return this.#options.leaving?.signal.aborted ?? false;
  }

  async #end(reason: unknown): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    this.end(reason);
    await drive(this.#source.close());
  }

  /** Returns the error for calls that wait for more than the consumer took. */
  #leftError(): Error {
    return new Deno.errors.Interrupted(
      "Cannot wait for a message as the iteration has ended before it",
    );
  }
}

/** Sync version of {@linkcode BatchIterator}. */
export function* iterateSync(
  source: BatchSource,
): Generator<MessageBatch, void, void> {
  let batch: MessageBatch | undefined;
  try {
    for (;;) {
      batch = driveSync(source.next());
      if (batch === undefined) return;
      yield batch;
      batch.drop();
    }
  } finally {
    batch?.drop();
    driveSync(source.close());
  }
}
