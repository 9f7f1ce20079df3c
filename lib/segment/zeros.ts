import type { BufferPool } from "../pool/mod.ts";
import { step, type StorageFile, type Twin } from "../storage/mod.ts";
import { READ_BLOCK_BYTES } from "./cursor.ts";
import { roundDown, roundUp } from "./layout.ts";

/** Whether a file holds nothing but zeros in `[from, to)`, as far as it goes. */
export function* isZero(
  file: StorageFile,
  pool: BufferPool,
  from: number,
  to: number,
): Twin<boolean> {
  if (from >= to) return true;
  const unit = file.capabilities.readOffsetAlignment;
  using buffer = yield* step(
    () => pool.acquire(READ_BLOCK_BYTES),
    () => pool.acquireSync(READ_BLOCK_BYTES),
  );
  while (from < to) {
    const start = roundDown(from, unit);
    const length = Math.min(READ_BLOCK_BYTES, roundUp(to - start, unit));
    const read = yield* step(
      () => file.read(buffer, start, { length }),
      () => file.readSync(buffer, start, { length }),
    );
    const part = buffer.bytes.subarray(
      from - start,
      Math.min(read, to - start),
    );
    if (part.some((byte) => byte !== 0)) return false;
    if (read < length) return true;
    from = start + length;
  }
  return true;
}
