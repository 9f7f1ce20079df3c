import { roundDown, roundUp, sameBytes, type Task } from "../base/mod.ts";
import { acquire, type BufferPool } from "../pool/mod.ts";
import type { TaskFile } from "./task_file.ts";

/** Bytes of the one block that is used; less where the pool is small. */
const BLOCK_BYTES = 1024 * 1024;
const MIN_BLOCK_BYTES = 64 * 1024;

/** Returns how many bytes to lease: at least two units. */
function blockBytes({ limitBytes }: BufferPool, unit: number): number {
  const bytes = Math.min(BLOCK_BYTES, roundDown(limitBytes / 8, unit));
  return Math.max(bytes, roundUp(MIN_BLOCK_BYTES, 2 * unit));
}

/**
 * Copies the bytes `[start, end)` of a file to the beginning of an empty one, and makes them
 * durable.
 */
export function* copyRange(
  from: TaskFile,
  to: TaskFile,
  pool: BufferPool,
  start: number,
  end: number,
): Task<void> {
  const unit = Math.max(
    from.capabilities.readOffsetAlignment,
    to.capabilities.physicalBlock,
  );
  // Reads begin at a multiple of the block, writes at 0. The bytes are moved by the difference.
  const shift = start % unit;
  using buffer = yield* acquire(pool, blockBytes(pool, unit));
  const step = buffer.length - unit;
  for (let at = start; at < end; at += step) {
    const read = yield* from.read(buffer, at - shift);
    const bytes = buffer.bytes;
    bytes.fill(0, read);
    bytes.copyWithin(0, shift);
    const length = Math.min(step, roundUp(end - at, unit));
    yield* to.write(buffer, at - start, { length });
  }
  yield* to.truncate(end - start);
  yield* to.sync("full");
}

/** Returns whether two files hold the same bytes. */
export function* haveEqualBytes(
  a: TaskFile,
  b: TaskFile,
  pool: BufferPool,
): Task<boolean> {
  const size = yield* a.size();
  if (size !== (yield* b.size())) return false;
  const unit = Math.max(
    a.capabilities.readOffsetAlignment,
    b.capabilities.readOffsetAlignment,
  );
  // One block for both, so that no caller waits for memory while it holds some.
  using buffer = yield* acquire(pool, blockBytes(pool, unit));
  const step = roundDown(buffer.length / 2, unit);
  const [mine, other] = [{ start: 0, length: step }, {
    start: step,
    length: step,
  }];
  for (let at = 0; at < size; at += step) {
    const read = yield* a.read(buffer, at, mine);
    const also = yield* b.read(buffer, at, other);
    const bytes = buffer.bytes;
    const isEqual = read === also &&
      sameBytes(bytes.subarray(0, read), bytes.subarray(step, step + read));
    if (!isEqual) return false;
  }
  return true;
}
