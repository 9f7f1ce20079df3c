import { onAbort } from "../base/mod.ts";

/** Reports that the user ended the command. */
export class Interrupted extends Error {
  /** `"Interrupted"`. */
  override readonly name: string = "Interrupted";
}

/** Lets a command end in order after Ctrl-C. A second Ctrl-C ends the process at once. */
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

  /** Aborted by Ctrl-C. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Resolves as the work does, or to `undefined` after Ctrl-C. The work then continues. */
  async orElse<T>(work: Promise<T>): Promise<T | undefined> {
    if (this.signal.aborted) return undefined;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const end = onAbort(this.signal, () => resolve(undefined));
    return await Promise.race([work, promise]).finally(end);
  }

  /** Stops listening: Ctrl-C ends the process again. */
  [Symbol.dispose](): void {
    Deno.removeSignalListener("SIGINT", this.#listener);
    Deno.removeSignalListener("SIGTERM", this.#listener);
  }
}
