/** What a {@linkcode PoolLimit} says in figures. */
export interface PoolLimitFields {
  /** The pool's limit in bytes. */
  limitBytes: number;
  /** Bytes that the pool had mapped. */
  mappedBytes: number;
  /** Bytes that were asked for. */
  requestedBytes: number;
}

/**
 * The limit of a pool leaves no room for a request.
 *
 * @example Acting on it
 * ```ts
 * import { BufferPool, PoolLimit } from "@basalt/io";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * using pool = new BufferPool({ limitBytes: 4096 });
 * using first = pool.acquireSync(4096);
 * const error = assertThrows(() => pool.acquireSync(1), PoolLimit);
 * assertEquals((error as PoolLimit).limitBytes, first.length);
 * ```
 */
export class PoolLimit extends Error {
  /** `"PoolLimit"`. */
  override readonly name: string = "PoolLimit";
  /** The pool's limit in bytes. */
  readonly limitBytes: number;
  /** Bytes that the pool had mapped. */
  readonly mappedBytes: number;
  /** Bytes that were asked for. */
  readonly requestedBytes: number;

  /** Makes the error. */
  constructor(message: string, fields: PoolLimitFields) {
    super(message);
    this.limitBytes = fields.limitBytes;
    this.mappedBytes = fields.mappedBytes;
    this.requestedBytes = fields.requestedBytes;
  }
}
