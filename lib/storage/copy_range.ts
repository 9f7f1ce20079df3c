import type { BufferPool } from "../pool/mod.ts";
import { alignUp } from "./alignment.ts";
import type { StorageFile } from "./storage.ts";
import { step, type Twin } from "./twin.ts";

const BLOCK_BYTES = 1024 * 1024;

/**
 * Copies the bytes `[start, end)` of a file to the beginning of another one, cuts that one behind them, and makes it durable.
 *
 * @param start A multiple of the physical block of both.
 */
export function* copyRange(
  from: StorageFile,
  to: StorageFile,
  pool: BufferPool,
  start: number,
  end: number,
): Twin<void> {
  const unit = Math.max(
    from.capabilities.readOffsetAlignment,
    to.capabilities.physicalBlock,
  );
  using buffer = yield* step(
    () => pool.acquire(BLOCK_BYTES),
    () => pool.acquireSync(BLOCK_BYTES),
  );
  for (let at = start; at < end; at += BLOCK_BYTES) {
    const range = { length: Math.min(BLOCK_BYTES, alignUp(end - at, unit)) };
    const read = yield* step(
      () => from.read(buffer, at, range),
      () => from.readSync(buffer, at, range),
    );
    buffer.bytes.fill(0, read, range.length);
    yield* step(
      () => to.write(buffer, at - start, range),
      () => to.writeSync(buffer, at - start, range),
    );
  }
  yield* step(
    () => to.truncate(end - start),
    () => to.truncateSync(end - start),
  );
  yield* step(() => to.sync("full"), () => to.syncSync("full"));
}

/** Whether two files hold the same bytes. */
export function* haveEqualBytes(
  a: StorageFile,
  b: StorageFile,
  pool: BufferPool,
): Twin<boolean> {
  const size = yield* step(() => a.size(), () => a.sizeSync());
  if (size !== (yield* step(() => b.size(), () => b.sizeSync()))) return false;
  using mine = yield* step(
    () => pool.acquire(BLOCK_BYTES),
    () => pool.acquireSync(BLOCK_BYTES),
  );
  using other = yield* step(
    () => pool.acquire(BLOCK_BYTES),
    () => pool.acquireSync(BLOCK_BYTES),
  );
  for (let at = 0; at < size; at += BLOCK_BYTES) {
    const [read, also] = [
      yield* step(() => a.read(mine, at), () => a.readSync(mine, at)),
      yield* step(() => b.read(other, at), () => b.readSync(other, at)),
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
