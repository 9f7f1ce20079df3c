import { FrozenBuffer, type Loan, PooledBuffer } from "../pool/mod.ts";
import { checkAligned, checkInteger } from "./alignment.ts";
import type { Capabilities } from "./capabilities.ts";
import type { BufferRange } from "./storage.ts";

/**
 * Checks everything about the range of a read or write, then lends it: the same for a file of the
 * disk and of a simulation.
 */
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
  const alignment = kind === "read"
    ? capabilities.readOffsetAlignment
    : capabilities.offsetAlignment;
  const whole = buffer.length;
  if (whole === 0) {
    throw new RangeError(
      `Cannot ${action} as 'buffer' must have at least 1 byte: received an empty one`,
    );
  }
  const { start = 0, length = whole - start } = range;
  checkInteger({ action, name: "position" }, position);
  checkInteger({ action, name: "start" }, start, 0, Math.max(0, whole - 1));
  checkInteger({ action, name: "length" }, length, 1, whole - start);
  const most = Number.MAX_SAFE_INTEGER - length;
  checkInteger({ action, name: "position" }, position, 0, most);
  checkAligned({ action, name: "position" }, position, alignment, 0, most);
  const room = whole - start;
  checkAligned({ action, name: "length" }, length, alignment, 1, room);
  const access = kind === "read" ? "write" : "read";
  const loan = buffer.pool.lend(buffer, start, length, access);
  // Blocks begin at multiples of 4096 or more, so the place within one tells the alignment.
  if (loan.start % capabilities.memoryAlignment === 0) return loan;
  loan.end();
  throw misplaced(action, start, loan.start, capabilities, whole - length);
}

/** The error for memory at a place that the file does not take. */
function misplaced(
  action: string,
  start: number,
  place: number,
  { memoryAlignment }: Capabilities,
  max: number,
): RangeError {
  const below = start - place % memoryAlignment;
  const near = [below, below + memoryAlignment]
    .filter((each) => each >= 0 && each <= max);
  const advice = near.length === 0
    ? "none in this buffer does"
    : `nearest ${near.length === 1 ? "is" : "are"} ${near.join(" and ")}`;
  return new RangeError(
    `Cannot ${action} as 'start' must lie at a multiple of ${memoryAlignment} in memory: received ${start}, byte ${place} of its block, ${advice}`,
  );
}
