import { driveSync, perform, type Task } from "../../base/mod.ts";
import { InFlight } from "../_in_flight.ts";

/**
 * Runs tasks that remove segments, one at a time, beside flushes. A caller that blocks finishes the
 * one in flight.
 */
export class Removals {
  readonly #inFlight = new InFlight();
  /** The pending tasks, as one promise that never rejects. */
  #last: Promise<void> | undefined;
  readonly #path: string;
  #isClosed = false;

  /** @param path The directory of the log, for errors. */
  constructor(path: string) {
    this.#path = path;
  }

  /** Runs a task after the pending ones. */
  run<T>(task: () => Task<T>): Promise<T> {
    const running = this.#last?.then(() => this.#start(task)) ??
      this.#start(task);
    const last = running.then(() => {}, () => {}).then(() => {
      if (this.#last === last) this.#last = undefined;
    });
    this.#last = last;
    return running;
  }

  /** Runs a task, blocking, after the one in flight. */
  runSync<T>(task: () => Task<T>): T {
    this.#inFlight.finishSync();
    return driveSync(task());
  }

  // deno-lint-ignore require-await -- a closed log rejects, too
  async #start<T>(task: () => Task<T>): Promise<T> {
    if (this.#isClosed) {
      throw new Deno.errors.BadResource(
        `Cannot remove segments of log '${this.#path}': it is closed`,
      );
    }
    return this.#inFlight.run(task());
  }

  /** Refuses further tasks, and waits for the one in flight. */
  close(): Task<void> {
    this.#isClosed = true;
    let done = (): void => {};
    return perform<void>({
      kind: "removal",
      begin: (resolve) => {
        done = resolve;
        if (this.#last === undefined) resolve();
        else this.#last.then(resolve);
      },
      runSync: () => this.#inFlight.finishSync(),
      settleSync: () => {
        this.#inFlight.finishSync();
        done();
      },
    });
  }
}
