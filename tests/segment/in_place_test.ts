import { assertEquals } from "@std/assert";
import { InPlacePolicy } from "../../lib/segment/write/in_place.ts";

/** A policy that has seen `count` durable writes of `micros` each. */
function trained(count: number, micros: number): InPlacePolicy {
  const policy = new InPlacePolicy(() => true);
  for (let i = 0; i < count; i++) policy.written(micros, false);
  return policy;
}

Deno.test("InPlacePolicy allows nothing before 32 writes of a fast device are known", () => {
  assertEquals(trained(31, 200).allows, false);
  assertEquals(trained(32, 200).allows, true);
});

Deno.test("InPlacePolicy never allows a device whose p99 is above 1 ms", () => {
  const policy = trained(1000, 200);
  policy.written(1500, false);
  assertEquals(policy.allows, true);
  policy.written(1500, false);
  assertEquals(policy.allows, false);
  for (let i = 0; i < 128; i++) policy.written(200, false);
  assertEquals(policy.allows, true);
  assertEquals(trained(1000, 1100).allows, false);
});

Deno.test("InPlacePolicy notices after one write in place that the device became slow", () => {
  const policy = trained(1000, 200);
  policy.written(50_000, true);
  assertEquals(policy.allows, false);
  for (let i = 0; i < 31; i++) policy.written(200, false);
  assertEquals(policy.allows, false);
  policy.written(200, false);
  assertEquals(policy.allows, true);
});

Deno.test("InPlacePolicy allows nothing while the storage has other operations in flight", () => {
  let isIdle = false;
  const policy = new InPlacePolicy(() => isIdle);
  for (let i = 0; i < 100; i++) policy.written(200, false);
  assertEquals(policy.allows, false);
  isIdle = true;
  assertEquals(policy.allows, true);
});

Deno.test("InPlacePolicy allows nothing while other work takes more than 5 % of the time", () => {
  const policy = trained(100, 200);
  // Each millisecond a turn of the event loop of 200 us: somebody else's work.
  for (let i = 0; i < 20; i++) policy.turned(200, 1000);
  assertEquals(policy.allows, false);
  // Turns of 5 us are empty.
  for (let i = 0; i < 200; i++) policy.turned(5, 1000);
  assertEquals(policy.allows, true);
});
