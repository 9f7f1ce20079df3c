import { BufferPool } from "../pool/mod.ts";
import { checkInteger, type Durability } from "../storage/mod.ts";
import type { SegmentFiles } from "./active_segment.ts";
import { MAX_OFFSET } from "./layout.ts";

/**
 * Checks what a segment is made of, before anything is done with it.
 *
 * @throws {TypeError} If the files are none, or the pool.
 * @throws {RangeError} If the offset is none.
 */
export function checkSegment(
  action: string,
  options: SegmentFiles & { firstOffset: number; pool?: BufferPool },
): void {
  for (const name of ["log", "index"] as const) {
    if (typeof options[name]?.readSync === "function") continue;
    throw new TypeError(
      `Cannot ${action} as '${name}' must be an open file, such as a DirectFile: received ${typeof options[
        name
      ]}`,
    );
  }
  checkInteger(
    { action, name: "firstOffset" },
    options.firstOffset,
    0,
    MAX_OFFSET,
  );
  if (options.pool !== undefined) checkPool(action, options.pool);
}

/**
 * Checks that an option is a pool.
 *
 * @throws {TypeError} If it is none.
 */
export function checkPool(action: string, pool: unknown): void {
  if (pool instanceof BufferPool) return;
  throw new TypeError(
    `Cannot ${action} as 'pool' must be a BufferPool: received ${typeof pool}`,
  );
}

/** The error for a durability that is none; `undefined` for one. */
export function wrongDurability(
  path: string,
  durability: Durability,
): TypeError | undefined {
  if (["none", "data", "full"].includes(durability)) return undefined;
  return new TypeError(
    `Cannot flush '${path}' as 'durability' must be "none", "data" or "full": received ${
      typeof durability === "string" ? `"${durability}"` : typeof durability
    }`,
  );
}
