import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  drive,
  driveSync,
  step,
  together,
  type Twin,
} from "../../lib/storage/twin.ts";

/** A step of which both forms note themselves. */
function noted(log: string[], name: string, fails = false): Twin<string> {
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

function* body(log: string[]): Twin<string> {
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

Deno.test("drive() and driveSync() pass on what the body does not catch", async () => {
  await assertRejects(() => drive(noted([], "x", true)), Error, "x");
  assertThrows(() => driveSync(noted([], "x", true)), Error, "x");
});

Deno.test("together() waits for all, also when one fails", async () => {
  const steps = (log: string[]) =>
    ["a", "b", "c"].map((name) => ({
      run: () => drive(noted(log, name, name === "a")),
      runSync: () => driveSync(noted(log, name, name === "a")),
    }));
  for (const form of ["async", "sync"]) {
    const log: string[] = [];
    const results = form === "async"
      ? await drive(together(steps(log)))
      : driveSync(together(steps(log)));
    assertEquals(log, ["a", "b", "c"].map((name) => `${form} ${name}`));
    assertEquals(results.map((each) => each.status), [
      "rejected",
      "fulfilled",
      "fulfilled",
    ]);
  }
});
