/** A subject that is timed in rounds. */
export interface Timed {
  run(): void;
  /** Prepares the next round. Its time does not count. */
  after?(): Promise<unknown> | void;
}

/**
 * Returns the shortest time of each subject, in milliseconds.
 *
 * They take turns, and only the best time counts, because other work of the machine only adds time.
 */
export async function fastest<T extends readonly Timed[]>(
  rounds: number,
  ...timed: T
): Promise<{ [I in keyof T]: number }> {
  const best = timed.map(() => Infinity);
  for (let round = 0; round < rounds; round++) {
    for (const [i, { run, after }] of timed.entries()) {
      const start = performance.now();
      run();
      best[i] = Math.min(best[i]!, performance.now() - start);
      await after?.();
    }
  }
  return best as { [I in keyof T]: number };
}
