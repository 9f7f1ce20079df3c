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
    () =>
      steps.length === 1
        ? settledAlone(steps[0]!)
        : Promise.allSettled(steps.map((each) => each.run())),
    () => steps.map(settledSync),
  );
}

/** What `Promise.allSettled` does, at a third of its cost for the one step that most flushes have. */
async function settledAlone<T>(
  each: Step<T>,
): Promise<PromiseSettledResult<T>[]> {
  try {
    return [{ status: "fulfilled", value: await each.run() }];
  } catch (reason) {
    return [{ status: "rejected", reason }];
  }
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
  while (!next.done) next = await advance(task, next.value);
  return next.value;
}

/** Drives a computation to its end while the caller waits. */
export function driveSync<T>(task: Twin<T>): T {
  let next = task.next();
  while (!next.done) next = advanceSync(task, next.value);
  return next.value;
}

/** Drives a computation with promises and hands out what it has put into `results`, as soon as it is there; leaving the loop ends the computation in order. */
export async function* stream<T>(
  task: Twin<void>,
  results: T[],
): AsyncGenerator<T, void, void> {
  let next = task.next();
  try {
    for (;;) {
      yield* results.splice(0);
      if (next.done) return;
      next = await advance(task, next.value);
    }
  } finally {
    next = task.return(undefined);
    while (!next.done) next = await advance(task, next.value);
  }
}

/** The twin of {@linkcode stream} that blocks. */
export function* streamSync<T>(
  task: Twin<void>,
  results: T[],
): Generator<T, void, void> {
  let next = task.next();
  try {
    for (;;) {
      yield* results.splice(0);
      if (next.done) return;
      next = advanceSync(task, next.value);
    }
  } finally {
    next = task.return(undefined);
    while (!next.done) next = advanceSync(task, next.value);
  }
}

async function advance<T>(
  task: Twin<T>,
  step: Step<unknown>,
): Promise<IteratorResult<Step<unknown>, T>> {
  let value: unknown;
  try {
    value = await step.run();
  } catch (error) {
    return task.throw(error);
  }
  return task.next(value);
}

function advanceSync<T>(
  task: Twin<T>,
  step: Step<unknown>,
): IteratorResult<Step<unknown>, T> {
  let value: unknown;
  try {
    value = step.runSync();
  } catch (error) {
    return task.throw(error);
  }
  return task.next(value);
}
