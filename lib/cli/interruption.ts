/** The user ended the command. */
export class Interrupted extends Error {
  /** `"Interrupted"`. */
  override readonly name: string = "Interrupted";
}

/**
 * Listens for Ctrl-C while a command runs that must end in order. The second one ends the process
 * at once.
 */
export class Interruption implements Disposable {
  readonly #controller = new AbortController();
  readonly #listener = (): void => {
    if (this.signal.aborted) Deno.exit(130);
    this.#controller.abort();
  };

  /** Begins to listen. */
  constructor() {
    Deno.addSignalListener("SIGINT", this.#listener);
    Deno.addSignalListener("SIGTERM", this.#listener);
  }

  /** Aborted when the user wants the end. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** What settles first: `undefined` if that is the user's wish. The work itself goes on. */
  async orElse<T>(work: Promise<T>): Promise<T | undefined> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const listener = (): void => resolve(undefined);
    this.signal.addEventListener("abort", listener);
    try {
      return this.signal.aborted
        ? undefined
        : await Promise.race([work, promise]);
    } finally {
      this.signal.removeEventListener("abort", listener);
    }
  }

  /** Ctrl-C ends the process again. */
  [Symbol.dispose](): void {
    Deno.removeSignalListener("SIGINT", this.#listener);
    Deno.removeSignalListener("SIGTERM", this.#listener);
  }
}
