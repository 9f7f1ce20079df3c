import {
  checkChoice,
  Driver,
  driveSync,
  onAbort,
  type Task,
} from "../../base/mod.ts";
import type { Durability } from "../../storage/mod.ts";
import { Histogram, type HistogramSnapshot } from "./histogram.ts";
import { PoisonedError } from "./poisoned_error.ts";
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

/** A call that waits for a flush. */
interface Caller {
  resolve(): void;
  reject(reason: unknown): void;
}

/** A call that waits until a message is durable. */
interface Waiter extends Caller {
  readonly offset: number;
  /** Whether its signal was aborted: then it was rejected. */
  isAborted: boolean;
}

/** The figures of a {@linkcode GroupCommit}. */
export interface GroupCommitStats {
  /** Number of flushes. */
  flushes: number;
  /** Number of messages that flushes made durable. */
  flushedMessages: number;
  /** How long flushes took, in microseconds. */
  flushMicros: HistogramSnapshot;
  /** How many messages a flush made durable, without flushes that made none. */
  groupMessages: HistogramSnapshot;
  /** Calls that wait for a flush or for durability now. */
  waiting: number;
  /** Number of flushes that were written on the program's thread. */
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
  /** Whether all calls that were told of the last flush wait for this one. */
  areAllBack: boolean;
  /** When it began, in microseconds of the storage's clock. */
  startedAtMicros: number;
  /** When it ended. */
  endedAtMicros: number;
}

/** The durabilities, weakest first. */
const STRENGTH: Record<Durability, number> = { none: 0, data: 1, full: 2 };

/** Serves all calls that wait for durability by one flush at a time. */
export class GroupCommit {
  readonly #target: Appender;
  /** The durability that the next flush needs; `undefined` if no flush is wanted. */
  #wanted: Durability | undefined;
  /** The calls that wait for the next flush. */
  #callers: Caller[] = [];
  /** Calls that wait for their message, in the order in which they came. */
  #waiters: Waiter[] = [];
  #aborted = 0;
  /** Computations that run before the next flush. */
  readonly #exclusive: (() => Promise<void>)[] = [];
  /** The flushes that are wanted or in flight, as one promise that never rejects. */
  #running: Promise<void> | undefined;
  /** The task in flight, which a blocking caller finishes first. */
  #driver: { finishSync(): unknown } | undefined;
  /** The preparation between flushes. */
  #preparing: Promise<void> | undefined;
  /** Whether closing has ended: nothing may run any more. */
  #isOver = false;
  /** How many calls were told of the last flush. */
  #told = 0;
  #inPlaceFlushes = 0;
  #flushedMessages = 0;
  readonly #flushMicros = new Histogram();
  readonly #groupMessages = new Histogram();

  constructor(target: Appender) {
    this.#target = target;
  }

  /** The current figures. */
  get stats(): GroupCommitStats {
    const flushMicros = this.#flushMicros.snapshot();
    return {
      flushes: flushMicros.count,
      flushedMessages: this.#flushedMessages,
      flushMicros,
      groupMessages: this.#groupMessages.snapshot(),
      waiting: this.#waiting,
      inPlaceFlushes: this.#inPlaceFlushes,
    };
  }

  /** Whether a call waits for a flush, or for durability. */
  get isAwaited(): boolean {
    return this.#waiting > 0;
  }

  get #waiting(): number {
    return this.#waiters.length - this.#aborted + this.#callers.length;
  }

  /** Writes all appended messages. Resolves when they are as durable as requested. */
  flush(durability: Durability = "data"): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#check(durability);
      this.#callers.push({ resolve, reject });
      this.#want(durability);
      this.#running ??= this.#run();
    });
  }

  /** Starts a flush for which no call waits. */
  kick(durability: Durability): void {
    this.#want(durability);
    if (!this.#target.isClosed) this.#running ??= this.#run();
  }

  #check(durability: Durability): void {
    this.#target.check("flush");
    const action = `flush '${this.#target.path}'`;
    checkChoice(action, "durability", durability, Object.keys(STRENGTH));
  }

  /** Notes that the next flush needs a durability. */
  #want(durability: Durability): void {
    const wanted = this.#wanted;
    if (wanted === undefined || STRENGTH[durability] > STRENGTH[wanted]) {
      this.#wanted = durability;
    }
  }

  /**
   * Sync version of {@linkcode GroupCommit.flush}. It finishes a flush in flight first.
   *
   * @throws {TypeError} If what is in flight cannot be finished blocking.
   */
  flushSync(durability: Durability = "data"): void {
    this.#check(durability);
    this.finishSync();
    this.#want(durability);
    const group = this.#gather();
    try {
      driveSync(this.#target.writeAll(group.durability, group.startedAtMicros));
      this.#succeeded(group);
    } catch (error) {
      this.#failed(group, error, true);
      throw error;
    }
    this.#target.owner.flushed?.(group.endedAtMicros);
    if (this.#target.isCheckpointDue) driveSync(this.#checkpointTask());
  }

  /** Finishes the task in flight while the caller waits. */
  finishSync(): void {
    this.#driver?.finishSync();
    this.#driver = undefined;
  }

  /**
   * Resolves when the message at `offset` is durable. Starts a flush if none is wanted.
   *
   * @throws {RangeError} If no message has that offset yet.
   */
  whenDurable(offset: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const { nextOffset, durableOffset } = this.#target;
      const isOffset = Number.isSafeInteger(offset) && offset >= 0 &&
        offset < nextOffset;
      if (isOffset && offset < durableOffset) return resolve();
      this.#target.check("wait for");
      if (!isOffset) {
        throw new RangeError(
          `Cannot wait as 'offset' must be that of an appended message, below ${nextOffset}: received ${offset}`,
        );
      }
      this.#wait({ offset, isAborted: false, resolve, reject }, signal);
    });
  }

  /** Resolves to the offset of a message that was appended just now, when it is durable. */
  appended(offset: number, signal?: AbortSignal): Promise<number> {
    // One promise a call, resolved by hand, takes 90 ns. An `async` function takes 300 ns more.
    return new Promise((resolve, reject) => {
      const told = () => resolve(offset);
      this.#wait({ offset, isAborted: false, resolve: told, reject }, signal);
    });
  }

  #wait(waiter: Waiter, signal: AbortSignal | undefined): void {
    if (signal !== undefined) this.#abortable(waiter, signal);
    this.#waiters.push(waiter);
    this.kick("data");
  }

  /**
   * Rejects a waiter when the signal is aborted. It stays in the list until its turn, because
   * removing it would take a search of the list.
   */
  #abortable(waiter: Waiter, signal: AbortSignal): void {
    const { resolve, reject } = waiter;
    const unlisten = onAbort(signal, () => {
      waiter.isAborted = true;
      this.#aborted++;
      reject(signal.reason);
    });
    waiter.resolve = () => {
      unlisten();
      resolve();
    };
    waiter.reject = (reason) => {
      unlisten();
      reject(reason);
    };
  }

  /** Runs a computation between two flushes. */
  exclusively<T>(task: () => Task<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#exclusive.push(() =>
        this.#settled(new Driver(task())).then(resolve, reject)
      );
      this.#running ??= this.#run();
    });
  }

  /** Waits until no flush and no preparing is in flight. */
  async close(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
    await this.#preparing;
  }

  /** Finishes the task in flight. Nothing starts after this. */
  closeSync(): void {
    this.finishSync();
    this.#isOver = true;
  }

  /** Tells all calls that still wait after closing whether everything is durable. */
  finish(failure?: unknown): void {
    for (const caller of this.#gather().callers) {
      if (failure === undefined) caller.resolve();
      else caller.reject(failure);
    }
    this.#wake();
    this.#rejectWaiters(failure, Infinity);
  }

  async #run(): Promise<void> {
    // By then the call that wants the flush is in the list.
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
      // A blocking caller may have flushed meanwhile.
      if (this.#wanted === undefined || this.#isOver) continue;
      const group = this.#gather();
      const isInPlace = group.areAllBack && this.#target.inPlace.allows;
      const task = this.#flush(group, isInPlace);
      let hasSucceeded = isInPlace
        ? driveSync(task)
        : await this.#settled(new Driver(task));
      this.#target.owner.flushed?.(group.endedAtMicros);
      if (this.#target.isCheckpointDue && !await this.#checkpoint()) {
        hasSucceeded = false;
      }
      // After a failed write or sync nothing follows, and a full disk has no room to prepare.
      if (hasSucceeded && !this.#isOver) this.#preparing ??= this.#prepare();
    }
    this.#running = undefined;
  }

  /**
   * Whether as many calls wait as were told of the last flush: one appender that is alone, or
   * several that share flushes. Then no other call is expected, and the program only waits.
   */
  get #areAllBack(): boolean {
    const waiting = this.#waiting;
    return waiting > 0 && waiting === this.#told;
  }

  /** Writes a group and tells it; returns whether it did not fail. */
  *#flush(group: Group, isInPlace: boolean): Task<boolean> {
    if (isInPlace) this.#inPlaceFlushes++;
    try {
      yield* this.#target.writeAll(group.durability, group.startedAtMicros);
    } catch (error) {
      this.#failed(group, error);
      return false;
    }
    this.#succeeded(group);
    // Only then the time is that of the device alone.
    if (group.areAllBack) {
      const micros = group.endedAtMicros - group.startedAtMicros;
      this.#target.inPlace.written(micros, isInPlace);
    }
    return true;
  }

  /**
   * Takes a checkpoint after a turn of the event loop, in which the calls of the flush go on. A
   * blocking caller may take it first. Resolves to whether it did not fail.
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
      // No call waits for it. A poisoned log stays poisoned, and after `NoSpaceError` the next
      // flush tries again.
      return false;
    }
  }

  /** Waits for a task. A blocking caller can finish it meanwhile. */
  #settled<T>(driver: Driver<T>): Promise<T> {
    if (driver.isOver) return driver.promise;
    this.#driver = driver;
    return driver.promise.finally(() => this.#driver = undefined);
  }

  /**
   * Waits for a turn of the event loop, in which calls that were told together join the next flush.
   */
  #turn(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }

  /** Lets other work run, and measures how long that takes. */
  async #pause(): Promise<void> {
    const startMicros = this.#target.clock.now();
    await (this.#target.clock.pause() ?? this.#turn());
    this.#target.inPlace.paused(this.#target.clock.now() - startMicros);
  }

  /** Prepares the file by at least one step, until a flush is wanted. */
  #prepare(): Promise<void> | undefined {
    return this.#target
      .prepare(() =>
        this.#wanted !== undefined || this.#driver !== undefined ||
        this.#target.isClosed
      )
      ?.then(() => this.#preparing = undefined);
  }

  /** Starts a group of all calls that wait for a flush. */
  #gather(): Group {
    const startedAtMicros = this.#target.clock.now();
    const group: Group = {
      durability: this.#wanted ?? "none",
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
    // Part of the group may be durable.
    this.#count(group);
    const below = error instanceof PoisonedError ? Infinity : group.end;
    this.#rejectWaiters(error, below);
    if (isUnseen) this.#target.failedUnseen(error);
    else this.#target.failedSeen(group.end);
  }

  #count(group: Group): void {
    const messages = this.#target.durableOffset - group.before;
    this.#flushedMessages += messages;
    group.endedAtMicros = this.#target.clock.now();
    const micros = Math.max(0, group.endedAtMicros - group.startedAtMicros);
    this.#flushMicros.record(micros);
    if (messages > 0) {
      this.#groupMessages.record(messages);
      this.#wake();
    }
    this.#target.owner.counted?.(messages, micros);
  }

  /** Tells all calls whose message is durable. */
  #wake(): void {
    for (const waiter of this.#taken(this.#target.durableOffset)) {
      this.#told++;
      waiter.resolve();
    }
  }

  #rejectWaiters(reason: unknown, below: number): void {
    for (const waiter of this.#taken(below)) waiter.reject(reason);
  }

  /**
   * Removes the waiters for messages below an offset from the list. Returns those that still wait.
   */
  #taken(below: number): Waiter[] {
    // A flush serves all calls that came before it, so each waiter is visited about twice.
    const taken: Waiter[] = [];
    const left: Waiter[] = [];
    for (const waiter of this.#waiters) {
      if (waiter.offset >= below) left.push(waiter);
      else if (waiter.isAborted) this.#aborted--;
      else taken.push(waiter);
    }
    this.#waiters = left;
    return taken;
  }
}
