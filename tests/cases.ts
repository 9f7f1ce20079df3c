/**
 * How many cases the tests of longest duration take: a sample in each run, drawn by chance, all of
 * them in `deno task test models`.
 */
import { ALL } from "./permissions.ts";

/** A run without files repeats what needs none, and takes less. */
const SCALE = ALL ? Number(Deno.env.get("BASALT_CASES") ?? 1) : 0.1;

/** Returns how many random cases to take, where an ordinary run takes this many. */
export function cases(ordinary: number): number {
  return Math.ceil(ordinary * SCALE);
}

/** Draws whether to take one of many cases, where an ordinary run takes this share of them. */
export function isDrawn(share: number): boolean {
  return Math.random() < share * SCALE;
}
