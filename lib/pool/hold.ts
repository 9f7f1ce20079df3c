import type { Anchor } from "./region.ts";

/** A lease that a promise needs. */
interface Hold {
  readonly anchor: Anchor;
}

/** What promises need: reachable from here, for a pending promise that nobody refers to may be collected with its callbacks. */
const holds = new Set<Hold>();

/** Keeps a lease alive until a promise settles; settles as that promise. */
export async function hold<T>(
  anchor: Anchor,
  promise: Promise<T>,
): Promise<T> {
  const entry = { anchor };
  holds.add(entry);
  anchor.region.pins++;
  try {
    return await promise;
  } finally {
    holds.delete(entry);
    anchor.region.unpin(anchor);
  }
}
