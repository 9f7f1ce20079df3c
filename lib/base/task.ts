/**
 * Runs one body both ways: a generator that yields its steps, driven with promises or blocking.
 *
 * @module
 */

/** A step that ends by itself, in async and sync forms. It has `run` or `begin`. */
export interface Step<T> {
  /** What it does, in a word, for messages. */
  readonly kind?: string | undefined;
  /** Starts it. */
  run?(): Promise<T>;
  /** Runs it while the caller waits. */
  runSync(): T;
  /**
   * Starts it, and calls one of both functions once when it is over, possibly before `begin`
   * returns.
   *
   * An error that `begin` throws counts as a call of `reject`. A caller that blocks cannot finish a
   * step without `begin`.
   */
  begin?(resolve: (value: T) => void, reject: (error: unknown) => void): void;
  /**
   * Blocks until it is over, after `begin`: `resolve` or `reject` has been called when it returns.
   */
  settleSync?(): void;
}

/** A computation whose steps are yielded; `yield*` it within another one. It runs once. */
export type Task<T> = Generator<Step<unknown>, T, unknown>;

/** Wraps one call and its sync version as a task. */
export function* step<T>(
  run: () => Promise<T>,
  runSync: () => T,
  kind?: string,
): Task<T> {
  return (yield { run, runSync, kind }) as T;
}

/** Wraps a step as a task. */
export function* perform<T>(step: Step<T>): Task<T> {
  return (yield step) as T;
}

/** A method and its sync version, which has the same name with `Sync` after it. */
type Pair<Name extends string, Args extends unknown[]> = Record<
  Name | `${Name}Sync`,
  (...args: Args) => unknown
>;

/** Makes a step of a method and its sync version, such as `rename` and `renameSync`. */
export function pair<
  Name extends string,
  Args extends unknown[],
  Methods extends Pair<Name, Args>,
>(
  object: Methods,
  name: Name,
  ...args: Args
): Step<Awaited<ReturnType<Methods[Name]>>> {
  const step: Step<unknown> = {
    kind: name,
    run: () => object[name](...args) as Promise<unknown>,
    runSync: () => object[`${name}Sync`](...args),
  };
  return step as Step<Awaited<ReturnType<Methods[Name]>>>;
}

/** Makes a step of a sync call that is short enough to run in place, however driven. */
export function stepInPlace<T>(kind: string, runSync: () => T): Step<T> {
  return { kind, runSync, begin: (resolve) => resolve(runSync()) };
}

/** Wraps a sync call that is short enough to run in place, however driven, as a task. */
export function inPlace<T>(kind: string, runSync: () => T): Task<T> {
  return perform(stepInPlace(kind, runSync));
}

/** Begins a step. What making it throws, the promise rejects with. */
export function begin<T>(make: () => Step<T>): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  try {
    make().begin!(resolve, reject);
  } catch (error) {
    reject(error);
  }
  return promise;
}

/**
 * Runs tasks side by side (in order when blocking) and waits for all of them, also when one fails.
 * Returns the outcome of each.
 */
export function* together<T>(
  tasks: readonly Task<T>[],
): Task<PromiseSettledResult<T>[]> {
  // Most flushes have one task: it is part of the caller's, and costs nothing extra.
  if (tasks.length === 1) {
    try {
      return [{ status: "fulfilled", value: yield* tasks[0]! }];
    } catch (reason) {
      return [{ status: "rejected", reason }];
    }
  }
  return (yield new Together(tasks)) as PromiseSettledResult<T>[];
}

/** Runs tasks side by side; the first failure is thrown when all have ended. */
export function* runAll<T>(tasks: readonly Task<T>[]): Task<T[]> {
  const results = yield* together(tasks);
  return results.map((each) => {
    if (each.status === "rejected") throw each.reason;
    return each.value;
  });
}

/** The step of tasks that run side by side. */
class Together<T> implements Step<PromiseSettledResult<T>[]> {
  readonly kind = "together";
  readonly #tasks: readonly Task<T>[];
  #runs: readonly Run<T>[] = [];

  constructor(tasks: readonly Task<T>[]) {
    this.#tasks = tasks;
  }

  runSync(): PromiseSettledResult<T>[] {
    return this.#tasks.map((each) => driveSync(together([each]))[0]!);
  }

  begin(resolve: (results: PromiseSettledResult<T>[]) => void): void {
    const results = new Array<PromiseSettledResult<T>>(this.#tasks.length);
    let left = results.length;
    const enter = (i: number, result: PromiseSettledResult<T>): void => {
      results[i] = result;
      if (--left === 0) resolve(results);
    };
    if (left === 0) return resolve(results);
    this.#runs = this.#tasks.map((task, i) =>
      new Run(
        task,
        (value) => enter(i, { status: "fulfilled", value }),
        (reason) => enter(i, { status: "rejected", reason }),
      )
    );
    for (const run of this.#runs) run.advance();
  }

  /** Why they cannot be finished now; `undefined` if they can. */
  get obstacle(): string | undefined {
    return this.#runs.find((run) => run.obstacle !== undefined)?.obstacle;
  }

  /** Keeps them from beginning further steps. */
  hold(): void {
    for (const run of this.#runs) run.hold();
  }

  /** Ends a hold. */
  release(): void {
    for (const run of this.#runs) run.release();
  }

  /** Finishes one after the other. */
  finish(): void {
    for (const run of this.#runs) run.finish();
  }
}

/**
 * A task that is being driven, by the callbacks of its steps, or by promises where a step has no
 * callbacks.
 *
 * It is in one of these states:
 *
 * - The generator runs, or a step is being begun: `#isRunning`.
 * - A step is in flight: none of the others.
 * - A step is over, and the generator has not seen the outcome: `#isReady`.
 * - The task is over: `#isOver`.
 *
 * A completion while the generator runs is only noted, and the loop in `advance` continues with it.
 * So the stack stays flat, and the generator is never entered twice.
 */
class Run<T> {
  readonly #task: Task<T>;
  readonly #resolve: (value: T) => void;
  readonly #reject: (error: unknown) => void;
  #step: Step<unknown> | undefined;
  /** Ordinal of the current step. A completion of an earlier step is ignored. */
  #ordinal = 0;
  #isRunning = false;
  #isReady = true;
  /** How many blocking callers keep it from beginning steps. */
  #holds = 0;
  #isOver = false;
  /** The outcome of the last step; after the end, of the task. */
  #hasFailed = false;
  #outcome: unknown;

  constructor(
    task: Task<T>,
    resolve: (value: T) => void,
    reject: (error: unknown) => void,
  ) {
    this.#task = task;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Whether the task has ended. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Why it cannot be finished now; `undefined` if it can. */
  get obstacle(): string | undefined {
    if (this.#isOver) return undefined;
    if (this.#isRunning) return "it is running, and waits for this very call";
    if (this.#isReady) return undefined;
    const step = this.#step!;
    if (step instanceof Together) return step.obstacle;
    if (step.begin !== undefined) return undefined;
    const kind = step.kind === undefined ? "" : `, '${step.kind}',`;
    return `its step in flight${kind} runs with a promise only`;
  }

  /** Keeps it from beginning further steps. */
  hold(): void {
    this.#holds++;
    if (this.#step instanceof Together) this.#step.hold();
  }

  /** Ends a hold. */
  release(): void {
    this.#holds--;
    if (this.#step instanceof Together) this.#step.release();
    this.advance();
  }

  /**
   * Blocks until it is over; {@linkcode Run.result} has the outcome.
   *
   * @throws {TypeError} If the step in flight cannot be completed. Then the task continues.
   */
  finish(): void {
    const { obstacle } = this;
    if (obstacle !== undefined) throw unfinishable(obstacle);
    this.hold();
    try {
      if (!this.#isOver && !this.#isReady) this.#complete();
      this.advance(true);
    } finally {
      this.release();
    }
  }

  /** Returns what the task returned, or throws what it threw; it must be over. */
  result(): T {
    if (this.#hasFailed) throw this.#outcome;
    return this.#outcome as T;
  }

  /** Completes the step in flight. */
  #complete(): void {
    const step = this.#step!;
    const ordinal = this.#ordinal;
    if (step instanceof Together) step.finish();
    else step.settleSync?.();
    if (this.#isOver || this.#ordinal !== ordinal) return;
    throw unfinishable(
      `its step in flight, '${step.kind}', was not completed by settling`,
    );
  }

  /**
   * Passes the outcomes of steps to the generator and begins the next ones, until one is in flight
   * or the task is over.
   *
   * @param isBlocking Whether steps run while the caller waits, also during a hold.
   */
  advance(isBlocking = false): void {
    if (this.#isRunning || this.#holds > 0 && !isBlocking) return;
    this.#isRunning = true;
    while (this.#isReady) {
      const outcome = this.#outcome;
      this.#isReady = false;
      this.#outcome = undefined;
      try {
        const { done, value } = this.#hasFailed
          ? this.#task.throw(outcome)
          : this.#task.next(outcome);
        if (done) {
          this.#end(false, value);
          break;
        }
        this.#step = value;
      } catch (error) {
        this.#end(true, error);
        break;
      }
      const ordinal = this.#ordinal;
      const resolve = (value: unknown) => this.#over(ordinal, false, value);
      const reject = (error: unknown) => this.#over(ordinal, true, error);
      const step = this.#step;
      try {
        if (isBlocking) resolve(step.runSync());
        else if (step.begin !== undefined) step.begin(resolve, reject);
        else Promise.resolve(step.run!()).then(resolve, reject);
      } catch (error) {
        reject(error);
      }
    }
    this.#isRunning = false;
  }

  #end(hasFailed: boolean, outcome: unknown): void {
    this.#isOver = true;
    this.#hasFailed = hasFailed;
    this.#outcome = outcome;
    this.#step = undefined;
    if (hasFailed) this.#reject(outcome);
    else this.#resolve(outcome as T);
  }

  /** Notes the first outcome of a step, and continues. */
  #over(ordinal: number, hasFailed: boolean, outcome: unknown): void {
    if (ordinal !== this.#ordinal) return;
    this.#ordinal++;
    this.#isReady = true;
    this.#hasFailed = hasFailed;
    this.#outcome = outcome;
    this.advance();
  }
}

function unfinishable(why: string): TypeError {
  return new TypeError(`Cannot finish task as ${why}`);
}

/**
 * Drives a task without blocking, so that a caller that blocks can finish it at any moment.
 */
export class Driver<T> extends Run<T> {
  /** Resolves to what the task returns. */
  readonly promise: Promise<T>;

  /** Starts a task: it runs up to the first step that does not end at once. */
  constructor(task: Task<T>) {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    super(task, resolve, reject);
    this.promise = promise;
    this.advance();
  }

  /**
   * Blocks until the task is over, and returns what it returns. The promise settles likewise, and
   * its failure counts as handled.
   *
   * The step in flight is completed first, by its `settleSync`. Further steps run by `runSync`.
   *
   * @throws {TypeError} If the step in flight runs with a promise only, or the task itself is the
   *   caller. Then the task continues.
   */
  finishSync(): T {
    this.finish();
    this.promise.catch(nothing);
    return this.result();
  }
}

function nothing(): void {}

/** Drives a task with promises. */
export function drive<T>(task: Task<T>): Promise<T> {
  return new Promise((resolve, reject) => driveWith(task, resolve, reject));
}

/**
 * Drives a task, and calls one of both functions as soon as its last step is over.
 */
export function driveWith<T>(
  task: Task<T>,
  resolve: (value: T) => void,
  reject: (error: unknown) => void,
): void {
  new Run(task, resolve, reject).advance();
}

/** Drives a task to its end while the caller waits. */
export function driveSync<T>(task: Task<T>): T {
  let next = task.next();
  while (!next.done) next = advanceSync(task, next.value);
  return next.value;
}

/**
 * Drives a task with promises, and yields what it puts into `results` as soon as it is there.
 *
 * Leaving the loop runs the task's `finally` blocks.
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

/** Sync version of {@linkcode stream}. */
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
    value = await drive(perform(step));
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
