import type { Task } from "../../base/mod.ts";
import { drive, perform } from "../../base/mod.ts";
import type { BufferPool, PooledBuffer } from "../../pool/mod.ts";
import type { TaskFile } from "../../storage/mod.ts";
import { MAX_SEGMENT_BYTES, roundDown, roundUp } from "../layout.ts";
import { PreparePolicy } from "./_prepare_policy.ts";

/** How far to prepare. */
export interface PreparerOptions {
  /** The largest window ahead of the data, in bytes; 0 for none. */
  maxBytes: number;
  /** Where the data will end at the latest, in bytes. */
  limit: number;
  /** The storage's clock, in microseconds. */
  now(): number;
}

/** A window is prepared only where this many would fit into the free space of the filesystem. */
const MIN_FREE_WINDOWS = 64;
/** Bytes of zeros in one write: small, because a flush may have to wait for it. */
const STEP_BYTES = 256 * 1024;

/**
 * Allocates a window ahead of the data and writes it with zeros; {@linkcode PreparePolicy} says
 * when and how far.
 *
 * Failing to prepare never fails anything: the file gets its old size back, with its old blocks,
 * and nothing more is prepared.
 */
export class Preparer {
  readonly #file: TaskFile;
  readonly #pool: BufferPool;
  readonly #policy: PreparePolicy;
  readonly #now: () => number;
  /** Nothing is prepared from here; a multiple of the physical block. */
  readonly #limit: number;
  /** Zeros are written, or data lies, up to here; a multiple of the physical block. */
  #end: number;
  /** Blocks are allocated up to here. */
  #allocatedEnd: number;
  #zeros: PooledBuffer | undefined;
  /** The step in flight: one operation, so that blocking on the file's operations ends it. */
  #inFlight: Promise<void> | undefined;
  #isOff: boolean;

  /** @param dataEnd Where the data ends, in bytes. */
  constructor(
    file: TaskFile,
    pool: BufferPool,
    dataEnd: number,
    options: PreparerOptions,
  ) {
    const { physicalBlock, copyOnWrite } = file.capabilities;
    this.#file = file;
    this.#pool = pool;
    this.#policy = new PreparePolicy(options.maxBytes);
    this.#now = options.now;
    this.#limit = Math.min(
      roundUp(options.limit, physicalBlock),
      roundDown(MAX_SEGMENT_BYTES, physicalBlock),
    );
    this.#end = this.#allocatedEnd = roundUp(dataEnd, physicalBlock);
    // On such filesystems a block that is written again moves: nothing would be gained.
    this.#isOff = options.maxBytes === 0 || copyOnWrite;
  }

  /** Up to where the file is prepared, in bytes. */
  get end(): number {
    return this.#end;
  }

  /** Whether blocks are allocated after `dataEnd`. */
  hasPrepared(dataEnd: number): boolean {
    const { physicalBlock } = this.#file.capabilities;
    return this.#allocatedEnd > roundUp(dataEnd, physicalBlock);
  }

  /** Notes a flush that was written. */
  flushed(bytes: number, isDurable: boolean): void {
    this.#policy.flushed(bytes, isDurable);
  }

  /** Whether there is something to prepare ahead of `dataEnd`. */
  wants(dataEnd: number): boolean {
    if (
      this.#isOff || this.#inFlight !== undefined || this.#end >= this.#limit
    ) return false;
    const { physicalBlock } = this.#file.capabilities;
    return this.#end < this.#allocatedEnd ||
      this.#policy.wants(this.#end - roundUp(dataEnd, physicalBlock));
  }

  /**
   * Prepares a window ahead of `dataEnd`, or at least a step of it, until `isPaused()` says that a
   * flush waits.
   */
  async run(dataEnd: number, isPaused: () => boolean): Promise<void> {
    const isAllocated = this.#end < this.#allocatedEnd;
    if (!isAllocated) {
      const { physicalBlock } = this.#file.capabilities;
      const window = roundUp(this.#policy.next(this.#now()), physicalBlock);
      const target = Math.min(
        roundUp(dataEnd, physicalBlock) + window,
        this.#limit,
      );
      if (target > this.#end && this.#hasRoom(target - this.#end)) {
        await this.#step(() => this.#allocate(target));
      }
    }
    let hasStepped = !isAllocated;
    while (
      !this.#isOff && this.#end < this.#allocatedEnd &&
      !(hasStepped && isPaused())
    ) {
      await this.#step(() => this.#writeZeros());
      hasStepped = true;
    }
    if (this.#isOff || this.#end === this.#allocatedEnd) this.#dropZeros();
  }

  /** Whether a window leaves the filesystem's other users their space. */
  #hasRoom(bytes: number): boolean {
    const free = this.#file.freeBytes();
    return free === undefined || bytes <= free / MIN_FREE_WINDOWS;
  }

  async #step(run: () => Promise<void>): Promise<void> {
    if (this.#inFlight !== undefined || this.#isOff) return;
    this.#inFlight = run().catch(() => this.#giveBack());
    await this.#inFlight;
    this.#inFlight = undefined;
  }

  /**
   * Ends the preparing after a failure. Part of a range may have been allocated: what has no zeros
   * yet goes.
   */
  async #giveBack(): Promise<void> {
    this.#isOff = true;
    await drive(this.#file.truncate(this.#end)).catch(() => {});
    this.#allocatedEnd = this.#end;
  }

  /** Allocates up to `target`; where the device writes zeros by itself, nothing is left to do. */
  async #allocate(target: number): Promise<void> {
    const start = this.#end;
    const isZeroed = await drive(
      this.#file.preallocate(start, target - start, { zeroed: true }),
    );
    if (isZeroed && this.#end === start) this.#end = target;
    this.#allocatedEnd = Math.max(this.#allocatedEnd, target);
  }

  /** Writes some of the zeros that are missing. They go to where no data lies. */
  async #writeZeros(): Promise<void> {
    const start = this.#end;
    this.#zeros ??= this.#pool.acquireSync(STEP_BYTES, { zeroed: true });
    const length = Math.min(STEP_BYTES, this.#allocatedEnd - start);
    await drive(this.#file.write(this.#zeros, start, { length }));
    this.#end = Math.max(this.#end, start + length);
  }

  /**
   * Makes sure that no step in flight overlaps a write up to `end`; data lies up to there from now.
   */
  *yieldTo(end: number): Task<void> {
    const inFlight = this.#inFlight;
    if (inFlight !== undefined && end > this.#end) {
      yield* this.#waitFor(inFlight);
    }
    this.#end = Math.max(this.#end, end);
    this.#allocatedEnd = Math.max(this.#allocatedEnd, end);
  }

  /**
   * Gives the space after `dataEnd` back to a full disk; what fails here is not needed by anything.
   */
  *release(dataEnd: number): Task<void> {
    if (this.#inFlight !== undefined) yield* this.#waitFor(this.#inFlight);
    const end = roundUp(dataEnd, this.#file.capabilities.physicalBlock);
    if (this.#allocatedEnd <= end) return;
    try {
      yield* this.#file.truncate(end);
    } catch {
      return;
    }
    this.#end = this.#allocatedEnd = end;
    this.#dropZeros();
  }

  /** Ends the preparing and waits for the step in flight. */
  *stop(): Task<void> {
    this.#isOff = true;
    if (this.#inFlight !== undefined) yield* this.#waitFor(this.#inFlight);
    this.#dropZeros();
  }

  *#waitFor(inFlight: Promise<void>): Task<void> {
    const file = this.#file;
    let done = (): void => {};
    yield* perform<void>({
      kind: "prepare",
      runSync: () => file.settleSync(),
      begin(resolve) {
        done = resolve;
        inFlight.then(resolve);
      },
      settleSync() {
        file.settleSync();
        done();
      },
    });
  }

  #dropZeros(): void {
    this.#zeros?.drop();
    this.#zeros = undefined;
  }
}
