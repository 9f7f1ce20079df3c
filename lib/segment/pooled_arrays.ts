import {
  type BufferPool,
  type PooledBuffer,
  PoolLimitError,
} from "../pool/mod.ts";

/**
 * Makes arrays in memory of a pool, so that a reader makes no garbage; plain ones where the pool
 * has no room.
 */
export class PooledArrays {
  readonly #pool: BufferPool;
  readonly #buffers: (PooledBuffer | undefined)[] = [];

  constructor(pool: BufferPool) {
    this.#pool = pool;
  }

  /**
   * Makes an array of zeros; those before stay valid until {@linkcode PooledArrays.take} or
   * {@linkcode PooledArrays.drop}.
   */
  readonly allocate = (words: number): Uint32Array<ArrayBuffer> => {
    try {
      const buffer = this.#pool.acquireSync(4 * words, { zeroed: true });
      // To its end: no byte of an earlier owner may be reached.
      buffer.resize(buffer.capacity);
      this.#buffers.push(buffer);
      const { bytes } = buffer;
      return new Uint32Array(bytes.buffer, bytes.byteOffset, words);
    } catch (error) {
      if (!(error instanceof PoolLimitError)) throw error;
      this.#buffers.push(undefined);
      return new Uint32Array(words);
    }
  };

  /**
   * Returns the memory of the last array if it belongs to the pool, for the caller to drop; the
   * others are given back.
   */
  take(): PooledBuffer | undefined {
    const last = this.#buffers.pop();
    this.drop();
    return last;
  }

  /** Gives all memory back. */
  drop(): void {
    for (const buffer of this.#buffers.splice(0)) buffer?.drop();
  }
}
