/**
 * How many cases the longest tests take. Each run takes a random sample, and `deno task test
 * models` takes all.
 */
import { ALL } from "./permissions.ts";

/** A run without permissions for files repeats tests that need none, and takes fewer cases. */
const SCALE = ALL ? Number(Deno.env.get("BASALT_CASES") ?? 1) : 0.1;

/** Returns how many random cases to take if an ordinary run takes this many. */
export function cases(ordinary: number): number {
  return Math.ceil(ordinary * SCALE);
}

/** Returns the first of many cases to take, and the distance to the next one. */
export function stride(ordinary: number): [first: number, step: number] {
  const step = Math.max(1, Math.round(ordinary / SCALE));
  return [1 + Math.floor(Math.random() * step), step];
}

/** Draws whether to take one of many cases if an ordinary run takes this share of them. */
export function isDrawn(share: number): boolean {
  return Math.random() < share * SCALE;
}
