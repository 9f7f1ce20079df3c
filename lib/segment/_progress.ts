import { checkInteger, onAbort } from "../base/mod.ts";

/** A call that waits until a consumer is done with a message. */
interface Waiter {
  readonly offset: number;
  resolve(): void;
  reject(reason: unknown): void;
}

/** Tells how far the consumer of an iterator has come to those who wait for that. */
export class Progress {
  /** The consumer is done with all messages below this offset. */
  #doneOffset = 0;
  /** Ascending by offset, as calls nearly always come. */
  readonly #waiters: Waiter[] = [];
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
    let count = 0;
    while (count < waiters.length && waiters[count]!.offset < offset) count++;
    if (count === 0) return;
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
  // deno-lint-ignore require-await -- a wrong offset rejects, too
  async reached(offset: number, signal?: AbortSignal): Promise<void> {
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
