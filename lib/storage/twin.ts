/**
 * One body for both twins: a generator that yields its steps, driven with promises or blocking.
 *
 * @module
 */

/** A step that ends by itself, in both forms. */
export interface Step<T> {
  /** Starts it. */
  run(): Promise<T>;
  /** Runs it while the caller waits. */
  runSync(): T;
}

/** A computation whose steps are yielded; `yield*` it within another one. */
export type Twin<T> = Generator<Step<unknown>, T, unknown>;

/** Wraps one call and its twin as a computation. */
export function* step<T>(run: () => Promise<T>, runSync: () => T): Twin<T> {
  return (yield { run, runSync }) as T;
}

/** Runs steps side by side (in order when blocking) and waits for all of them, also when one fails; what became of each is for the caller to judge. */
export function* together<T>(
  steps: readonly Step<T>[],
): Twin<PromiseSettledResult<T>[]> {
  return yield* step(
    () => Promise.allSettled(steps.map((each) => each.run())),
    () => steps.map(settledSync),
  );
}

function settledSync<T>(each: Step<T>): PromiseSettledResult<T> {
  try {
    return { status: "fulfilled", value: each.runSync() };
  } catch (reason) {
    return { status: "rejected", reason };
  }
}

/** Drives a computation with promises. */
export async function drive<T>(task: Twin<T>): Promise<T> {
  let next = task.next();
  while (!next.done) {
    let value: unknown;
    try {
      value = await next.value.run();
    } catch (error) {
      next = task.throw(error);
      continue;
    }
    next = task.next(value);
  }
  return next.value;
}

/** Drives a computation to its end while the caller waits. */
export function driveSync<T>(task: Twin<T>): T {
  let next = task.next();
  while (!next.done) {
    let value: unknown;
    try {
      value = next.value.runSync();
    } catch (error) {
      next = task.throw(error);
      continue;
    }
    next = task.next(value);
  }
  return next.value;
}
