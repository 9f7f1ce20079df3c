import type { Task } from "../../base/mod.ts";
import { nonzeroEnd } from "../../codec/mod.ts";
import type { BufferPool } from "../../pool/mod.ts";
import type { TaskFile } from "../../storage/mod.ts";
import { BlockReader } from "../read/block_reader.ts";

/** Whether a file holds nothing but zeros in `[from, to)`, as far as it goes. */
export function* isZero(
  file: TaskFile,
  pool: BufferPool,
  from: number,
  to: number,
): Task<boolean> {
  const blocks = new BlockReader(file, pool, from);
  try {
    while (blocks.position < to) {
      const piece = yield* blocks.next(to);
      using buffer = piece.buffer;
      const bytes = buffer.bytes.subarray(piece.start, piece.end);
      if (nonzeroEnd(bytes) > 0) return false;
      if (piece.last) return true;
    }
    return true;
  } finally {
    yield* blocks.close();
  }
}

/**
 * Returns the end of the last byte before `to` that is not 0, reading on from where `blocks` is;
 * `undefined` if there is none.
 */
export function* endOfNonZero(
  blocks: BlockReader,
  to: number,
): Task<number | undefined> {
  let found: number | undefined;
  while (blocks.position < to) {
    const piece = yield* blocks.next(to);
    using buffer = piece.buffer;
    const end = nonzeroEnd(buffer.bytes.subarray(piece.start, piece.end));
    if (end > 0) found = piece.position + end;
    if (piece.last) break;
  }
  return found;
}
