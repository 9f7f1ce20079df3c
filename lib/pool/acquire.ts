import { step, type Task } from "../base/mod.ts";
import type { AcquireOptions } from "./options.ts";
import type { BufferPool } from "./pool.ts";
import { PoolLimitError } from "./pool_limit_error.ts";
import type { PooledBuffer } from "./pooled_buffer.ts";

/**
 * Leases memory as a task: at once where there is room, so that no step is needed.
 *
 * At the limit it waits as {@linkcode BufferPool.acquire} does; the blocking version never waits.
 */
export function* acquire(
  pool: BufferPool,
  bytes: number,
  options?: AcquireOptions,
): Task<PooledBuffer> {
  options?.signal?.throwIfAborted();
  try {
    return pool.acquireSync(bytes, options);
  } catch (error) {
    if (!(error instanceof PoolLimitError)) throw error;
    const refuse = (): never => {
      throw error;
    };
    return yield* step(() => pool.acquire(bytes, options), refuse, "acquire");
  }
}
