/** How often a queue looks for memory that another isolate or a native thread gave back, in milliseconds. */
const POLL_MS = 5;

/** A request that waits. */
interface Waiter<T> {
  /** Tries to serve the request; `null` when there is no room yet. */
  readonly attempt: () => T | null;
  readonly resolve: (value: T) => void;
  readonly reject: (reason: unknown) => void;
  readonly signal: AbortSignal | undefined;
  readonly onAbort: (() => void) | undefined;
}

/** Requests that wait for memory, served in the order in which they came. */
export class WaitQueue<T> {
  /** A set keeps the order, and lets one leave from the middle. */
  readonly #waiters = new Set<Waiter<T>>();
  readonly #onChange: (waiting: boolean) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #serving = false;

  /** Makes an empty queue; `onChange` is told when it stops or begins to be empty. */
  constructor(onChange: (waiting: boolean) => void) {
    this.#onChange = onChange;
  }

  /** Requests that wait. */
  get size(): number {
    return this.#waiters.size;
  }

  /** Joins the queue. Rejects with the signal's reason when it is aborted, and with what `attempt` throws. */
  wait(attempt: () => T | null, signal?: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      const onAbort = signal === undefined ? undefined : () => {
        this.#leave(waiter);
        reject(signal.reason);
        // The next in line may ask for less.
        this.serve();
      };
      const waiter: Waiter<T> = { attempt, resolve, reject, signal, onAbort };
      if (onAbort !== undefined) {
        signal!.addEventListener("abort", onAbort, { once: true });
      }
      this.#waiters.add(waiter);
      if (this.#waiters.size === 1) this.#onChange(true);
      this.#arm();
    });
  }

  /** Serves requests from the head as far as there is room. */
  serve(): void {
    if (this.#serving) return;
    this.#serving = true;
    try {
      for (const waiter of this.#waiters) {
        try {
          const value = waiter.attempt();
          if (value === null) break;
          this.#leave(waiter);
          waiter.resolve(value);
        } catch (error) {
          this.#leave(waiter);
          waiter.reject(error);
        }
      }
    } finally {
      this.#serving = false;
    }
  }

  /** Rejects every request. */
  clear(reason: unknown): void {
    for (const waiter of this.#waiters) {
      this.#leave(waiter);
      waiter.reject(reason);
    }
  }

  #leave(waiter: Waiter<T>): void {
    this.#waiters.delete(waiter);
    if (waiter.onAbort !== undefined) {
      waiter.signal!.removeEventListener("abort", waiter.onAbort);
    }
    if (this.#waiters.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#onChange(false);
  }

  #arm(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.serve();
      if (this.#waiters.size > 0) this.#arm();
    }, POLL_MS);
  }
}
