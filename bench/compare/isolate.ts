/**
 * Runs with another engine. An isolate chooses its engine once, so each choice has a worker of its
 * own.
 */
import type { EngineOptions } from "../../mod.ts";
import type { Actions } from "./programs/isolate_worker.ts";

/** A reply of the worker. */
export type Reply = { readonly value: unknown } | { readonly error: unknown };

/** A worker with engine options of its own, which runs one action at a time. */
export class Isolate implements Disposable {
  readonly #worker = new Worker(
    new URL("programs/isolate_worker.ts", import.meta.url),
    { type: "module" },
  );

  /** Starts the worker, and opens nothing yet. */
  constructor(engine: EngineOptions) {
    this.#worker.postMessage(engine);
  }

  /** Executes one of the {@linkcode Actions}. */
  run<Name extends keyof Actions>(
    name: Name,
    ...args: Parameters<Actions[Name]>
  ): Promise<Awaited<ReturnType<Actions[Name]>>> {
    return new Promise((resolve, reject) => {
      this.#worker.onmessage = ({ data }: MessageEvent<Reply>) => {
        if ("error" in data) reject(data.error);
        else resolve(data.value as Awaited<ReturnType<Actions[Name]>>);
      };
      this.#worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(event.message));
      };
      this.#worker.postMessage({ name, args });
    });
  }

  /** Ends the worker. */
  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}
