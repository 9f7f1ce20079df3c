/**
 * `iggy_common`'s pool as a reference, in one process with Basalt's: the crate
 * `bench/pool_reference`, if it exists.
 */
import { buildCrate } from "../../../tools/build.ts";
import { ROOT } from "../../../tools/run.ts";
import type { Context } from "../context.ts";

const CRATE = "bench/pool_reference";

/**
 * A line that the program prints: medians of its pairs, and the spread of their ratios. Fields are
 * null where a side has no such call.
 */
export interface PoolLine {
  readonly name: string;
  readonly ours_ns: number | null;
  readonly theirs_ns: number;
  readonly ratio: number | null;
  readonly min: number | null;
  readonly max: number | null;
}

/** Builds and runs it. If that is impossible, its rows are left out. */
export async function poolReference(
  context: Context,
  what: string,
): Promise<PoolLine[]> {
  if (!hasCrate() || buildCrate(CRATE) !== true) {
    context.leaveOut(what, `${CRATE} is missing, or needs cargo to be built`);
    return [];
  }
  const output = await context.run(
    `${ROOT}${CRATE}/target/release/pool_reference`,
    [
      Deno.env.get("BASALT_LIBRARY") ??
        `${ROOT}rust/target/release/libbasalt.so`,
    ],
  );
  return output.trim().split("\n").map((line) => JSON.parse(line) as PoolLine);
}

function hasCrate(): boolean {
  try {
    return Deno.statSync(`${ROOT}${CRATE}/Cargo.toml`).isFile;
  } catch {
    return false;
  }
}
