import { setImmediate } from "node:timers";
import {
  drive,
  driveSync,
  type Durability,
  type Twin,
} from "../storage/mod.ts";
import { Poisoned } from "./poisoned.ts";

/** What a {@linkcode GroupCommit} writes. */
export interface Committable {
  /** Writes what is in memory and, unless told `"none"`, makes it durable. */
  flush(durability: Durability): Twin<void>;
  /** The offset that the next message gets. */
  readonly nextOffset: number;
  /** Messages below this offset are durable. */
  readonly durableOffset: number;
  /** Runs after each flush, while no other is wanted: preparing ahead. */
  idle(paused: () => boolean): Promise<void>;
}

interface Waiter {
  offset: number;
  resolve(): void;
  reject(reason: unknown): void;
}

interface Caller {
  resolve(): void;
  reject(reason: unknown): void;
}

/** Those whom one flush serves. */
interface Group {
  durability: Durability;
  callers: Caller[];
  /** The durable offset before it. */
  before: number;
  /** The offset behind its last message. */
  end: number;
}

const STRENGTH: Record<Durability, number> = { none: 0, data: 1, full: 2 };

/**
 * One flush in flight, the next one gathers: everybody who asks meanwhile is served by the same flush, and woken together.
 */
export class GroupCommit {
  readonly #target: Committable;
  readonly #path: string;
  /** The durability that the flush being gathered needs; `undefined` if nobody wants one. */
  #wanted: Durability | undefined;
  /** Who is told of the flush being gathered. */
  #callers: Caller[] = [];
  #waiters: Waiter[] = [];
  /** The flushes that are wanted or under way, as one promise that never rejects. */
  #running: Promise<void> | undefined;
  /** Whether one is in flight: until then a caller that blocks may go first. */
  #driving = false;
  /** The work that runs between flushes. */
  #idling: Promise<void> | undefined;
  #closed = false;
  #flushes = 0;
  #flushedMessages = 0;

  constructor(target: Committable, path: string) {
    this.#target = target;
    this.#path = path;
  }

  /** Flushes that were run, and messages that they made durable. */
  get figures(): { flushes: number; flushedMessages: number } {
    return { flushes: this.#flushes, flushedMessages: this.#flushedMessages };
  }

  /** Whether a flush is in flight. */
  get busy(): boolean {
    return this.#driving;
  }

  /** Writes everything appended so far. Resolves when it has the durability. */
  flush(durability: Durability): Promise<void> {
    if (this.#closed) return Promise.reject(this.#closedError("flush"));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#callers.push({ resolve, reject });
    this.#want(durability);
    return promise;
  }

  /** Starts a flush that nobody waits for; its failure shows in the next call. */
  kick(): void {
    this.#want("none");
  }

  /** The twin of {@linkcode GroupCommit.flush} that blocks; it serves those who wait for a flush that has not begun. */
  flushSync(durability: Durability): void {
    this.#refuseInFlight("flush");
    const group = this.#gather(durability);
    try {
      driveSync(this.#target.flush(group.durability));
      this.#succeeded(group);
    } catch (error) {
      this.#failed(group, error);
      throw error;
    }
  }

  /**
   * Resolves when the message at `offset` is durable, flushing if nobody else does.
   *
   * @throws {RangeError} If no message has that offset yet.
   */
  whenDurable(offset: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    const { nextOffset, durableOffset } = this.#target;
    if (!Number.isSafeInteger(offset) || offset < 0 || offset >= nextOffset) {
      return Promise.reject(
        new RangeError(
          `Cannot wait as 'offset' must be that of an appended message, below ${nextOffset}: received ${offset}`,
        ),
      );
    }
    if (offset < durableOffset) return Promise.resolve();
    if (this.#closed) return Promise.reject(this.#closedError("wait for"));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter: Waiter = { offset, resolve, reject };
    if (signal !== undefined) this.#abortable(waiter, signal);
    this.#waiters.push(waiter);
    this.#want("data");
    return promise;
  }

  /** Runs a computation while no flush is in flight; flushes wait for it. */
  async exclusively<T>(task: () => Twin<T>): Promise<T> {
    while (this.#running !== undefined) await this.#running;
    this.#driving = true;
    const work = drive(task());
    this.#running = work.then(() => {}, () => {});
    try {
      return await work;
    } finally {
      this.#driving = false;
      this.#running = undefined;
      if (this.#wanted !== undefined) this.#want(this.#wanted);
    }
  }

  /** Waits until no flush and no preparing is under way; nothing starts after this. */
  async close(): Promise<void> {
    this.#closed = true;
    while (this.#running !== undefined) await this.#running;
    await this.#idling;
  }

  /** The twin of {@linkcode GroupCommit.close}: nothing may be in flight. */
  closeSync(): void {
    this.#refuseInFlight("close");
    this.#closed = true;
  }

  /** Undoes {@linkcode GroupCommit.close}: closing failed and can be tried again. */
  reopen(): void {
    this.#closed = false;
    if (this.#wanted !== undefined) this.#want(this.#wanted);
  }

  /** After closing, everything is durable: tells everybody who still waits. Or that it failed. */
  finish(failure?: unknown): void {
    const group = this.#gather("none");
    if (failure === undefined) {
      for (const caller of group.callers) caller.resolve();
    } else {
      for (const caller of group.callers) caller.reject(failure);
    }
    this.#wake();
    this.#rejectWaiters(failure, Infinity);
  }

  #refuseInFlight(action: "flush" | "close"): void {
    if (!this.#driving) return;
    throw new TypeError(
      `Cannot ${action} '${this.#path}' blocking while an asynchronous flush is in flight: await ${action}() instead`,
    );
  }

  #closedError(action: string): Error {
    return new Deno.errors.BadResource(
      `Cannot ${action} '${this.#path}': it is closed`,
    );
  }

  #abortable(waiter: Waiter, signal: AbortSignal): void {
    const { resolve, reject } = waiter;
    const abort = (): void => {
      this.#waiters = this.#waiters.filter((each) => each !== waiter);
      reject(signal.reason);
    };
    signal.addEventListener("abort", abort, { once: true });
    waiter.resolve = () => {
      signal.removeEventListener("abort", abort);
      resolve();
    };
    waiter.reject = (reason) => {
      signal.removeEventListener("abort", abort);
      reject(reason);
    };
  }

  #want(durability: Durability): void {
    if (
      this.#wanted === undefined ||
      STRENGTH[durability] > STRENGTH[this.#wanted]
    ) this.#wanted = durability;
    if (!this.#closed) this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    // A turn of the event loop, so that everybody who was woken together joins the same flush.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (this.#wanted !== undefined) {
      const group = this.#gather("none");
      this.#driving = true;
      try {
        await drive(this.#target.flush(group.durability));
        this.#succeeded(group);
      } catch (error) {
        this.#failed(group, error);
      }
      this.#driving = false;
      if (this.#wanted !== undefined) {
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
    }
    this.#running = undefined;
    this.#idling ??= this.#idle();
  }

  /** Preparing ahead: it ends as soon as a flush is wanted. */
  async #idle(): Promise<void> {
    await this.#target.idle(() => this.#running !== undefined || this.#closed);
    this.#idling = undefined;
  }

  /** Begins a flush for everybody who asked for one, at least this durable. */
  #gather(least: Durability): Group {
    const wanted = this.#wanted ?? "none";
    const group: Group = {
      durability: STRENGTH[wanted] > STRENGTH[least] ? wanted : least,
      callers: this.#callers,
      before: this.#target.durableOffset,
      end: this.#target.nextOffset,
    };
    this.#wanted = undefined;
    this.#callers = [];
    return group;
  }

  #succeeded(group: Group): void {
    for (const caller of group.callers) caller.resolve();
    this.#count(group);
  }

  #failed(group: Group, error: unknown): void {
    for (const caller of group.callers) caller.reject(error);
    // Some of the group may be durable all the same.
    this.#count(group);
    const below = error instanceof Poisoned ? Infinity : group.end;
    this.#rejectWaiters(error, below);
  }

  #count(group: Group): void {
    this.#flushes++;
    this.#flushedMessages += this.#target.durableOffset - group.before;
    this.#wake();
  }

  /** Wakes everybody whose message is durable. */
  #wake(): void {
    const durable = this.#target.durableOffset;
    const waiting = this.#waiters;
    this.#waiters = waiting.filter((waiter) => waiter.offset >= durable);
    if (this.#waiters.length === waiting.length) return;
    for (const waiter of waiting) {
      if (waiter.offset < durable) waiter.resolve();
    }
  }

  #rejectWaiters(reason: unknown, below: number): void {
    const waiting = this.#waiters;
    this.#waiters = waiting.filter((waiter) => waiter.offset >= below);
    for (const waiter of waiting) {
      if (waiter.offset < below) waiter.reject(reason);
    }
  }
}
