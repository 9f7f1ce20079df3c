import type { FrozenBuffer, PooledBuffer } from "../pool/mod.ts";
import type { BufferRange } from "./storage.ts";

/** Options of {@linkcode DirectFile.readAt}. */
export interface ReadAtOptions {
  /** Ends the wait for a place in the pool. */
  signal?: AbortSignal;
}

/** Options of {@linkcode DirectFile.readMany}. */
export interface ReadManyOptions extends ReadAtOptions {
  /**
   * The largest gap in bytes between two ranges that one read may cover.
   * @default {16384}
   */
  gapBytes?: number;
}

/** One write of {@linkcode DirectFile.writeMany}. */
export interface WriteItem extends BufferRange {
  /**
   * The bytes; lent while the batch runs, so a pooled buffer can be in it once, a frozen one any
   * number of times.
   */
  readonly buffer: PooledBuffer | FrozenBuffer;
  /** Where in the file. */
  readonly position: number;
}
