/**
 * The order of measuring: every side once, then every side again. A drift of the disk or of its
 * other users affects all sides equally.
 */
import type { Context } from "./context.ts";
import type { Measured } from "./measure.ts";

/** A side of a comparison, which runs for a number of milliseconds. */
export type Run = (ms: number) => Promise<Measured> | Measured;

/** The measurements of each side, a value for each pair. */
export type Runs<Sides extends Record<string, Run>> = {
  [Name in keyof Sides]: Awaited<ReturnType<NonNullable<Sides[Name]>>>[];
};

/**
 * Share of a run before the first round, in which code is compiled, memory is touched and files are
 * opened.
 */
const WARM_UP = 0.05;

/** Runs all sides in turn, one round for each pair, and returns the runs of each. */
export async function rounds<Sides extends Record<string, Run>>(
  context: Context,
  title: string,
  fullMs: number,
  sides: Sides,
): Promise<Runs<Sides>> {
  const runs: Record<string, Measured[]> = {};
  for (const name of Object.keys(sides)) runs[name] = [];
  const ms = context.ms(fullMs);
  for (let pair = 0; pair <= context.pairs; pair++) {
    for (const [name, side] of Object.entries(sides)) {
      const what = pair === 0 ? "warm-up" : `${pair} of ${context.pairs}`;
      context.show(`${title}: ${name}, ${what}`);
      const run = await side(pair === 0 ? ms * WARM_UP : ms);
      if (pair > 0) runs[name]!.push(run);
    }
  }
  return runs as Runs<Sides>;
}
