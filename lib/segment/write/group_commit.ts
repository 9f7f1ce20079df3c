import {
  Driver,
  driveSync,
  onAbort,
  type Task,
  together,
} from "../../base/mod.ts";
import type { Durability } from "../../storage/mod.ts";
import { wrongDurability } from "../checks.ts";
import { Histogram, type HistogramSnapshot } from "../histogram.ts";
import { PoisonedError } from "../poisoned_error.ts";
import type { Appender } from "./appender.ts";

/*
 * The write path.
 *
 *   append       copies the payload into the open block, after room for its frame header
 *   block full   is finished: the next message begins another block, a flush without durability is
 *                wanted. From 64 KiB, and while no call waits, a thread of the library seals it
 *                while the program goes on
 *   flush        gathers all calls since the last one began
 *     finish     the open block: the group ends here
 *     seal       each block of the group: headers and checksums. Blocks from 64 KiB of a flush
 *                without durability are sealed by threads of the library
 *     write      all blocks, side by side; no two in flight share a physical block
 *     sync       unless one write carried the durability itself (RWF_DSYNC)
 *     tell       all calls whose messages are durable now
 *   checkpoint   when 12 MiB of log have no index yet: sync, write the index, sync that
 *   prepare      zeros ahead of the data, while nothing else is wanted
 *
 * One flush is in flight at a time; the next one gathers meanwhile. So the number of syncs follows
 * the disk, not the number of appenders: 64 that wait together cost one.
 *
 * What a flush waits for. The write of a block begins when the flush before it is over, because its
 * first physical block may be the last one of that flush. An acknowledgement waits for everything
 * before it: blocks are written in order of groups, and `durableOffset` rises only when all bytes
 * below it are synced.
 *
 * When an appender is alone. When all calls that were told of the last flush wait again, one
 * appender or 64, they are flushed at once, without a turn of the event loop for others to join.
 * Where `InPlacePolicy` allows it, that is a blocking write.
 *
 * What a failure means.
 *   NoSpaceError      nothing is lost: blocks stay in memory, the callers are told, the next flush
 *                     writes the same bytes
 *   no next segment   the same: nothing was written
 *   anything else     the log is poisoned: it is unknown until the next opening what of the group
 *                     reached the disk. All callers are told, with the durable offset. No sync is
 *                     repeated: after a failed one the kernel may report success for data that it
 *                     dropped.
 */

/** A call that waits for a message to be durable. */
interface Waiter {
  readonly offset: number;
  /** What the promise resolves to. */
  readonly value: number | undefined;
  /** Whether its signal was aborted: it was rejected then. */
  isAborted: boolean;
  resolve(value: number | undefined): void;
  reject(reason: unknown): void;
}

/** A call that waits for a flush. */
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
  /** Calls that wait for a flush or for durability now. */
  waiting: number;
  /** Flushes that were written on the program's thread. */
  inPlaceFlushes: number;
}

/** The calls that one flush serves. */
interface Group {
  durability: Durability;
  callers: Caller[];
  /** The durable offset before it. */
  before: number;
  /** The offset after its last message. */
  end: number;
  /** Whether all that were told of the last flush wait for this one. */
  areAllBack: boolean;
  /** When it began, in microseconds of the storage's clock. */
  startedAtMicros: number;
  /** When it was over. */
  endedAtMicros: number;
}

const STRENGTH: Record<Durability, number> = { none: 0, data: 1, full: 2 };

/** Serves all who wait for durability by one flush at a time. */
export class GroupCommit {
  readonly #target: Appender;
  /** The durability that the flush being gathered needs; `undefined` if nobody wants one. */
  #wanted: Durability | undefined;
  /** The calls that are told of the flush being gathered. */
  #callers: Caller[] = [];
  /** Calls that wait, in the order in which they came. */
  #waiters: Waiter[] = [];
  #aborted = 0;
  /** Computations that run before the next flush. */
  readonly #exclusive: (() => Promise<void>)[] = [];
  /** The flushes that are wanted or in flight, as one promise that never rejects. */
  #running: Promise<void> | undefined;
  /**
   * What is in flight: until something is, a blocking caller may go first; then it finishes that
   * before.
   */
  #driver: { finishSync(): unknown } | undefined;
  /** The preparing that runs between flushes. */
  #preparing: Promise<void> | undefined;
  #isClosed = false;
  /** Whether closing is over, so that nothing may be touched any more. */
  #isOver = false;
  /** How many were told of the last flush. */
  #told = 0;
  #flushes = 0;
  #inPlaceFlushes = 0;
  #flushedMessages = 0;
  readonly #flushMicros = new Histogram();
  readonly #groupMessages = new Histogram();

  constructor(target: Appender) {
    this.#target = target;
  }

  /** The figures of this moment. */
  get stats(): GroupCommitStats {
    return {
      flushes: this.#flushes,
      flushedMessages: this.#flushedMessages,
      flushMicros: this.#flushMicros.snapshot(),
      groupMessages: this.#groupMessages.snapshot(),
      waiting: this.#waiters.length - this.#aborted + this.#callers.length,
      inPlaceFlushes: this.#inPlaceFlushes,
    };
  }

  /** Whether a call waits for a flush, or for durability. */
  get isAwaited(): boolean {
    return this.#waiters.length > this.#aborted || this.#callers.length > 0;
  }

  /** Writes all appended messages. Resolves when it has the durability. */
  flush(durability: Durability = "data"): Promise<void> {
    const poison = this.#target.tellPoison();
    if (poison !== undefined) return Promise.reject(poison);
    if (this.#isClosed) return Promise.reject(this.#closedError("flush"));
    const wrong = wrongDurability(this.#target.path, durability);
    if (wrong !== undefined) return Promise.reject(wrong);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#callers.push({ resolve, reject });
    this.#want(durability);
    this.#running ??= this.#run();
    return promise;
  }

  /** Starts a flush that nobody waits for. */
  kick(durability: Durability): void {
    this.#want(durability);
    if (!this.#isClosed) this.#running ??= this.#run();
  }

  /** Notes that the next flush needs a durability. */
  #want(durability: Durability): void {
    const wanted = this.#wanted;
    if (wanted === undefined || STRENGTH[durability] > STRENGTH[wanted]) {
      this.#wanted = durability;
    }
  }

  /**
   * Writes everything appended so far while the caller waits; a flush in flight is finished first.
   *
   * @throws {TypeError} If what is in flight cannot be finished blocking.
   */
  flushSync(durability: Durability): void {
    const wrong = wrongDurability(this.#target.path, durability);
    if (wrong !== undefined) throw wrong;
    this.finishSync();
    const group = this.#gather(durability);
    try {
      driveSync(
        this.#target.writeAll(group.durability, group.startedAtMicros),
      );
      this.#succeeded(group);
    } catch (error) {
      this.#failed(group, error, true);
      throw error;
    }
    this.#target.flushed(group.endedAtMicros);
    if (this.#target.isCheckpointDue) driveSync(this.#checkpointTask());
  }

  /** Finishes what is in flight while the caller waits. */
  finishSync(): void {
    const driver = this.#driver;
    driver?.finishSync();
    this.#driver = undefined;
  }

  /**
   * Resolves when the message at `offset` is durable; starts a flush if none is wanted.
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
    if (this.#isClosed) return Promise.reject(this.#closedError("wait for"));
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
    this.kick("data");
    // One promise for each, resolved by hand: 90 ns, where an `async` function in between takes 300
    // more.
    return new Promise<T>((resolve, reject) => {
      const waiter: Waiter = {
        offset,
        value,
        isAborted: false,
        resolve: resolve as Waiter["resolve"],
        reject,
      };
      if (signal !== undefined) this.#abortable(waiter, signal);
      this.#waiters.push(waiter);
    });
  }

  /** Runs a computation between two flushes. */
  exclusively<T>(task: () => Task<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#exclusive.push(async () => {
        const driver = new Driver(together([task()]));
        const [result] = await this.#settled(driver);
        if (result!.status === "fulfilled") resolve(result!.value);
        else reject(result!.reason);
      });
      this.#running ??= this.#run();
    });
  }

  /** Waits until no flush and no preparing is in flight; nothing starts after this. */
  async close(): Promise<void> {
    this.#isClosed = true;
    while (this.#running !== undefined) await this.#running;
    await this.#preparing;
  }

  /** Finishes what is in flight; nothing starts after this. */
  closeSync(): void {
    this.finishSync();
    this.#isClosed = this.#isOver = true;
  }

  /** After closing: tells all who still wait that everything is durable, or that it failed. */
  finish(failure?: unknown): void {
    const group = this.#gather("none");
    for (const caller of group.callers) {
      if (failure === undefined) caller.resolve();
      else caller.reject(failure);
    }
    this.#wake();
    this.#rejectWaiters(failure, Infinity);
  }

  #closedError(action: string): Error {
    return new Deno.errors.BadResource(
      `Cannot ${action} '${this.#target.path}': it is closed`,
    );
  }

  /**
   * An aborted waiter stays in the list until its turn: taking it out would cost the length of the
   * list.
   */
  #abortable(waiter: Waiter, signal: AbortSignal): void {
    const { resolve, reject } = waiter;
    const unlisten = onAbort(signal, () => {
      waiter.isAborted = true;
      this.#aborted++;
      reject(signal.reason);
    });
    waiter.resolve = (value) => {
      unlisten();
      resolve(value);
    };
    waiter.reject = (reason) => {
      unlisten();
      reject(reason);
    };
  }

  async #run(): Promise<void> {
    // The call that wants the flush is in the list then.
    await undefined;
    while (!this.#isOver) {
      const exclusive = this.#exclusive.shift();
      if (exclusive !== undefined) {
        await exclusive();
        continue;
      }
      if (this.#wanted === undefined) break;
      if (!this.#areAllBack) await this.#turn();
      else if (this.#target.inPlace.isPauseDue) await this.#pause();
      // A blocking caller may have done it meanwhile.
      if (this.#wanted === undefined || this.#isOver) continue;
      const group = this.#gather("none");
      let hasFailed: boolean;
      if (group.areAllBack && this.#target.inPlace.allows) {
        hasFailed = !this.#flushInPlace(group);
      } else {
        const driver = new Driver(this.#flushTask(group, group.areAllBack));
        hasFailed = !await this.#settled(driver);
      }
      this.#target.flushed(group.endedAtMicros);
      if (this.#target.isCheckpointDue && !await this.#checkpoint()) {
        hasFailed = true;
      }
      // A failed write or sync is followed by nothing, and a full disk has no room to prepare.
      if (!hasFailed && !this.#isOver) this.#preparing ??= this.#prepare();
    }
    this.#running = undefined;
  }

  /**
   * Whether as many calls wait as were told of the last flush: one appender that is alone, or
   * several that wait for each other's flush. Then a turn of the event loop would bring no other,
   * and the program has nothing to do but to wait.
   */
  get #areAllBack(): boolean {
    const waiting = this.#waiters.length - this.#aborted + this.#callers.length;
    return waiting > 0 && waiting === this.#told;
  }

  /** Runs a flush on this thread. Returns whether it did not fail. */
  #flushInPlace(group: Group): boolean {
    this.#inPlaceFlushes++;
    const hasSucceeded = driveSync(this.#flushTask(group, false));
    const micros = group.endedAtMicros - group.startedAtMicros;
    this.#target.inPlace.written(micros, true);
    return hasSucceeded;
  }

  /**
   * Writes a group and tells it; returns whether it did not fail.
   *
   * @param isMeasured Whether its time tells of the device alone.
   */
  *#flushTask(group: Group, isMeasured: boolean): Task<boolean> {
    const { startedAtMicros } = group;
    try {
      yield* this.#target.writeAll(group.durability, startedAtMicros);
    } catch (error) {
      this.#failed(group, error);
      return false;
    }
    this.#succeeded(group);
    if (isMeasured) {
      const micros = group.endedAtMicros - startedAtMicros;
      this.#target.inPlace.written(micros, false);
    }
    return true;
  }

  /**
   * Takes a checkpoint once all who waited for the flush could go on; a blocking caller may do it
   * first. Resolves to whether it did not fail.
   */
  async #checkpoint(): Promise<boolean> {
    await this.#turn();
    if (this.#isOver || !this.#target.isCheckpointDue) return true;
    return await this.#settled(new Driver(this.#checkpointTask()));
  }

  /** Takes a checkpoint; returns whether it did not fail. */
  *#checkpointTask(): Task<boolean> {
    try {
      yield* this.#target.checkpoint();
      return true;
    } catch {
      // Nobody waits for it: poison stays, and after `NoSpaceError` the next flush tries again.
      return false;
    }
  }

  /** Waits for a task that does not fail; a blocking caller can finish it meanwhile. */
  #settled<T>(driver: Driver<T>): Promise<T> {
    if (driver.isOver) return driver.promise;
    this.#driver = driver;
    return driver.promise.finally(() => this.#driver = undefined);
  }

  /**
   * Waits for a turn of the event loop, so that all who were woken together join the same flush.
   */
  #turn(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }

  /** Lets others run, and measures how long they do. */
  async #pause(): Promise<void> {
    const startMicros = this.#target.now();
    await (this.#target.pause() ?? this.#turn());
    this.#target.inPlace.paused(this.#target.now() - startMicros);
  }

  /** Prepares the file ahead, a step at least; it ends as soon as a flush is wanted. */
  #prepare(): Promise<void> | undefined {
    return this.#target
      .prepare(() =>
        this.#wanted !== undefined || this.#driver !== undefined ||
        this.#isClosed
      )
      ?.then(() => this.#preparing = undefined);
  }

  /** Begins a flush for all who asked for one, with at least this durability. */
  #gather(least: Durability): Group {
    const wanted = this.#wanted ?? "none";
    const startedAtMicros = this.#target.now();
    const group: Group = {
      durability: STRENGTH[wanted] > STRENGTH[least] ? wanted : least,
      callers: this.#callers,
      before: this.#target.durableOffset,
      end: this.#target.nextOffset,
      areAllBack: this.#areAllBack,
      startedAtMicros,
      endedAtMicros: startedAtMicros,
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

  #failed(group: Group, error: unknown, isThrown = false): void {
    const isUnseen = !isThrown && group.callers.length === 0 &&
      this.#waiters.length === this.#aborted;
    for (const caller of group.callers) caller.reject(error);
    // Some of the group may be durable all the same.
    this.#count(group);
    const below = error instanceof PoisonedError ? Infinity : group.end;
    this.#rejectWaiters(error, below);
    if (isUnseen) this.#target.failedUnseen(error);
    else this.#target.failedSeen(group.end);
  }

  #count(group: Group): void {
    const messages = this.#target.durableOffset - group.before;
    this.#flushes++;
    this.#flushedMessages += messages;
    group.endedAtMicros = this.#target.now();
    const micros = Math.max(0, group.endedAtMicros - group.startedAtMicros);
    this.#flushMicros.record(micros);
    if (messages > 0) {
      this.#groupMessages.record(messages);
      this.#wake();
    }
    this.#target.counted(messages, micros);
  }

  /** Wakes all whose message is durable. */
  #wake(): void {
    for (const waiter of this.#taken(this.#target.durableOffset)) {
      if (waiter.isAborted) continue;
      this.#told++;
      waiter.resolve(waiter.value);
    }
  }

  #rejectWaiters(reason: unknown, below: number): void {
    for (const waiter of this.#taken(below)) {
      if (!waiter.isAborted) waiter.reject(reason);
    }
  }

  /** Takes the waiters for messages below an offset out of the list. */
  #taken(below: number): Waiter[] {
    // A flush serves all that came before it began, so that each waiter is looked at about twice.
    const taken: Waiter[] = [];
    const left: Waiter[] = [];
    for (const waiter of this.#waiters) {
      if (waiter.offset >= below) left.push(waiter);
      else {
        taken.push(waiter);
        if (waiter.isAborted) this.#aborted--;
      }
    }
    this.#waiters = left;
    return taken;
  }
}
