import { checkInteger } from "../base/mod.ts";
import { BufferPool } from "../pool/mod.ts";
import { MAX_OFFSET } from "./layout.ts";
import type { SegmentReaderOptions } from "./read/segment_reader.ts";

/**
 * Checks the files, the offset and the pool of a segment.
 *
 * @throws {TypeError} If a file is not a file, or the pool not a pool.
 * @throws {RangeError} If the offset is out of its range.
 */
export function checkSegment(
  action: string,
  options: SegmentReaderOptions,
): void {
  for (const name of ["log", "index"] as const) {
    if (typeof options[name]?.readSync === "function") continue;
    throw new TypeError(
      `Cannot ${action} as '${name}' must be an open file, such as a DirectFile: received ${typeof options[
        name
      ]}`,
    );
  }
  checkInteger(action, "firstOffset", options.firstOffset, 0, MAX_OFFSET);
  if (options.pool !== undefined) checkPool(action, options.pool);
}

/**
 * Checks that an option is a pool.
 *
 * @throws {TypeError} If it is not.
 */
export function checkPool(action: string, pool: unknown): void {
  if (pool instanceof BufferPool) return;
  throw new TypeError(
    `Cannot ${action} as 'pool' must be a BufferPool: received ${typeof pool}`,
  );
}
