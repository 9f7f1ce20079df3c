import type { Task } from "../base/mod.ts";
import { acquire, type BufferPool } from "../pool/mod.ts";
import type { TaskFile } from "../storage/mod.ts";
import { roundDown } from "./layout.ts";
import type { IndexState } from "./write/index_writer.ts";

/** Upper bound of the reads until two agree. */
const TAIL_ATTEMPTS = 4;

/**
 * Reads a file from the last multiple of the physical block to `end`.
 *
 * A writer writes these bytes again, and they include acknowledged messages. A bit that was wrong
 * in one read must not become wrong on the disk, so they are read until two reads agree.
 */
export function* readTail(
  file: TaskFile,
  pool: BufferPool,
  end: number,
): Task<Uint8Array> {
  const unit = file.capabilities.physicalBlock;
  const start = roundDown(end, unit);
  if (start === end) return new Uint8Array(0);
  using buffer = yield* acquire(pool, unit);
  let before: Uint8Array | undefined;
  for (let attempt = 0; attempt < TAIL_ATTEMPTS; attempt++) {
    const read = yield* file.readNow(buffer, start, { length: unit });
    // Missing bytes would be written back as whatever the memory held.
    if (start + read < end) {
      throw new Deno.errors.UnexpectedEof(
        `Cannot read '${file.path}' up to byte ${end}: it ends at ${
          start + read
        }, another program has cut it`,
      );
    }
    const tail = buffer.bytes.slice(0, end - start);
    if (before !== undefined && tail.every((byte, i) => byte === before![i])) {
      return tail;
    }
    before = tail;
  }
  throw new Deno.errors.InvalidData(
    `Cannot read '${file.path}' from byte ${start} to ${end}: the device gives other bytes each time`,
  );
}

/** Reads the end of an index of `end` bytes. */
export function* readIndexState(
  index: TaskFile,
  pool: BufferPool,
  end: number,
): Task<IndexState> {
  return { end, tail: yield* readTail(index, pool, end) };
}
