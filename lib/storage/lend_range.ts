import { FrozenBuffer, type Loan, PooledBuffer } from "../pool/mod.ts";
import { checkInteger, roundDown } from "../base/mod.ts";
import type { Capabilities } from "./capabilities.ts";
import type { BufferRange } from "./storage.ts";

/** Checks the range of a read or write, then lends it, for files of the disk and simulated ones. */
export function lendRange(
  kind: "read" | "write",
  path: string,
  capabilities: Capabilities,
  buffer: PooledBuffer | FrozenBuffer,
  position: number,
  range: BufferRange,
): Loan {
  const action = `${kind} '${path}'`;
  if (!(buffer instanceof PooledBuffer || buffer instanceof FrozenBuffer)) {
    throw new TypeError(
      `Cannot ${action} as 'buffer' must be a buffer of a pool (BufferPool.acquire): received ${
        (buffer as object | null)?.constructor?.name ?? String(buffer)
      }`,
    );
  }
  if (kind === "read" && buffer instanceof FrozenBuffer) {
    throw new TypeError(
      `Cannot ${action} as 'buffer' is frozen: others may be looking at it`,
    );
  }
  const whole = buffer.length;
  if (whole === 0) {
    throw new RangeError(
      `Cannot ${action} as 'buffer' must have at least 1 byte: received an empty one`,
    );
  }
  const { start = 0, length = whole - start } = range;
  const room = whole - start;
  checkInteger(action, "position", position);
  checkInteger(action, "start", start, 0, whole - 1);
  checkInteger(action, "length", length, 1, room);
  const most = Number.MAX_SAFE_INTEGER - length;
  checkInteger(action, "position", position, 0, most);
  const { memoryAlignment, offsetAlignment, readOffsetAlignment } =
    capabilities;
  const unit = kind === "read" ? readOffsetAlignment : offsetAlignment;
  checkAligned(action, "position", position, unit, 0, most);
  checkAligned(action, "length", length, unit, 1, room);
  const access = kind === "read" ? "write" : "read";
  const loan = buffer.pool.lend(buffer, start, length, access);
  // Blocks begin at multiples of 4096 or more, so the start within one shows the alignment.
  const excess = loan.start % memoryAlignment;
  if (excess === 0) return loan;
  loan.end();
  const advice = nearest(start - excess, memoryAlignment, 0, whole - length) ??
    "none in this buffer does";
  throw new RangeError(
    `Cannot ${action} as 'start' must lie at a multiple of ${memoryAlignment} in memory: received ${start}, byte ${loan.start} of its block, ${advice}`,
  );
}

/**
 * Checks that a value is a multiple of what the file asks for.
 *
 * @param max The greatest possible value: no advice goes above it.
 * @throws {RangeError} Naming the nearest multiples from `min` to `max`.
 */
export function checkAligned(
  action: string,
  name: string,
  value: number,
  alignment: number,
  min: number = 0,
  max: number = Number.MAX_SAFE_INTEGER,
): void {
  const below = roundDown(value, alignment);
  if (below === value) return;
  const advice = nearest(below, alignment, min, max) ??
    `and none lies between ${min} and ${max}`;
  throw new RangeError(
    `Cannot ${action} as '${name}' must be a multiple of ${alignment}: received ${value}, ${advice}`,
  );
}

/** Names the valid values beside a wrong one; `undefined` if there are none. */
function nearest(
  below: number,
  alignment: number,
  min: number,
  max: number,
): string | undefined {
  const near = [below, below + alignment]
    .filter((each) => each >= min && each <= max);
  if (near.length === 0) return undefined;
  return `nearest ${near.length === 1 ? "is" : "are"} ${near.join(" and ")}`;
}
