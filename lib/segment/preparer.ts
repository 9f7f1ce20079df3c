import { step, type Task } from "../base/mod.ts";
import type { BufferPool, PooledBuffer } from "../pool/mod.ts";
import type { TaskFile } from "../storage/mod.ts";
import { MAX_SEGMENT_BYTES, roundDown, roundUp } from "./layout.ts";

/** How far to prepare. */
export interface PreparerOptions {
  /** How far ahead of the data, in bytes; 0 for not at all. */
  windowBytes: number;
  /** Where the data will end at the latest, in bytes. */
  limit: number;
}

/** Bytes of one step: small, for a flush may have to wait for it. */
const STEP_BYTES = 1024 * 1024;

/**
 * Allocates a window ahead of the data and writes it with zeros, so that a durable write finds blocks that are there already and needs no journal commit of its own.
 *
 * Failing to prepare never fails anything: it only ends the preparing.
 */
export class Preparer {
  readonly #file: TaskFile;
  readonly #pool: BufferPool;
  readonly #windowBytes: number;
  /** Less than this is not allocated: were the window to follow the data, each flush would be followed by an allocation of its size, and its journal commit. */
  readonly #leastBytes: number;
  /** Nothing is prepared beyond; a multiple of the physical block. */
  readonly #limit: number;
  /** Zeros are written (or data lies) up to here; a multiple of the physical block. */
  #end: number;
  /** Blocks are allocated up to here. */
  #allocatedEnd: number;
  #zeros: PooledBuffer | undefined;
  /** The completion of the step in flight: one operation, so that blocking on the file's operations ends it. */
  #inFlight: Promise<void> | undefined;
  #off: boolean;

  /** @param dataEnd Where the data ends, in bytes. */
  constructor(
    file: TaskFile,
    pool: BufferPool,
    dataEnd: number,
    { windowBytes, limit }: PreparerOptions,
  ) {
    const { physicalBlock, copyOnWrite } = file.capabilities;
    this.#file = file;
    this.#pool = pool;
    this.#windowBytes = windowBytes;
    this.#leastBytes = windowBytes / 4;
    this.#limit = Math.min(
      roundUp(limit, physicalBlock),
      roundDown(MAX_SEGMENT_BYTES, physicalBlock),
    );
    this.#end = this.#allocatedEnd = roundUp(dataEnd, physicalBlock);
    // On such filesystems a rewritten block moves: nothing would be gained.
    this.#off = windowBytes === 0 || copyOnWrite;
  }

  /** Up to where the file is prepared, in bytes. */
  get end(): number {
    return this.#end;
  }

  /** Whether the window ahead of `dataEnd` is less than half full. */
  wants(dataEnd: number): boolean {
    return !this.#off && this.#inFlight === undefined &&
      this.#end - dataEnd < this.#windowBytes / 2;
  }

  /**
   * Prepares until the window ahead of `dataEnd()` is full or `paused()` says that a flush waits.
   */
  async run(dataEnd: () => number, paused: () => boolean): Promise<void> {
    while (!this.#off && this.#inFlight === undefined && !paused()) {
      const { physicalBlock } = this.#file.capabilities;
      const wanted = roundUp(dataEnd() + this.#windowBytes, physicalBlock);
      const target = Math.min(wanted, this.#limit);
      if (this.#end === this.#allocatedEnd) {
        const missing = target - this.#end;
        if (missing <= 0) break;
        if (missing < this.#leastBytes && target < this.#limit) break;
      }
      this.#inFlight = this.#step(target);
      await this.#inFlight;
      this.#inFlight = undefined;
    }
    if (this.#off || !paused()) this.#dropZeros();
  }

  /** Writes some zeros where blocks are allocated, or allocates some up to `target`. */
  async #step(target: number): Promise<void> {
    try {
      const start = this.#end;
      if (start < this.#allocatedEnd) {
        this.#zeros ??= this.#pool.acquireSync(STEP_BYTES, { zeroed: true });
        const length = Math.min(STEP_BYTES, this.#allocatedEnd - start);
        await this.#file.file.write(this.#zeros, start, { length });
        this.#end = Math.max(this.#end, start + length);
        return;
      }
      // Where the device writes zeros by itself there is nothing left to do; they go to where none were written before, and no data lies.
      const zeroed = await this.#file.file.preallocate(start, target - start, {
        zeroed: true,
      });
      if (zeroed && this.#end === start) this.#end = target;
      this.#allocatedEnd = Math.max(this.#allocatedEnd, target);
    } catch {
      // No room on the disk or in memory, or the filesystem cannot: appends extend the file as they go.
      this.#off = true;
    }
  }

  /** Sees to it that no step in flight overlaps a write up to `end`; data lies up to there from now on. */
  *yieldTo(end: number): Task<void> {
    const step_ = this.#inFlight;
    if (step_ !== undefined && end > this.#end) yield* this.#settle(step_);
    this.#end = Math.max(this.#end, end);
    this.#allocatedEnd = Math.max(this.#allocatedEnd, end);
  }

  /** Ends the preparing and waits for the step in flight. */
  *stop(): Task<void> {
    this.#off = true;
    if (this.#inFlight !== undefined) yield* this.#settle(this.#inFlight);
    this.#dropZeros();
  }

  *#settle(done: Promise<void>): Task<void> {
    yield* step(() => done, () => this.#file.settleSync());
  }

  #dropZeros(): void {
    this.#zeros?.drop();
    this.#zeros = undefined;
  }
}
