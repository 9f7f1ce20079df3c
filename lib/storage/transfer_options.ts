import type { FrozenBuffer, PooledBuffer } from "../pool/mod.ts";
import type { BufferRange } from "./storage.ts";

/** What {@linkcode DirectFile.readAt} may be told. */
export interface ReadAtOptions {
  /** Ends the wait for a place in the pool. */
  signal?: AbortSignal;
}

/** What {@linkcode DirectFile.readMany} may be told. */
export interface ReadManyOptions extends ReadAtOptions {
  /**
   * How many bytes between two ranges may be read for nothing, so that one read serves both.
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
