/** A call that waits until a consumer is done with a message. */
interface Waiter {
  readonly offset: number;
  resolve(): void;
  reject(reason: unknown): void;
}

/** How far the consumer of an iterator has come, and all who wait for that. */
export class Progress {
  /** The consumer is done with all messages below this offset. */
  #doneOffset = 0;
  /** Ascending by offset, as calls nearly always come. */
  #waiters: Waiter[] = [];
  readonly #caughtUp = Promise.withResolvers<void>();
  /** Why nothing more will be consumed, once that is so. */
  #end: { reason: unknown } | undefined;

  constructor() {
    // A rejection that no caller looks at is no error of the program.
    this.#caughtUp.promise.catch(() => {});
  }

  /** Resolves when the consumer is done with what was there at the start. */
  get caughtUp(): Promise<void> {
    return this.#caughtUp.promise;
  }

  /** The consumer is done with all messages below an offset. */
  advance(offset: number): void {
    this.#doneOffset = offset;
    const waiters = this.#waiters;
    if (waiters.length === 0 || waiters[0]!.offset >= offset) return;
    let count = 1;
    while (count < waiters.length && waiters[count]!.offset < offset) count++;
    for (const waiter of waiters.splice(0, count)) waiter.resolve();
  }

  /** The consumer is done with what was there at the start. */
  catchUp(): void {
    this.#caughtUp.resolve();
  }

  /** Rejects all who wait: nothing more will be consumed. */
  end(reason: unknown): void {
    if (this.#end !== undefined) return;
    this.#end = { reason };
    this.#caughtUp.reject(reason);
    for (const waiter of this.#waiters.splice(0)) waiter.reject(reason);
  }

  /** Resolves when the consumer is done with the message at `offset`. */
  reached(offset: number, signal?: AbortSignal): Promise<void> {
    if (!Number.isSafeInteger(offset) || offset < 0) {
      return Promise.reject(
        new RangeError(
          `Cannot wait as 'offset' must be an integer of at least 0: received ${offset}`,
        ),
      );
    }
    if (offset < this.#doneOffset) return Promise.resolve();
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#end !== undefined) return Promise.reject(this.#end.reason);
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
        reject(signal!.reason);
      };
      const over = () => signal?.removeEventListener("abort", abort);
      const waiter: Waiter = {
        offset,
        resolve: () => (over(), resolve()),
        reject: (reason) => (over(), reject(reason)),
      };
      signal?.addEventListener("abort", abort, { once: true });
      this.#enqueue(waiter);
    });
  }

  #enqueue(waiter: Waiter): void {
    const waiters = this.#waiters;
    let at = waiters.length;
    while (at > 0 && waiters[at - 1]!.offset > waiter.offset) at--;
    waiters.splice(at, 0, waiter);
  }
}
