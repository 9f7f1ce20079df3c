import type { BufferPool, PooledBuffer } from "../pool/mod.ts";
import { step, type StorageFile, type Twin } from "../storage/mod.ts";
import { MAX_SEGMENT_BYTES, roundDown, roundUp } from "./layout.ts";

/** Bytes of one step: small, for a flush may have to wait for it. */
const STEP_BYTES = 1024 * 1024;

/**
 * Allocates a window ahead of the data and writes it with zeros, so that a durable write finds blocks that are there already and needs no journal commit of its own.
 *
 * Failing to prepare never fails anything: it only ends the preparing.
 */
export class Preparer {
  readonly #file: StorageFile;
  readonly #pool: BufferPool;
  readonly #windowBytes: number;
  /** Zeros are written (or data lies) up to here; a multiple of the physical block. */
  #end: number;
  /** Blocks are allocated up to here. */
  #allocatedEnd: number;
  #zeros: PooledBuffer | undefined;
  /** Where the step in flight ends, and its completion. */
  #inFlight: { end: number; done: Promise<void> } | undefined;
  #off: boolean;

  /**
   * @param dataEnd Where the data ends, in bytes.
   * @param windowBytes How far ahead to prepare; 0 for not at all.
   */
  constructor(
    file: StorageFile,
    pool: BufferPool,
    dataEnd: number,
    windowBytes: number,
  ) {
    this.#file = file;
    this.#pool = pool;
    this.#windowBytes = windowBytes;
    this.#end = this.#allocatedEnd = roundUp(
      dataEnd,
      file.capabilities.physicalBlock,
    );
    // On such filesystems a rewritten block moves: nothing would be gained.
    this.#off = windowBytes === 0 || file.capabilities.copyOnWrite;
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
      const target = Math.min(
        roundUp(
          dataEnd() + this.#windowBytes,
          this.#file.capabilities.physicalBlock,
        ),
        roundDown(MAX_SEGMENT_BYTES, this.#file.capabilities.physicalBlock),
      );
      if (this.#end >= target) break;
      const end = Math.min(this.#end + STEP_BYTES, target);
      this.#inFlight = { end, done: this.#step(end, target) };
      await this.#inFlight.done;
      this.#inFlight = undefined;
    }
    if (this.#off || !paused()) this.#dropZeros();
  }

  async #step(end: number, target: number): Promise<void> {
    try {
      if (this.#allocatedEnd < target) {
        await this.#file.preallocate(
          this.#allocatedEnd,
          target - this.#allocatedEnd,
        );
        this.#allocatedEnd = target;
      }
      this.#zeros ??= this.#pool.acquireSync(STEP_BYTES, { zeroed: true });
      const start = this.#end;
      await this.#file.write(this.#zeros, start, { length: end - start });
      this.#end = Math.max(this.#end, end);
    } catch {
      // No room on the disk or in memory, or the filesystem cannot: appends extend the file as they go.
      this.#off = true;
    }
  }

  /** Sees to it that no step in flight overlaps a write up to `end`; data lies up to there from now on. */
  *yieldTo(end: number): Twin<void> {
    const step_ = this.#inFlight;
    if (step_ !== undefined && end > this.#end) yield* this.#settle(step_.done);
    this.#end = Math.max(this.#end, end);
    this.#allocatedEnd = Math.max(this.#allocatedEnd, end);
  }

  /** Ends the preparing and waits for the step in flight. */
  *stop(): Twin<void> {
    this.#off = true;
    if (this.#inFlight !== undefined) yield* this.#settle(this.#inFlight.done);
    this.#dropZeros();
  }

  *#settle(done: Promise<void>): Twin<void> {
    yield* step(() => done, () => this.#file.settleSync());
  }

  #dropZeros(): void {
    this.#zeros?.drop();
    this.#zeros = undefined;
  }
}
