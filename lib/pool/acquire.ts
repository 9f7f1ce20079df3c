import { step, type Task } from "../base/mod.ts";
import type { AcquireOptions } from "./options.ts";
import type { BufferPool } from "./pool.ts";
import type { PooledBuffer } from "./pooled_buffer.ts";

/** Leases memory as a task; the blocking version never waits, so that it needs no `signal`. */
export function acquire(
  pool: BufferPool,
  bytes: number,
  options?: AcquireOptions,
): Task<PooledBuffer> {
  return step(
    () => pool.acquire(bytes, options),
    () => pool.acquireSync(bytes, options),
  );
}
