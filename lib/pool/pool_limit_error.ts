/**
 * Reports that the limit of a pool leaves no room for a request.
 *
 * @example At the limit
 * ```ts
 * import { BufferPool, PoolLimitError } from "@basalt/io";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * using pool = new BufferPool({ limitBytes: 4096 });
 * using first = pool.acquireSync(4096);
 * const error = assertThrows(() => pool.acquireSync(1), PoolLimitError);
 * assertEquals((error as PoolLimitError).limitBytes, first.length);
 * ```
 */
export class PoolLimitError extends Error {
  /** `"PoolLimitError"`. */
  override readonly name: string = "PoolLimitError";
  /** The pool's limit in bytes. */
  readonly limitBytes!: number;
  /** Bytes that the pool had mapped. */
  readonly mappedBytes!: number;
  /** Bytes of the blocks in use; the other mapped blocks were lost, or could not be unmapped. */
  readonly inUseBytes!: number;
  /** Requests that wait before this one. */
  readonly waiting!: number;
  /** Bytes that were requested. */
  readonly requestedBytes!: number;

  /** Makes the error. */
  constructor(message: string, fields: Omit<PoolLimitError, keyof Error>) {
    super(message);
    Object.assign(this, fields);
  }
}
