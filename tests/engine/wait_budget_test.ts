import { assert, assertEquals } from "@std/assert";
import { OPERATION } from "../../lib/engine/mod.ts";
import type { OperationKind } from "../../lib/engine/mod.ts";
import { WaitBudget } from "../../lib/engine/_wait_budget.ts";

const { READ, WRITE, SYNC_DATA: SYNC } = OPERATION;

/** Returns a budget after many operations of one class, each of which took this long. */
function used(kind: OperationKind, latencyMicros: number): WaitBudget {
  const budget = new WaitBudget();
  for (let i = 0; i < 100; i++) {
    budget.begin(kind);
    budget.end(kind, latencyMicros);
  }
  return budget;
}

Deno.test("WaitBudget.micros() is longer than the slowest hundredth of durable writes", () => {
  const budget = used(WRITE, 127);
  budget.begin(WRITE);
  const micros = budget.micros(1);
  assert(micros > 228 && micros < 500, `${micros}`);
});

Deno.test("WaitBudget.micros() is 0 for slow operations, and not when they are fast again", () => {
  const budget = used(SYNC, 5000);
  budget.begin(SYNC);
  assertEquals(budget.micros(1), 0);
  budget.end(SYNC, 5000);
  for (let i = 0; i < 100; i++) {
    budget.begin(SYNC);
    budget.end(SYNC, 100);
  }
  budget.begin(SYNC);
  assert(budget.micros(1) >= 100);
});

Deno.test("WaitBudget.micros() follows the operation in flight that completes first, by class and number", () => {
  const budget = used(SYNC, 5000);
  budget.begin(SYNC);
  budget.begin(READ);
  assert(budget.micros(1) >= 100, "the read completes soon");
  budget.end(READ, 60);
  assertEquals(budget.micros(1), 0, "the sync does not");
  // Each of many takes long because others precede it, but the next one completes soon.
  const deep = used(READ, 4000);
  for (let i = 0; i < 32; i++) deep.begin(READ);
  const [one, eight] = [deep.micros(1), deep.micros(8)];
  assert(one > 125 && one < 500, `${one}`);
  assertEquals(eight, 0);
});

Deno.test("WaitBudget.hasOnlyReads is false when anything else is in flight", () => {
  const budget = new WaitBudget();
  assert(budget.hasOnlyReads);
  budget.begin(READ);
  assert(budget.hasOnlyReads);
  for (const kind of [WRITE, SYNC]) {
    budget.begin(kind);
    assert(!budget.hasOnlyReads);
    budget.end(kind, 100);
    assert(budget.hasOnlyReads);
  }
});
