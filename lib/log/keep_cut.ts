import type { Task } from "../base/mod.ts";
import { acquire, type BufferPool } from "../pool/mod.ts";
import type { TaskFile, TaskStorage } from "../storage/mod.ts";
import { join, segmentName, TEMPORARY_SUFFIX } from "./names.ts";
import { nameFile, prepareFile } from "./temporary_file.ts";

/** Bytes that are copied at a time. */
const BLOCK_BYTES = 1024 * 1024;

/**
 * Copies the bytes `[from, to)` of a `.log` to `<segment>.<from>.<n>.cut` beside it, durably,
 * before they are cut.
 *
 * No file is overwritten, and a copy that fails is removed.
 *
 * @returns The path of the copy.
 */
export function* keepCut(
  storage: TaskStorage,
  dir: string,
  firstOffset: number,
  log: TaskFile,
  pool: BufferPool,
  from: number,
  to: number,
): Task<string> {
  const path = yield* freeCutPath(storage, dir, firstOffset, from);
  yield* prepareFile(
    storage,
    path,
    (copy) => copyBytes(log, copy, pool, from, to),
  );
  // Only a whole copy gets the name.
  yield* nameFile(storage, path);
  yield* storage.syncDirectory(dir);
  return path;
}

/**
 * Returns a free path for what is taken out of a segment: bytes of its `.log` from a position, or
 * its `.index`.
 */
export function* freeCutPath(
  storage: TaskStorage,
  dir: string,
  firstOffset: number,
  what: number | "index",
): Task<string> {
  const taken = new Set((yield* storage.list(dir)).map((each) => each.name));
  for (let n = 0;; n++) {
    const name = `${segmentName(firstOffset)}.${what}.${n}.cut`;
    if (taken.has(name) || taken.has(name + TEMPORARY_SUFFIX)) continue;
    return join(dir, name);
  }
}

/** Copies bytes to the beginning of an empty file and makes them durable. */
function* copyBytes(
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
    const length = Math.min(BLOCK_BYTES, Math.ceil((end - at) / unit) * unit);
    yield* to.write(buffer, at - start, { length });
  }
  yield* to.truncate(end - start);
  yield* to.sync("full");
}
