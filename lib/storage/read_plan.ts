import { checkInteger, roundDown, roundUp } from "../base/mod.ts";
import type { Capabilities } from "./capabilities.ts";

/** Bytes of a file. */
export interface FileRange {
  /** The first byte, counted from the file's beginning. */
  readonly position: number;
  /** How many bytes, at least 1. */
  readonly length: number;
}

/** The longest block of the pool, and so the longest read. */
export const MAX_READ_BYTES: number = 512 * 1024 * 1024;
/**
 * Neighbours are merged into reads of at most this length: several reads in flight are faster than
 * a longer one.
 */
const MAX_RUN_BYTES = 1024 * 1024;

/** One read that covers some of the ranges, rounded out to what the file asks for. */
export interface Run {
  /** Where it begins in the block. */
  readonly start: number;
  /** Where it begins in the file. */
  readonly position: number;
  length: number;
}

/** How to read many ranges into one block. */
export interface ReadPlan {
  /** In the order of positions, one after the other in the block. */
  readonly runs: Run[];
  /** By range: the index of the run that covers it. */
  readonly runOf: Uint32Array;
  /** Bytes of the block. */
  readonly bytes: number;
}

/**
 * Plans the reads: rounds ranges out, and merges neighbours with at most `gapBytes` between them.
 *
 * @param action The action that errors name.
 * @throws {RangeError} If a range is not valid, or all together are longer than a block can be.
 */
export function planReads(
  action: string,
  ranges: readonly FileRange[],
  capabilities: Pick<Capabilities, "readOffsetAlignment" | "memoryAlignment">,
  gapBytes: number,
): ReadPlan {
  const { readOffsetAlignment: unit, memoryAlignment } = capabilities;
  checkInteger(action, "gapBytes", gapBytes);
  ranges.forEach(({ position, length }, i) => {
    const most = roundDown(Number.MAX_SAFE_INTEGER, unit);
    checkInteger(action, `ranges[${i}].position`, position, 0, most);
    const longest = Math.min(MAX_READ_BYTES, most - position);
    checkInteger(action, `ranges[${i}].length`, length, 1, longest);
  });
  const order = Uint32Array.from(ranges.keys())
    .sort((a, b) => ranges[a]!.position - ranges[b]!.position);
  const runs: Run[] = [];
  const runOf = new Uint32Array(ranges.length);
  const spacing = Math.max(unit, memoryAlignment);
  let run: Run | undefined;
  for (const index of order) {
    const range = ranges[index]!;
    const first = roundDown(range.position, unit);
    const end = roundUp(range.position + range.length, unit);
    const merged: number = run === undefined
      ? Infinity
      : Math.max(end - run.position, run.length);
    if (
      run !== undefined && first - run.position - run.length <= gapBytes &&
      (merged <= MAX_RUN_BYTES || merged === run.length)
    ) {
      run.length = merged;
    } else {
      const start: number = run === undefined
        ? 0
        : roundUp(run.start + run.length, spacing);
      run = { start, position: first, length: end - first };
      runs.push(run);
    }
    runOf[index] = runs.length - 1;
  }
  const bytes = run === undefined ? 0 : run.start + run.length;
  if (bytes > MAX_READ_BYTES) {
    throw new RangeError(
      `Cannot ${action} as 'ranges' need ${bytes} bytes together: at most ${MAX_READ_BYTES} are possible, read them in parts`,
    );
  }
  return { runs, runOf, bytes };
}
