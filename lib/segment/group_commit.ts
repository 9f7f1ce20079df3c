import { drive, driveSync, type Task } from "../base/mod.ts";
import type { Durability } from "../storage/mod.ts";
import { wrongDurability } from "./checks.ts";
import { Histogram, type HistogramSnapshot } from "./histogram.ts";
import { Poisoned } from "./poisoned.ts";

/** What a {@linkcode GroupCommit} writes. */
export interface Committable {
  /** Writes what is in memory and, unless told `"none"`, makes it durable. */
  flush(durability: Durability): Task<void>;
  /** The offset that the next message gets. */
  readonly nextOffset: number;
  /** Messages below this offset are durable. */
  readonly durableOffset: number;
  /** Whether something is due after a flush that nobody who asked for it has to wait for: the checkpoint. */
  readonly due: boolean;
  /** Does what is due. */
  settle(): Task<void>;
  /** Runs after a flush, while no other is wanted: preparing ahead. `undefined` if there is nothing to do. */
  idle(paused: () => boolean): Promise<void> | undefined;
}

/** Somebody who waits for a message to be durable. */
interface Waiter {
  readonly offset: number;
  /** What the promise resolves to. */
  readonly value: number | undefined;
  resolve(value: number | undefined): void;
  reject(reason: unknown): void;
}

interface Caller {
  resolve(): void;
  reject(reason: unknown): void;
}

/** What a {@linkcode GroupCommit} tells of itself. */
export interface GroupCommitStats {
  /** Flushes that were run. */
  flushes: number;
  /** Messages that flushes made durable. */
  flushedMessages: number;
  /** How long flushes took, in microseconds. */
  flushMicros: HistogramSnapshot;
  /** How many messages a flush made durable, of those that made any. */
  groupMessages: HistogramSnapshot;
  /** How many wait for a flush or for durability now. */
  waiting: number;
}

/** Those whom one flush serves. */
interface Group {
  durability: Durability;
  callers: Caller[];
  /** The durable offset before it. */
  before: number;
  /** The offset behind its last message. */
  end: number;
  /** When it began, in milliseconds of the steady clock: for statistics, nothing is decided by it. */
  startMs: number;
}

/** After so many flushes without a turn of the event loop there is one, whatever happens. */
const MAX_FLUSHES_IN_TURN = 16;

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
  /** Ascending by offset, as they nearly always come. */
  #waiters: Waiter[] = [];
  /** The flushes that are wanted or under way, as one promise that never rejects. */
  #running: Promise<void> | undefined;
  /** Whether one is in flight: until then a caller that blocks may go first. */
  #driving = false;
  /** The work that runs between flushes. */
  #idling: Promise<void> | undefined;
  #closed = false;
  /** How many were told of the last flush. */
  #told = 0;
  #flushesInTurn = 0;
  #flushes = 0;
  #flushedMessages = 0;
  readonly #flushMicros = new Histogram();
  readonly #groupMessages = new Histogram();

  constructor(target: Committable, path: string) {
    this.#target = target;
    this.#path = path;
  }

  /** The figures of this moment. */
  get stats(): GroupCommitStats {
    return {
      flushes: this.#flushes,
      flushedMessages: this.#flushedMessages,
      flushMicros: this.#flushMicros.snapshot(),
      groupMessages: this.#groupMessages.snapshot(),
      waiting: this.#waiters.length + this.#callers.length,
    };
  }

  /** Whether a flush is in flight. */
  get busy(): boolean {
    return this.#driving;
  }

  /** Writes everything appended so far. Resolves when it has the durability. */
  flush(durability: Durability): Promise<void> {
    if (this.#closed) return Promise.reject(this.#closedError("flush"));
    const wrong = wrongDurability(this.#path, durability);
    if (wrong !== undefined) return Promise.reject(wrong);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#callers.push({ resolve, reject });
    this.#want(durability);
    return promise;
  }

  /** Starts a flush that nobody waits for; its failure shows in the next call. */
  kick(): void {
    this.#want("none");
  }

  /** The blocking version of {@linkcode GroupCommit.flush}; it serves those who wait for a flush that has not begun. */
  flushSync(durability: Durability): void {
    this.#refuseInFlight("flush");
    const wrong = wrongDurability(this.#path, durability);
    if (wrong !== undefined) throw wrong;
    const group = this.#gather(durability);
    try {
      driveSync(this.#target.flush(group.durability));
      this.#succeeded(group);
    } catch (error) {
      this.#failed(group, error);
      throw error;
    }
    if (!this.#target.due) return;
    try {
      driveSync(this.#target.settle());
    } catch (error) {
      untold(error);
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
    return this.#wait<void>(offset, undefined, signal);
  }

  /** The same for a message that was appended just now; resolves to its offset. */
  appended(offset: number, signal?: AbortSignal): Promise<number> {
    return this.#wait<number>(offset, offset, signal);
  }

  #wait<T extends number | void>(
    offset: number,
    value: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    this.#want("data", this.#told === 1);
    // One promise for each, resolved by hand: 90 ns, where an `async` function between it and the caller takes 300 more.
    return new Promise<T>((resolve, reject) => {
      const waiter: Waiter = {
        offset,
        value,
        resolve: resolve as Waiter["resolve"],
        reject,
      };
      if (signal !== undefined) this.#abortable(waiter, signal);
      this.#enqueue(waiter);
    });
  }

  #enqueue(waiter: Waiter): void {
    const waiters = this.#waiters;
    let at = waiters.length;
    while (at > 0 && waiters[at - 1]!.offset > waiter.offset) at--;
    if (at === waiters.length) waiters.push(waiter);
    else waiters.splice(at, 0, waiter);
  }

  /** Runs a computation while no flush is in flight; flushes wait for it. */
  async exclusively<T>(task: () => Task<T>): Promise<T> {
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

  /** The blocking version of {@linkcode GroupCommit.close}: nothing may be in flight. */
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
    waiter.resolve = (value) => {
      signal.removeEventListener("abort", abort);
      resolve(value);
    };
    waiter.reject = (reason) => {
      signal.removeEventListener("abort", abort);
      reject(reason);
    };
  }

  #want(durability: Durability, alone = false): void {
    if (
      this.#wanted === undefined ||
      STRENGTH[durability] > STRENGTH[this.#wanted]
    ) this.#wanted = durability;
    if (!this.#closed) this.#running ??= this.#run(alone);
  }

  async #run(alone: boolean): Promise<void> {
    // Who was alone in the last flush and waits again is not made to wait for a turn of the event loop, 2 us.
    if (alone && ++this.#flushesInTurn < MAX_FLUSHES_IN_TURN) await undefined;
    else await this.#turn();
    let failed = false;
    while (this.#wanted !== undefined) {
      const group = this.#gather("none");
      this.#driving = true;
      try {
        await drive(this.#target.flush(group.durability));
        this.#succeeded(group);
        failed = false;
      } catch (error) {
        this.#failed(group, error);
        failed = true;
      }
      this.#driving = false;
      if (this.#target.due && !await this.#settle()) failed = true;
      if (this.#wanted !== undefined) await this.#turn();
    }
    this.#running = undefined;
    // Nothing is changed behind a write or sync that failed, and a full disk has no room to prepare.
    if (!failed) this.#idling ??= this.#idle();
  }

  /** What is due, once everybody who waits for the flush could go on; one who blocks may do it first. Resolves to whether it did not fail. */
  async #settle(): Promise<boolean> {
    await this.#turn();
    if (!this.#target.due) return true;
    this.#driving = true;
    const done = await drive(this.#target.settle()).then(() => true, untold);
    this.#driving = false;
    return done;
  }

  /** A turn of the event loop, so that everybody who was woken together joins the same flush. Until it is over, a caller that blocks may go first. */
  #turn(): Promise<void> {
    this.#flushesInTurn = 0;
    return new Promise((resolve) => setImmediate(resolve));
  }

  /** Preparing ahead: it ends as soon as a flush is wanted. */
  #idle(): Promise<void> | undefined {
    return this.#target
      .idle(() => this.#running !== undefined || this.#closed)
      ?.then(() => this.#idling = undefined);
  }

  /** Begins a flush for everybody who asked for one, at least this durable. */
  #gather(least: Durability): Group {
    const wanted = this.#wanted ?? "none";
    const group: Group = {
      durability: STRENGTH[wanted] > STRENGTH[least] ? wanted : least,
      callers: this.#callers,
      before: this.#target.durableOffset,
      end: this.#target.nextOffset,
      startMs: performance.now(),
    };
    this.#wanted = undefined;
    this.#callers = [];
    return group;
  }

  #succeeded(group: Group): void {
    const { callers } = group;
    this.#told = callers.length;
    for (const caller of callers) caller.resolve();
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
    const messages = this.#target.durableOffset - group.before;
    this.#flushes++;
    this.#flushedMessages += messages;
    this.#flushMicros.record(1000 * (performance.now() - group.startMs));
    if (messages > 0) this.#groupMessages.record(messages);
    this.#wake();
  }

  /** Wakes everybody whose message is durable. */
  #wake(): void {
    const woken = this.#taken(this.#target.durableOffset);
    this.#told += woken.length;
    for (const waiter of woken) waiter.resolve(waiter.value);
  }

  #rejectWaiters(reason: unknown, below: number): void {
    for (const waiter of this.#taken(below)) waiter.reject(reason);
  }

  /** Takes those who wait for messages below an offset. */
  #taken(below: number): Waiter[] {
    const waiters = this.#waiters;
    let count = 0;
    while (count < waiters.length && waiters[count]!.offset < below) count++;
    if (count < waiters.length) return waiters.splice(0, count);
    this.#waiters = [];
    return waiters;
  }
}

/** The failure of a settling is nobody's: what is poisoned stays so, and without room the next flush begins with the same. */
function untold(_error: unknown): false {
  return false;
}
