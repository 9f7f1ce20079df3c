import { checkInteger, roundDown, roundUp, type Task } from "../base/mod.ts";
import { acquire, type BufferPool, type PooledBuffer } from "../pool/mod.ts";
import { MAX_READ_BYTES } from "./read_plan.ts";
import type { TaskFile } from "./task_file.ts";
import type { ReadAtOptions } from "./transfer_options.ts";

/** A tail that is longer is cut off the block, a shorter one filled with zeros: about as dear. */
const MAX_ZEROED_BYTES = 16 * 1024;

/**
 * Reads any range of a file: rounded out to what the file asks for, and cut to what was asked for
 * without a copy.
 */
export function* readRange(
  file: TaskFile,
  pool: BufferPool,
  position: number,
  length: number,
  options: ReadAtOptions,
): Task<PooledBuffer> {
  const unit = file.capabilities.readOffsetAlignment;
  const action = `read '${file.path}'`;
  checkInteger(action, "position", position);
  const first = roundDown(position, unit);
  const skipped = position - first;
  const most = Math.min(
    MAX_READ_BYTES - skipped,
    roundDown(Number.MAX_SAFE_INTEGER, unit) - position,
  );
  checkInteger(action, "length", length, 1, most);
  const rounded = roundUp(skipped + length, unit);
  let buffer = yield* acquire(pool, rounded, options);
  try {
    const got = yield* file.read(buffer, first);
    const end = Math.min(got, skipped + length);
    // What lies ahead of the range was not asked for: without a range nothing stays reachable.
    if (end <= skipped) return bounded(buffer, 0);
    buffer = bounded(buffer, got);
    if (skipped > 0) buffer.splitTo(skipped).drop();
    buffer.truncate(end - skipped);
    return buffer;
  } catch (error) {
    buffer.drop();
    throw error;
  }
}

/**
 * Sees to it that nothing after the first `length` bytes can be reached through a buffer: an
 * earlier
 * owner's bytes may lie there.
 */
function bounded(buffer: PooledBuffer, length: number): PooledBuffer {
  const tail = buffer.capacity - length;
  if (tail > MAX_ZEROED_BYTES && length > 0) {
    const head = buffer.splitTo(length);
    buffer.drop();
    return head;
  }
  buffer.truncate(length);
  if (tail > 0) {
    buffer.resize(length + tail);
    buffer.truncate(length);
  }
  return buffer;
}
