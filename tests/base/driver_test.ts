import {
  drive,
  Driver,
  driveSync,
  inPlace,
  perform,
  step,
  type Task,
  together,
} from "../../lib/base/mod.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";

/** Completes operations when it is told to. `settle` may be called again inside a completion. */
class Device {
  readonly inFlight: (() => void)[] = [];

  /** Blocks until all operations in flight have completed. */
  readonly settle = (): void => {
    for (let left = this.inFlight.length; left > 0; left--) this.complete(0);
  };

  complete(index: number): void {
    this.inFlight.splice(index, 1)[0]?.();
  }

  /** Starts an operation with callbacks. */
  begun<T>(run: () => T, settleSync = this.settle): Task<T> {
    return perform({
      kind: "begun",
      runSync: run,
      begin: (resolve, reject) => {
        const outcome = outcomeOf(run);
        this.inFlight.push(() => {
          if ("error" in outcome) reject(outcome.error);
          else resolve(outcome.value);
          // A second completion is ignored.
          reject("twice");
        });
      },
      settleSync,
    });
  }

  /** Number of operations in flight that have only a promise. */
  promises = 0;

  /** Starts an operation that has only a promise. */
  *promised<T>(run: () => T): Task<T> {
    const start = () => {
      this.promises++;
      const outcome = outcomeOf(run);
      return new Promise<T>((resolve, reject) =>
        this.inFlight.push(() =>
          "error" in outcome ? reject(outcome.error) : resolve(outcome.value)
        )
      );
    };
    let isSync = false;
    const runSync = () => {
      isSync = true;
      return run();
    };
    try {
      return yield* step(start, runSync, "promised");
    } finally {
      if (!isSync) this.promises--;
    }
  }
}

type Outcome<T> = { value: T } | { error: unknown };

function outcomeOf<T>(run: () => T): Outcome<T> {
  try {
    return { value: run() };
  } catch (error) {
    return { error };
  }
}

function outcomeOfPromise<T>(promise: Promise<T>): Promise<Outcome<T>> {
  return promise.then((value) => ({ value }), (error) => ({ error }));
}

/** Lets everything run that waits only for promises. */
async function rest(): Promise<void> {
  for (let i = 0; i < 12; i++) await Promise.resolve();
}

/** What a random task does. */
interface Plan {
  kind: "begun" | "inPlace" | "promised" | "together";
  name: string;
  fails: boolean;
  isCaught: boolean;
  branches: Plan[][];
}

/** The operations of a task in order. Those of concurrent tasks are in lists of their own. */
type Log = (string | Log[])[];

function random(seed: number): (below: number) => number {
  let state = seed + 1;
  return (below) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state >> 8) % below;
  };
}

function planned(below: (n: number) => number, depth: number): Plan[] {
  return Array.from({ length: below(5) }, (_, i): Plan => {
    const kinds = ["begun", "begun", "inPlace", "promised"] as const;
    const isGroup = depth > 0 && below(4) === 0;
    return {
      kind: isGroup ? "together" : kinds[below(kinds.length)]!,
      name: `${depth}.${i}.${below(1000)}`,
      fails: below(6) === 0,
      isCaught: below(3) > 0,
      branches: isGroup
        ? Array.from({ length: below(4) }, () => planned(below, depth - 1))
        : [],
    };
  });
}

function* performed(
  device: Device,
  plans: readonly Plan[],
  log: Log,
): Task<unknown[]> {
  const results: unknown[] = [];
  for (const { kind, name, fails, isCaught, branches } of plans) {
    if (kind === "together") {
      const logs = branches.map((): Log => []);
      log.push(logs);
      results.push(
        yield* together(
          branches.map((each, i) => performed(device, each, logs[i]!)),
        ),
      );
      continue;
    }
    const run = (): string | undefined => {
      log.push(name);
      if (fails) throw name;
      // Success without a value is not a failure.
      return name.endsWith("0") ? undefined : name;
    };
    try {
      results.push(
        yield* kind === "inPlace" ? inPlace(kind, run) : device[kind](run),
      );
    } catch (error) {
      if (!isCaught) throw error;
      results.push(["caught", error]);
    }
  }
  return results;
}

/**
 * Drives a plan, and finishes it synchronously after some completions. Returns whether that was
 * before the end.
 */
async function finishedAfter(
  plans: readonly Plan[],
  moment: number,
  seed: number,
): Promise<boolean> {
  const expectedLog: Log = [];
  const expected = outcomeOf(() =>
    driveSync(performed(new Device(), plans, expectedLog))
  );
  const device = new Device();
  const below = random(seed);
  const log: Log = [];
  let isOver = false;
  const driver = new Driver(performed(device, plans, log));
  const result = outcomeOfPromise(driver.promise).then((outcome) => {
    isOver = true;
    return outcome;
  });
  const tick = async () => {
    await rest();
    if (!isOver) device.complete(below(device.inFlight.length));
  };
  for (let i = 0; i < moment; i++) await tick();
  const wasOver = isOver;
  let isRefused = false;
  const finish = (): void => {
    const isFinishable = device.promises === 0;
    const outcome = outcomeOf(() => driver.finishSync());
    isRefused = "error" in outcome && outcome.error instanceof TypeError;
    assertEquals(isRefused, !isFinishable);
    if (!isRefused) assertEquals(outcome, expected);
  };
  if (below(2) === 0) finish();
  else {
    // While the completion of another operation is delivered.
    device.inFlight.unshift(finish);
    device.settle();
  }
  while (!isOver) {
    assert(isRefused || device.inFlight.length === 0);
    await tick();
  }
  assertEquals(await result, expected);
  assertEquals(log, expectedLog);
  return !wasOver;
}

Deno.test("Driver.finishSync() at any moment gives what driveSync() gives, by the same operations", async () => {
  let moments = 0;
  for (let seed = 0; seed < 300; seed++) {
    const plans = planned(random(seed), 3);
    for (let moment = 0;; moment++, moments++) {
      if (!await finishedAfter(plans, moment, seed * 1000 + moment)) break;
    }
  }
  assert(moments > 1000);
});

Deno.test("Driver.finishSync() refuses while a step runs with a promise only, and the task continues", async () => {
  for (const isNested of [false, true]) {
    const device = new Device();
    const driver = new Driver((function* (): Task<string> {
      const tasks = [device.begun(() => "a"), device.promised(() => "b")];
      const parts = isNested ? yield* together(tasks) : [];
      return parts.length + (yield* device.promised(() => "c")) +
        (yield* device.begun(() => "d"));
    })());
    assertThrows(
      () => driver.finishSync(),
      TypeError,
      "'promised', runs with a promise only",
    );
    while (device.inFlight.length > 0) {
      device.settle();
      await rest();
    }
    assertEquals(await driver.promise, isNested ? "2cd" : "0cd");
  }
});

Deno.test("Driver.finishSync() refuses a step that settling does not complete, and the task continues", async () => {
  const device = new Device();
  // Settling completes the first one, and not the second one.
  const driver = new Driver(together([
    device.begun(() => 1, () => device.complete(0)),
    device.begun(() => 2, () => {}),
  ]));
  for (let i = 0; i < 2; i++) {
    assertThrows(
      () => driver.finishSync(),
      TypeError,
      "'begun', was not completed by settling",
    );
    assertEquals(device.inFlight.length, 1);
  }
  device.settle();
  assertEquals(
    (await driver.promise).map((each) => each.status),
    ["fulfilled", "fulfilled"],
  );
});

Deno.test("Driver.finishSync() refuses a call of the task itself", async () => {
  const device = new Device();
  const errors: unknown[] = [];
  const own: { driver?: Driver<void> } = {};
  const driver = own.driver = new Driver((function* (): Task<void> {
    yield* device.begun(() => 1);
    try {
      own.driver!.finishSync();
    } catch (error) {
      errors.push(error);
    }
    yield* device.begun(() => 2);
  })());
  device.settle();
  assert(errors[0] instanceof TypeError);
  driver.finishSync();
  await driver.promise;
});

Deno.test("Driver.finishSync() throws what the task throws, once: the promise counts as handled", async () => {
  const device = new Device();
  const driver = new Driver(device.begun(() => {
    throw new Error("full");
  }));
  assertThrows(() => driver.finishSync(), Error, "full");
  assertThrows(() => driver.finishSync(), Error, "full");
  // An unhandled rejection would end the test run.
  await new Promise((resolve) => setTimeout(resolve, 0));
  await assertRejects(() => driver.promise, Error, "full");
});

Deno.test("drive() keeps the stack flat, however many steps complete at once", async () => {
  const count = 100_000;
  const sum = await drive((function* (): Task<number> {
    let sum = 0;
    for (let i = 0; i < count; i++) sum += yield* inPlace("one", () => 1);
    return sum;
  })());
  assertEquals(sum, count);
});

Deno.test("drive() treats an error of begin() as the failure of the step", async () => {
  const failing = perform({
    kind: "failing",
    runSync: () => 0,
    begin: () => {
      throw new Error("not begun");
    },
  });
  await assertRejects(() => drive(failing), Error, "not begun");
});
