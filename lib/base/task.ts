/**
 * Runs one body both ways: a generator that yields its steps, driven with promises or blocking.
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

/** A computation whose steps are yielded; `yield*` it within another one. It runs once. */
export type Task<T> = Generator<Step<unknown>, T, unknown>;

/** Wraps one call and its sync version as a task. */
export function* step<T>(run: () => Promise<T>, runSync: () => T): Task<T> {
  return (yield { run, runSync }) as T;
}

/**
 * Runs tasks side by side (in order when blocking) and waits for all of them, also when one fails.
 *
 * The caller decides what the outcome of each means.
 */
export function* together<T>(
  tasks: readonly Task<T>[],
): Task<PromiseSettledResult<T>[]> {
  // The one task that most flushes have is part of the caller's: it costs no promise of its own.
  if (tasks.length === 1) return [yield* settled(tasks[0]!)];
  return yield* step(
    () => Promise.allSettled(tasks.map((each) => drive(each))),
    () => tasks.map((each) => driveSync(settled(each))),
  );
}

/** Runs a task, and returns a failure instead of throwing it. */
function* settled<T>(task: Task<T>): Task<PromiseSettledResult<T>> {
  try {
    return { status: "fulfilled", value: yield* task };
  } catch (reason) {
    return { status: "rejected", reason };
  }
}

/** Drives a task with promises. */
export async function drive<T>(task: Task<T>): Promise<T> {
  let next = task.next();
  while (!next.done) next = await advance(task, next.value);
  return next.value;
}

/** Drives a task to its end while the caller waits. */
export function driveSync<T>(task: Task<T>): T {
  let next = task.next();
  while (!next.done) next = advanceSync(task, next.value);
  return next.value;
}

/**
 * Drives a task with promises and hands out what it has put into `results`, as soon as it is there.
 *
 * Leaving the loop ends the task in order.
 */
export async function* stream<T>(
  task: Task<void>,
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

/** The blocking version of {@linkcode stream}. */
export function* streamSync<T>(
  task: Task<void>,
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
  task: Task<T>,
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
  task: Task<T>,
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
