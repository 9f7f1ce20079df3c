import {
  begin,
  drive,
  driveSync,
  pair,
  perform,
  step,
  stepInPlace,
  type Task,
  together,
} from "../../lib/base/mod.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";

/** A step that records whether it runs async or sync. */
function noted(log: string[], name: string, fails = false): Task<string> {
  const result = (form: string): string => {
    log.push(`${form} ${name}`);
    if (fails) throw new Error(name);
    return name;
  };
  return step(
    () => Promise.resolve().then(() => result("async")),
    () => result("sync"),
  );
}

function* body(log: string[]): Task<string> {
  const a = yield* noted(log, "a");
  try {
    yield* noted(log, "b", true);
  } catch (error) {
    log.push(`caught ${(error as Error).message}`);
  } finally {
    log.push("finally");
  }
  return a + (yield* noted(log, "c"));
}

Deno.test("drive() and driveSync() run the same body", async () => {
  const log: string[] = [];
  assertEquals(await drive(body(log)), "ac");
  assertEquals(log, ["async a", "async b", "caught b", "finally", "async c"]);
  log.length = 0;
  assertEquals(driveSync(body(log)), "ac");
  assertEquals(log, ["sync a", "sync b", "caught b", "finally", "sync c"]);
});

Deno.test("drive() and driveSync() pass on errors that the body does not catch", async () => {
  await assertRejects(() => drive(noted([], "x", true)), Error, "x");
  assertThrows(() => driveSync(noted([], "x", true)), Error, "x");
});

Deno.test("pair() calls the method, or the one with Sync after its name, on its object", async () => {
  class Place {
    readonly log: string[] = [];

    open(name: string, mode?: number): Promise<string> {
      this.log.push(`open ${name} ${mode}`);
      return Promise.resolve("async");
    }
    openSync(name: string, mode?: number): string {
      this.log.push(`openSync ${name} ${mode}`);
      return "sync";
    }
  }
  const place = new Place();
  assertEquals(await drive(perform(pair(place, "open", "a", 1))), "async");
  assertEquals(driveSync(perform(pair(place, "open", "b"))), "sync");
  assertEquals(place.log, ["open a 1", "openSync b undefined"]);
  assertEquals(pair(place, "open", "c").kind, "open");
});

Deno.test("begin() resolves with what the step gives, and rejects with what making or beginning it throws", async () => {
  const fail = (): never => {
    throw new RangeError("no");
  };
  assertEquals(await begin(() => stepInPlace("one", () => 1)), 1);
  await assertRejects(() => begin(fail), RangeError, "no");
  const failing = stepInPlace("two", fail);
  await assertRejects(() => begin(() => failing), RangeError, "no");
});

Deno.test("together() waits for all, also when one fails", async () => {
  const tasks = (log: string[]) =>
    ["a", "b", "c"].map((name) => noted(log, name, name === "a"));
  for (const form of ["async", "sync"]) {
    const log: string[] = [];
    const results = form === "async"
      ? await drive(together(tasks(log)))
      : driveSync(together(tasks(log)));
    assertEquals(log, ["a", "b", "c"].map((name) => `${form} ${name}`));
    assertEquals(results.map((each) => each.status), [
      "rejected",
      "fulfilled",
      "fulfilled",
    ]);
  }
});

Deno.test("together() begins every task before it waits for one", async () => {
  const log: string[] = [];
  const { promise, resolve } = Promise.withResolvers<string>();
  const results = await drive(together([
    body(log),
    step(() => promise, () => ""),
    step(() => {
      resolve("first");
      return Promise.resolve("second");
    }, () => ""),
  ]));
  assertEquals(
    results,
    ["ac", "first", "second"].map((value) => ({
      status: "fulfilled",
      value,
    })),
  );
});

Deno.test("together() of one task passes its steps on, and reports its failure", async () => {
  const one = together([noted([], "x", true)]);
  const { value } = one.next();
  assert("run" in (value as object));
  for (const form of ["async", "sync"]) {
    const log: string[] = [];
    const run = () => together([noted(log, "a", true)]);
    const [result] = form === "async" ? await drive(run()) : driveSync(run());
    assertEquals(log, [`${form} a`]);
    assertEquals(result!.status, "rejected");
    const whole = together([body(log)]);
    assertEquals(
      form === "async" ? await drive(whole) : driveSync(whole),
      [{ status: "fulfilled", value: "ac" }],
    );
  }
});

Deno.test("together() of no tasks completes at once", async () => {
  assertEquals(await drive(together([])), []);
  assertEquals(driveSync(together([])), []);
});
