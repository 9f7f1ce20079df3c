import { onAbort } from "../base/mod.ts";

/** Polling interval for memory that another isolate or a native thread returned. */
const POLL_MS = 5;

/** A request that waits, linked to its neighbours: leaving costs the same anywhere in the queue. */
interface Waiter<T> {
  /** Tries to serve the request; returns `null` when there is no room yet. */
  readonly attempt: () => T | null;
  readonly resolve: (value: T) => void;
  readonly reject: (reason: unknown) => void;
  readonly signal: AbortSignal | undefined;
  /** Stops listening to the signal. */
  unlisten: (() => void) | undefined;
  before: Waiter<T> | undefined;
  after: Waiter<T> | undefined;
  isGone: boolean;
}

/** Requests that wait for memory, served in the order in which they came. */
export class WaitQueue<T> {
  readonly #onChange: (isWaiting: boolean) => void;
  #first: Waiter<T> | undefined;
  #last: Waiter<T> | undefined;
  #size = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isServing = false;

  /** Makes an empty queue; `onChange` is called when it stops or begins to be empty. */
  constructor(onChange: (isWaiting: boolean) => void) {
    this.#onChange = onChange;
  }

  /** Requests that wait. */
  get size(): number {
    return this.#size;
  }

  /**
   * Joins the queue. Rejects with the signal's reason when it is aborted, and with what `attempt`
   * throws.
   */
  wait(attempt: () => T | null, signal?: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter<T> = {
        attempt,
        resolve,
        reject,
        signal,
        unlisten: undefined,
        before: this.#last,
        after: undefined,
        isGone: false,
      };
      if (signal !== undefined) {
        waiter.unlisten = onAbort(signal, () => this.#aborted(waiter));
      }
      if (this.#last === undefined) this.#first = waiter;
      else this.#last.after = waiter;
      this.#last = waiter;
      if (++this.#size === 1) this.#onChange(true);
      this.#arm();
    });
  }

  /** Serves requests from the head as far as there is room. */
  serve(): void {
    if (this.#isServing) return;
    this.#isServing = true;
    try {
      for (
        let waiter = this.#first;
        waiter !== undefined;
        waiter = this.#first
      ) if (!this.#serve(waiter)) break;
    } finally {
      this.#isServing = false;
    }
  }

  /** Serves or rejects the request at the head. Returns whether it left. */
  #serve(waiter: Waiter<T>): boolean {
    const { signal } = waiter;
    // One signal may end many requests: those at the head leave together, without an attempt each.
    if (signal?.aborted) {
      this.#leave(waiter);
      waiter.reject(signal.reason);
      return true;
    }
    try {
      const value = waiter.attempt();
      if (value === null) return false;
      this.#leave(waiter);
      waiter.resolve(value);
    } catch (error) {
      this.#leave(waiter);
      waiter.reject(error);
    }
    return true;
  }

  /** Rejects every request. */
  clear(reason: unknown): void {
    for (let waiter = this.#first; waiter !== undefined; waiter = this.#first) {
      this.#leave(waiter);
      waiter.reject(reason);
    }
  }

  #aborted(waiter: Waiter<T>): void {
    if (waiter.isGone) return;
    const isHead = waiter === this.#first;
    this.#leave(waiter);
    waiter.reject(waiter.signal!.reason);
    // The next in line may ask for less.
    if (isHead) this.serve();
  }

  #leave(waiter: Waiter<T>): void {
    const { before, after } = waiter;
    if (before === undefined) this.#first = after;
    else before.after = after;
    if (after === undefined) this.#last = before;
    else after.before = before;
    waiter.isGone = true;
    waiter.unlisten?.();
    if (--this.#size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#onChange(false);
  }

  #arm(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.serve();
      if (this.#size > 0) this.#arm();
    }, POLL_MS);
  }
}
