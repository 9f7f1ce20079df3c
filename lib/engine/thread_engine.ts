import { setImmediate } from "node:timers";
import { checked, native } from "../native/mod.ts";
import type { Engine } from "./engine.ts";
import {
  checkOperation,
  COMPLETION_WORDS,
  encodeOperation,
  ENTRY_WORDS,
  type Operation,
} from "./operation.ts";
import { OperationError } from "./operation_error.ts";

/** How many completions one call collects. */
const BATCH = 256;
/** How long one call of the reaper waits: it delays the end of a worker that is terminated, and costs a wake-up when it is over. */
const REAPER_MS = 1000;
/** As long as a `u32` can say: 49 days. */
const FOREVER_MS = 0xffff_ffff;

/** An operation whose promise is not settled. Referring to the operation keeps its loan from being collected while in flight. */
interface Pending {
  readonly operation: Operation;
  readonly resolve: (transferred: number) => void;
  readonly reject: (reason: unknown) => void;
  /** The next one in the line for a place. */
  next: Pending | undefined;
}

/** An operation that is over, whose promise is to be settled in a later turn. */
interface Outcome {
  readonly pending: Pending;
  readonly status: number;
  readonly transferred: number;
}

/**
 * Operations run by the library's own threads.
 *
 * Who hears of completions: nobody while nothing is in flight (`"nobody"`); after a submission a look in the next turn of the event loop,
 * which is enough for what the page cache answers (`"turn"`); after that one blocking wait on a thread of the runtime (`"reaper"`),
 * one for all operations, for each such call costs more than a small read. While the reaper waits only it collects, so that no
 * promise settles with a call of the runtime left behind.
 */
export class ThreadEngine implements Engine {
  /** `"threads"`. */
  readonly kind = "threads";
  /** Why it is this one. */
  readonly reason: string;

  readonly #port: number;
  /** The most operations in flight. */
  readonly #limit: number;
  readonly #entry = new Uint32Array(ENTRY_WORDS);
  readonly #completion = new Uint32Array(COMPLETION_WORDS);
  readonly #completions = new Uint32Array(COMPLETION_WORDS * BATCH);
  /** What is in flight, by tag. */
  readonly #started: (Pending | undefined)[] = [];
  /** Tags that are not in use: `#limit` less those in flight. */
  readonly #tags: number[] = [];
  /** The line of those that wait for a place: empty unless all tags are in use. */
  #first: Pending | undefined;
  #last: Pending | undefined;
  #waiting = 0;
  /** What `settleSync` collected. */
  #outcomes: Outcome[] = [];
  #watch: "nobody" | "turn" | "reaper" = "nobody";

  /** Opens a port of the library for this isolate; it ends with the isolate's thread. */
  constructor() {
    const facts = new Uint32Array(4);
    this.#port = checked(native().basalt_engine_open(facts), "engine_open");
    this.#limit = facts[1]!;
    this.reason = `system calls on up to ${
      facts[2]
    } threads of the library, at most ${this.#limit} operations in flight`;
    for (let tag = this.#limit - 1; tag >= 0; tag--) {
      this.#tags.push(tag);
      this.#started.push(undefined);
    }
  }

  /** Operations that have not completed, those that wait for a place included. */
  get pending(): number {
    return this.#inFlight + this.#waiting;
  }

  get #inFlight(): number {
    return this.#limit - this.#tags.length;
  }

  /** Starts an operation, or puts it in the line. */
  submit(operation: Operation): Promise<number> {
    return new Promise((resolve, reject) => {
      // What is thrown here rejects the promise.
      checkOperation(operation);
      const pending = { operation, resolve, reject, next: undefined };
      if (this.#tags.length > 0) this.#start(pending);
      else this.#line(pending);
    });
  }

  /** Runs an operation on this thread. */
  runSync(operation: Operation): number {
    checkOperation(operation);
    encodeOperation(this.#entry, operation, 0);
    // A call that is refused as a whole writes nothing.
    this.#completion[2] = 0;
    const status = native().basalt_engine_run(this.#entry, this.#completion);
    const transferred = this.#completion[2]!;
    if (status < 0) {
      throw new OperationError(operation.code, status, transferred);
    }
    return transferred;
  }

  /** Blocks until nothing is in flight and nothing waits. */
  settleSync(): void {
    while (this.pending > 0) {
      checked(
        native().basalt_engine_settle(this.#port, FOREVER_MS),
        "engine_settle",
      );
      this.#collect((pending, status, transferred) =>
        this.#outcomes.push({ pending, status, transferred })
      );
    }
  }

  /** Starts an operation; a tag must be free. */
  #start(pending: Pending): void {
    const { operation } = pending;
    const tag = this.#tags[this.#tags.length - 1]!;
    encodeOperation(this.#entry, operation, tag);
    const status = native().basalt_engine_submit(this.#port, this.#entry);
    if (status < 0) {
      pending.reject(new OperationError(operation.code, status, 0));
      return;
    }
    this.#tags.pop();
    this.#started[tag] = pending;
    if (this.#watch === "nobody") this.#lookLater();
  }

  #line(pending: Pending): void {
    if (this.#last === undefined) this.#first = pending;
    else this.#last.next = pending;
    this.#last = pending;
    this.#waiting++;
  }

  /** Starts those in front of the line for which there is a place. */
  #advance(): void {
    while (this.#first !== undefined && this.#tags.length > 0) {
      const pending = this.#first;
      this.#first = pending.next;
      if (this.#first === undefined) this.#last = undefined;
      this.#waiting--;
      this.#start(pending);
    }
  }

  /** Takes all completions that are there, then fills the places that are free. */
  #collect(
    settle: (pending: Pending, status: number, transferred: number) => void,
  ): void {
    const words = this.#completions;
    let count: number;
    do {
      count = checked(
        native().basalt_engine_collect(this.#port, words, BATCH),
        "engine_collect",
      );
      for (let at = 0; at < count * COMPLETION_WORDS; at += COMPLETION_WORDS) {
        const tag = words[at]!;
        const pending = this.#started[tag]!;
        this.#started[tag] = undefined;
        this.#tags.push(tag);
        settle(pending, words[at + 1]! | 0, words[at + 2]!);
      }
    } while (count === BATCH);
    this.#advance();
  }

  #lookLater(): void {
    this.#watch = "turn";
    setImmediate(() => {
      this.#settle();
      if (this.#inFlight > 0) this.#reap();
      else this.#watch = "nobody";
    });
  }

  #reap(): void {
    this.#watch = "reaper";
    native().basalt_engine_wait(this.#port, REAPER_MS).then((ready) => {
      checked(ready, "engine_wait");
      this.#watch = "nobody";
      this.#settle();
      // What continues after this submits more as a rule: one look for all before the next wait.
      if (this.#inFlight > 0 && this.#watch === "nobody") this.#lookLater();
    });
  }

  /** Settles the promises of all that is over. */
  #settle(): void {
    const outcomes = this.#outcomes;
    this.#outcomes = [];
    for (const { pending, status, transferred } of outcomes) {
      settle(pending, status, transferred);
    }
    this.#collect(settle);
  }
}

function settle(pending: Pending, status: number, transferred: number): void {
  if (status === 0) pending.resolve(transferred);
  else {
    pending.reject(
      new OperationError(pending.operation.code, status, transferred),
    );
  }
}
