import type { Task } from "../base/mod.ts";
import type { BufferPool } from "../pool/mod.ts";
import type { TaskFile } from "../storage/mod.ts";
import { BlockReader } from "./block_reader.ts";

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
      if (lastNonZero(bytes) >= 0) return false;
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
  let end: number | undefined;
  while (blocks.position < to) {
    const piece = yield* blocks.next(to);
    using buffer = piece.buffer;
    const last = lastNonZero(buffer.bytes.subarray(piece.start, piece.end));
    if (last >= 0) end = piece.position + last + 1;
    if (piece.last) break;
  }
  return end;
}

/** Returns the index of the last byte that is not 0; -1 if there is none. */
export function lastNonZero(bytes: Uint8Array<ArrayBuffer>): number {
  let at = bytes.length;
  const isByte = () => (bytes.byteOffset + at) % 4 !== 0;
  while (at > 0 && isByte()) if (bytes[--at] !== 0) return at;
  if (at === 0) return -1;
  // Whole words, at places that are multiples of 4 in their buffer.
  const words = new Uint32Array(
    bytes.buffer,
    bytes.byteOffset + at % 4,
    at >> 2,
  );
  let word = words.length;
  while (word > 0 && words[word - 1] === 0) word--;
  at = word > 0 ? at % 4 + 4 * word : at % 4;
  while (at > 0) if (bytes[--at] !== 0) return at;
  return -1;
}
