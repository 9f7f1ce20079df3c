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

/** Returns from which of many cases to begin, and how far it is to the next one. */
export function stride(ordinary: number): [first: number, step: number] {
  const step = Math.max(1, Math.round(ordinary / SCALE));
  return [1 + Math.floor(Math.random() * step), step];
}

/** Draws whether to take one of many cases, where an ordinary run takes this share of them. */
export function isDrawn(share: number): boolean {
  return Math.random() < share * SCALE;
}
