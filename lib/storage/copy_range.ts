import type { Task } from "../base/mod.ts";
import { acquire, type BufferPool } from "../pool/mod.ts";
import { alignUp } from "./alignment.ts";
import type { TaskFile } from "./task_file.ts";

const BLOCK_BYTES = 1024 * 1024;

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
  // Reads begin at a multiple of the block, writes at 0: what is read is moved by the difference.
  const shift = start % unit;
  using buffer = yield* acquire(pool, BLOCK_BYTES + unit);
  for (let at = start; at < end; at += BLOCK_BYTES) {
    const read = yield* from.read(buffer, at - shift);
    const bytes = buffer.bytes;
    bytes.fill(0, read);
    bytes.copyWithin(0, shift);
    const length = Math.min(BLOCK_BYTES, alignUp(end - at, unit));
    yield* to.write(buffer, at - start, { length });
  }
  yield* to.truncate(end - start);
  yield* to.sync("full");
}

/** Whether two files hold the same bytes. */
export function* haveEqualBytes(
  a: TaskFile,
  b: TaskFile,
  pool: BufferPool,
): Task<boolean> {
  const size = yield* a.size();
  if (size !== (yield* b.size())) return false;
  using mine = yield* acquire(pool, BLOCK_BYTES);
  using other = yield* acquire(pool, BLOCK_BYTES);
  for (let at = 0; at < size; at += BLOCK_BYTES) {
    const [read, also] = [
      yield* a.read(mine, at),
      yield* b.read(other, at),
    ];
    if (read !== also || !sameBytes(mine.bytes, other.bytes, read)) {
      return false;
    }
  }
  return true;
}

function sameBytes(a: Uint8Array, b: Uint8Array, length: number): boolean {
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return false;
  return true;
}
