import { abortable, Driver, driveSync, type Task } from "../../base/mod.ts";
import { PoolLimitError } from "../../pool/mod.ts";
import {
  type Durability,
  NoSpaceError,
  type StorageTimer,
} from "../../storage/mod.ts";
import { BackpressureError } from "./backpressure_error.ts";
import { roundUp } from "../layout.ts";
import { PoisonedError } from "./poisoned_error.ts";
import type { ActiveSegment } from "./active_segment.ts";
import { GroupCommit } from "./_group_commit.ts";
import { HotTail } from "./_hot_tail.ts";
import { InPlacePolicy, type InPlaceStorage } from "./in_place.ts";
import type { FlatPayloads } from "./payload_batch.ts";
import type { AppendOptions, ExpectOptions } from "./prepared_message.ts";
import { WriteMemory, type WriteMemoryOptions } from "./_write_memory.ts";
import type { WriteBlock } from "./_write_block.ts";

/** Flushes check the files' names once in this time, in microseconds. */
const NAMES_MICROS = 1_000_000;

/** The clock and the randomness of an {@linkcode Appender}: those of a storage. */
export interface AppenderClock extends InPlaceStorage {
  /** Fills a view with random bytes. */
  random(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>;
  /** Runs a function once, later. */
  after(delayMs: number, run: () => void): StorageTimer;
  /** Lets the runtime serve other work; `undefined` where the storage has no such method. */
  pause(): Promise<void> | undefined;
}

/** Parts and limits of an {@linkcode Appender}. */
export interface AppenderOptions extends
  Omit<
    WriteMemoryOptions,
    "firstOffset" | "hasNext" | "physicalBlock" | "onBlock"
  > {
  /** The path that errors name: the log's directory, or the `.log` of a single segment. */
  path: string;
  /** Bytes of written blocks to keep in memory for tails; 0 for none. */
  tailBytes: number;
  /** Delay after which appended messages are written and synced, in milliseconds; 0 for never. */
  flushAfterMs: number;
  /** The clock and the randomness. */
  clock: AppenderClock;
  /** The first segment to write, in the state that `state` says. */
  active: ActiveSegment;
  /** The hooks of the owner. */
  owner: AppenderOwner;
}

/** Hooks of the owner of an {@linkcode Appender}, a log or a single segment. */
export interface AppenderOwner {
  /**
   * Creates the segment that begins at an offset. Left out if there is only one segment. If it
   * throws, no segment was created.
   */
  next?(firstOffset: number, before: ActiveSegment): Task<ActiveSegment>;
  /** Called after a roll, with the segment that was sealed. */
  rolled?(old: ActiveSegment): void;
  /** Called after each flush with the number of messages that it made durable, and its duration. */
  counted?(messages: number, micros: number): void;
  /** Called once, when nothing more can be written. */
  poisoned?(error: PoisonedError): void;
  /** Called when messages were written, became durable or were lost. */
  changed?(): void;
  /** Called after each flush, once its callers were told, with the current time. */
  flushed?(nowMicros: number): void;
  /** Called after each checkpoint; it must not fail. */
  checkpoint?(): Task<void>;
  /**
   * Called at the end of closing, also after a failure. `isClean` means that everything was sealed.
   */
  closed(isClean: boolean): Task<void>;
}

/**
 * Appends messages to a log or a single segment: owns the memory, group commit and the poison.
 *
 * Closing always ends it. The files are closed and the owner is told, also after a failure.
 */
export class Appender {
  /** The path that errors name. */
  readonly path: string;
  /** Decides whether a durable flush may be written on this thread. */
  readonly inPlace: InPlacePolicy;
  /** The blocks that were written last. */
  readonly hotTail: HotTail;
  /** Flushes for all calls that wait. */
  readonly commit: GroupCommit;
  /** Messages that no flush has taken. */
  readonly memory: WriteMemory;

  /** The clock and the randomness. */
  readonly clock: AppenderClock;
  /** The hooks of the owner. */
  readonly owner: AppenderOwner;

  readonly #options: AppenderOptions;
  #active: ActiveSegment;
  /** Takes messages: the memory, or an object that refuses them. */
  #target: Pick<WriteMemory, "append" | "appendBatch">;
  /** Blocks that a flush took and has not written. */
  #queue: WriteBlock[] = [];
  #poison: PoisonedError | undefined;
  /** Whether a caller has received the poison. */
  #isPoisonTold = false;
  /** A caller knows that messages below this offset could not be made durable. */
  #toldEnd = 0;
  #closing: Promise<void> | undefined;
  /** Runs the end of {@linkcode Appender.close}. */
  #endDriver: Driver<void> | undefined;
  #isClosed = false;
  /** Resolves when all earlier calls that wait for room are done. */
  #turn: Promise<void> = Promise.resolve();
  #waitingForRoom = 0;
  /**
   * Checks `#unsyncedSince`. A flush does not cancel it, because then each lone append would need a
   * new timer.
   */
  #timer: StorageTimer | undefined;
  /**
   * A time before the oldest append that is not durable, in microseconds; `undefined` if there is
   * none.
   */
  #unsyncedSince: number | undefined;
  readonly #removeReclaimer: () => void;
  /** Syncs of earlier segments. */
  #syncs = 0;
  /** When a flush last checked the files' names, in microseconds. */
  #namesSeenAt = 0;

  constructor(options: AppenderOptions) {
    const { active, clock, owner, pool } = options;
    this.path = options.path;
    this.#options = options;
    this.clock = clock;
    this.owner = owner;
    this.#active = active;
    this.inPlace = new InPlacePolicy(clock);
    this.hotTail = new HotTail(options.tailBytes);
    this.memory = new WriteMemory({
      ...options,
      firstOffset: active.firstOffset,
      hasNext: owner.next !== undefined,
      physicalBlock: active.capabilities.physicalBlock,
      onBlock: () => this.#onBlock(),
    });
    this.#target = this.memory;
    this.commit = new GroupCommit(this);
    this.#removeReclaimer = pool.addReclaimer(() => this.hotTail.clear());
  }

  /** The segment that is written. */
  get active(): ActiveSegment {
    return this.#active;
  }

  /** The offset that the next message gets. */
  get nextOffset(): number {
    return this.memory.nextOffset;
  }

  /** Messages below this offset survive a power cut. */
  get durableOffset(): number {
    return this.#active.durable.offset;
  }

  /** Messages below this offset are in the files. */
  get writtenOffset(): number {
    return this.#active.written.offset;
  }

  /** How often messages were made durable. */
  get syncs(): number {
    return this.#syncs + this.#active.syncs;
  }

  /** Why nothing more can be written, if so. */
  get poison(): PoisonedError | undefined {
    return this.#poison;
  }

  /** Whether closing has begun. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Appends a message in memory and returns its offset. If it throws, nothing has changed. */
  append(payload: Uint8Array | string, options?: AppendOptions): number {
    return this.#target.append(payload, options);
  }

  /**
   * Appends messages in memory as one batch and returns the offset of the first. If it throws,
   * nothing has changed.
   */
  appendBatch(
    payloads: readonly (Uint8Array | string)[] | FlatPayloads,
    options?: ExpectOptions,
  ): number {
    return this.#target.appendBatch(payloads, options);
  }

  /**
   * Appends a message and resolves to its offset when it is durable. If memory is full, it waits in
   * turn for room.
   */
  appendDurable(
    payload: Uint8Array | string,
    options?: AppendOptions & { signal?: AbortSignal },
  ): Promise<number> {
    const signal = options?.signal;
    try {
      signal?.throwIfAborted();
      if (this.#waitingForRoom === 0) {
        return this.commit.appended(this.append(payload, options), signal);
      }
    } catch (error) {
      if (!(error instanceof BackpressureError)) return Promise.reject(error);
    }
    return this.#inTurn(signal, async () => {
      for (;;) {
        try {
          return this.append(payload, options);
        } catch (error) {
          if (!(error instanceof BackpressureError)) throw error;
          await this.#makeRoom(error.requestedBytes, signal);
        }
      }
    }).then((offset) => this.commit.appended(offset, signal));
  }

  /** Waits in turn until memory has room for another block. */
  ready(signal?: AbortSignal): Promise<void> {
    const { bufferBytes } = this.#options;
    return this.#inTurn(signal, async () => {
      this.check("append to");
      while (this.memory.pendingBytes >= bufferBytes / 2) {
        await this.#flushForRoom(signal);
      }
      await this.#makeRoom(this.memory.nextBlockBytes, signal);
    });
  }

  /** Runs `body` when all earlier calls are done. */
  async #inTurn<T>(
    signal: AbortSignal | undefined,
    body: () => Promise<T>,
  ): Promise<T> {
    const before = this.#turn;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#turn = before.then(() => promise);
    this.#waitingForRoom++;
    try {
      await abortable(before, signal);
      return await body();
    } finally {
      this.#waitingForRoom--;
      resolve();
    }
  }

  /** Makes room for a block of `bytes`: writes what waits in memory, then waits for the pool. */
  async #makeRoom(
    bytes: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { memory } = this;
    const { bufferBytes, pool } = this.#options;
    while (
      memory.pendingBytes > 0 && memory.pendingBytes + bytes > bufferBytes
    ) {
      await this.#flushForRoom(signal);
    }
    const { physicalBlock } = this.#active.capabilities;
    const least = roundUp(bytes, physicalBlock);
    const length = Math.max(least, memory.nextBlockBytes);
    if (memory.hasSpare(length)) return;
    try {
      return memory.offer(pool.acquireSync(length));
    } catch (error) {
      if (!(error instanceof PoolLimitError)) throw error;
    }
    // This log itself may hold the memory that is missing.
    if (memory.pendingBytes > 0) await this.#flushForRoom(signal);
    memory.offer(
      await pool.acquire(length, signal === undefined ? {} : { signal }),
    );
    this.check("append to");
  }

  async #flushForRoom(signal: AbortSignal | undefined): Promise<void> {
    await abortable(this.commit.flush("none"), signal);
    this.check("append to");
  }

  /**
   * Makes everything durable and ends the appender. Closing twice does nothing.
   *
   * @throws {NoSpaceError} If the disk is full: what is not durable is lost.
   * @throws {PoisonedError} If a write or sync failed.
   */
  close(): Promise<void> {
    if (!this.#isClosed) this.#closing = this.#closeOnce();
    return this.#closing ?? Promise.resolve();
  }

  async #closeOnce(): Promise<void> {
    this.#refuse();
    try {
      await this.commit.close();
      await this.#ending().promise;
    } finally {
      this.#closing = undefined;
    }
  }

  /** Makes everything durable and ends the appender while the caller waits. */
  closeSync(): void {
    if (this.#isClosed && this.#closing === undefined) return;
    this.commit.closeSync();
    if (this.#closing !== undefined) return this.#ending().finishSync();
    this.#refuse();
    driveSync(this.#end());
  }

  /** Starts the end of {@linkcode Appender.close}, unless `closeSync` has finished it meanwhile. */
  #ending(): Driver<void> {
    return this.#endDriver ??= new Driver(this.#end());
  }

  /**
   * Closes at the end of a `using` block. It does not repeat an error that a caller has received.
   */
  async dispose(): Promise<void> {
    try {
      await this.close();
    } catch (error) {
      if (!this.#isTold(error)) throw error;
    }
  }

  /** Sync version of {@linkcode Appender.dispose}. */
  disposeSync(): void {
    try {
      this.closeSync();
    } catch (error) {
      if (!this.#isTold(error)) throw error;
    }
  }

  /** Whether a caller knows why closing failed, and that all unwritten messages are lost. */
  #isTold(error: unknown): boolean {
    if (error === this.#poison) return this.#isPoisonTold;
    return error instanceof NoSpaceError && this.#toldEnd >= this.nextOffset;
  }

  /** Returns why nothing more can be written, if so, and notes that a caller knows it. */
  #tellPoison(): PoisonedError | undefined {
    this.#isPoisonTold = this.#poison !== undefined;
    return this.#poison;
  }

  /** Refuses messages from now on. */
  #refuse(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#target = refusing(() =>
      this.#poison ?? this.#closedError("append to")
    );
  }

  *#end(): Task<void> {
    let failure: unknown = this.#poison;
    if (failure === undefined) {
      try {
        yield* this.writeAll("data", this.clock.now());
        yield* this.#attempt(this.#active.seal());
      } catch (error) {
        failure = yield* this.#syncAfter(error);
      }
    }
    this.commit.finish(failure);
    this.#discard();
    this.owner.changed?.();
    try {
      yield* this.#active.close();
    } finally {
      yield* this.owner.closed(failure === undefined);
    }
    if (failure !== undefined) throw failure;
  }

  /** Makes durable what was written before the disk was full. Returns the error for the rest. */
  *#syncAfter(error: unknown): Task<unknown> {
    if (!(error instanceof NoSpaceError)) return error;
    try {
      yield* this.#attempt(this.#active.sync("data"));
      return error.withDurableOffset(this.durableOffset);
    } catch (failure) {
      return failure;
    }
  }

  #discard(): void {
    this.memory.discard();
    for (const block of this.#queue.splice(0)) block.buffer.drop();
    this.hotTail.clear();
    this.#removeReclaimer();
  }

  /** Throws if nothing can be appended any more. */
  check(action: string): void {
    if (this.#poison !== undefined) throw this.#tellPoison();
    if (this.#isClosed) throw this.#closedError(action);
  }

  #closedError(action: string): Error {
    return new Deno.errors.BadResource(
      `Cannot ${action} '${this.path}': it is closed`,
    );
  }

  /** Called when a block was begun, perhaps because the one before is full. */
  #onBlock(): void {
    const full = this.memory.lastFull;
    if (full !== undefined) {
      if (!this.commit.isAwaited) this.#active.sealAhead(full);
      this.commit.kick("none");
    }
    const { flushAfterMs } = this.#options;
    if (flushAfterMs === 0) return;
    this.#unsyncedSince ??= this.clock.now();
    if (this.#timer === undefined) this.#lookAfter(flushAfterMs);
  }

  /** Starts a timer that writes appended messages once `flushAfterMs` have passed. */
  #lookAfter(delayMs: number): void {
    this.#timer = this.clock.after(delayMs, () => {
      this.#timer = undefined;
      const since = this.#unsyncedSince;
      if (since === undefined) return;
      const waitedMs = Math.max(0, this.clock.now() - since) / 1000;
      const leftMs = this.#options.flushAfterMs - waitedMs;
      if (leftMs > 1) return this.#lookAfter(Math.ceil(leftMs));
      this.#unsyncedSince = undefined;
      this.commit.kick("data");
    });
  }

  /** Whether a checkpoint is due. It is taken after a flush, once the callers were told. */
  get isCheckpointDue(): boolean {
    return this.#poison === undefined && this.#active.isCheckpointDue;
  }

  /**
   * Writes everything in memory and makes it durable, unless `durability` is `"none"`.
   *
   * @param nowMicros The time of the storage's clock.
   * @param activeOffset Where the active segment must begin after that. Default: anywhere.
   */
  *writeAll(
    durability: Durability,
    nowMicros: number,
    activeOffset?: number,
  ): Task<void> {
    if (this.#poison !== undefined) throw this.#poison;
    this.memory.finish(nowMicros);
    this.#queue.push(...this.memory.take());
    try {
      if (Math.abs(nowMicros - this.#namesSeenAt) >= NAMES_MICROS) {
        this.#namesSeenAt = nowMicros;
        this.#active.checkNames();
      }
      while (this.#queue.length > 0) {
        const { segmentOffset } = this.#queue[0]!;
        if (segmentOffset !== this.#active.firstOffset) {
          yield* this.#roll(segmentOffset);
        }
        const group = this.#active.writable(this.#queue);
        if (group.length === 0) {
          yield* this.#active.checkpoint();
          continue;
        }
        const isLast = group.length === this.#queue.length;
        yield* this.#active.write(group, isLast ? durability : "none");
        this.#queue.splice(0, group.length);
        for (const block of group) {
          this.memory.written(block);
          this.hotTail.push(block);
        }
      }
      if (durability !== "none" && !this.#active.isSynced) {
        yield* this.#active.sync(durability);
      }
      const { firstOffset } = this.#active;
      if (activeOffset !== undefined && activeOffset !== firstOffset) {
        yield* this.#roll(activeOffset);
      }
    } catch (error) {
      throw this.#failure(error);
    } finally {
      this.owner.changed?.();
    }
    if (durability !== "none") {
      const isAllDurable = this.memory.pendingBytes === 0;
      this.#unsyncedSince = isAllDurable ? undefined : nowMicros;
    }
  }

  /** Seals the active segment and makes the next one active. */
  *#roll(firstOffset: number): Task<void> {
    const old = this.#active;
    yield* old.seal();
    let next: ActiveSegment;
    try {
      next = yield* this.owner.next!(firstOffset, old);
    } catch (error) {
      throw isCreateFailure(error) ? new NothingWritten(error) : error;
    }
    this.#active = next;
    this.#syncs += old.syncs;
    this.owner.rolled?.(old);
    yield* old.close();
  }

  /**
   * Writes everything, seals the active segment and makes the next one active. It does nothing if
   * that segment is empty, or no longer begins at `firstOffset`. No flush may be in flight.
   */
  *roll(firstOffset: number): Task<void> {
    this.check("roll");
    const active = this.#active;
    if (active.firstOffset !== firstOffset || active.written.position === 0) {
      return;
    }
    const next = this.memory.endSegment();
    yield* this.writeAll("data", this.clock.now(), next);
  }

  /** Syncs the log and writes its index. */
  *checkpoint(): Task<void> {
    yield* this.#attempt(this.#active.checkpoint());
    if (this.owner.checkpoint) yield* this.owner.checkpoint();
  }

  /** Runs a task of the active segment. */
  *#attempt(task: Task<void>): Task<void> {
    try {
      yield* task;
    } catch (error) {
      throw this.#failure(error);
    } finally {
      this.owner.changed?.();
    }
  }

  /** Prepares the file ahead, until `isPaused()`; `undefined` if there is nothing to do. */
  prepare(isPaused: () => boolean): Promise<void> | undefined {
    if (this.#poison === undefined) return this.#active.prepare(isPaused);
  }

  /** Called with the failure of a flush for which no call waited. The next append throws it. */
  failedUnseen(error: unknown): void {
    if (this.#poison !== undefined || this.#isClosed) return;
    const end = this.nextOffset;
    this.#target = refusing(() => {
      this.#target = this.memory;
      this.failedSeen(end);
      return error;
    });
  }

  /** Called when a caller received the failure of a flush of the messages below `end`. */
  failedSeen(end: number): void {
    this.#toldEnd = end;
    this.#isPoisonTold = this.#poison !== undefined;
  }

  /**
   * Returns the error for the caller of a failed write or sync. Poisons the log if messages may be
   * lost.
   */
  #failure(error: unknown): unknown {
    const { durableOffset } = this;
    if (error instanceof NothingWritten) return error.reason;
    // The first failure stays the one that is reported.
    if (this.#poison !== undefined) return this.#poison;
    if (error instanceof PoolLimitError) return error;
    if (error instanceof NoSpaceError) {
      return error.withDurableOffset(durableOffset);
    }
    this.#poison = new PoisonedError(this.path, durableOffset, error);
    this.owner.poisoned?.(this.#poison);
    this.#timer?.cancel();
    this.hotTail.dropFrom(durableOffset);
    if (!this.#isClosed) this.#target = refusing(() => this.#tellPoison());
    return this.#poison;
  }
}

/** Returns an object that refuses every message. */
function refusing(
  reason: () => unknown,
): { append(): never; appendBatch(): never } {
  const refuse = (): never => {
    throw reason();
  };
  return { append: refuse, appendBatch: refuse };
}

/**
 * Tells that the next segment could not be created. Nothing was written, so the next flush tries
 * again.
 */
class NothingWritten {
  constructor(readonly reason: unknown) {}
}

/** Codes of the system for a file that cannot be created. */
const CREATE_FAILURES = [
  "EMFILE",
  "ENFILE",
  "ENOSPC",
  "EDQUOT",
  "ENOMEM",
  "EACCES",
  "EPERM",
  "EROFS",
];

/** Whether creating a segment failed without a trace. What a failed sync leaves is unknown. */
function isCreateFailure(error: unknown): boolean {
  const { code, syscall } = error as { code?: string; syscall?: string };
  return code !== undefined && CREATE_FAILURES.includes(code) &&
    syscall !== "fsync";
}
