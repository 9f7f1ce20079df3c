import { assertEquals } from "@std/assert";
import { InPlacePolicy } from "../../lib/segment/write/in_place.ts";

function policyOf(isIdle = () => true, now = () => 0): InPlacePolicy {
  return new InPlacePolicy({ isIdle, now });
}

/** Returns a policy that has seen `count` durable writes of `micros` each. */
function trained(count: number, micros: number): InPlacePolicy {
  const policy = policyOf();
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
  assertEquals(trained(1000, 1100).allows, false);
  // Each write in place takes 1.5 ms. Trials find that out, and become rare.
  let blocked = 0;
  for (let i = 0; i < 100_000; i++) {
    const wasInPlace = policy.allows;
    const micros = i % 40 === 0 || wasInPlace ? 1500 : 200;
    if (wasInPlace) blocked++;
    policy.written(micros, wasInPlace);
  }
  assertEquals(blocked < 130, true, `${blocked}`);
});

Deno.test("InPlacePolicy finds a fast device by trials where the engine's wake-ups are slow", () => {
  const policy = policyOf();
  let inPlace = 0;
  for (let i = 0; i < 10_000; i++) {
    const wasInPlace = policy.allows;
    if (wasInPlace) inPlace++;
    policy.written(wasInPlace || i % 20 !== 0 ? 200 : 1500, wasInPlace);
  }
  assertEquals(inPlace > 9_000, true, `${inPlace}`);
});

Deno.test("InPlacePolicy tries nothing where most writes by the engine are slow", () => {
  const policy = policyOf();
  for (let i = 0; i < 1000; i++) {
    policy.written(i % 3 === 0 ? 200 : 1500, false);
    assertEquals(policy.allows, false);
  }
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
  const policy = policyOf(() => isIdle);
  for (let i = 0; i < 100; i++) policy.written(200, false);
  assertEquals(policy.allows, false);
  isIdle = true;
  assertEquals(policy.allows, true);
});

Deno.test("InPlacePolicy allows nothing while other work takes more than 5% of the time", () => {
  let now = 0;
  const policy = policyOf(() => true, () => now);
  for (let i = 0; i < 100; i++) policy.written(200, false);
  /** Pauses every 2 ms, each for `micros`. */
  const pause = (count: number, micros: number): void => {
    for (let i = 0; i < count; i++) {
      now += 2000;
      policy.paused(micros);
    }
  };
  pause(100, 60);
  assertEquals(policy.allows, true);
  // In each pause, other work takes 240 us.
  pause(40, 300);
  assertEquals(policy.allows, false);
  pause(300, 65);
  assertEquals(policy.allows, true);
});

Deno.test("InPlacePolicy.isPauseDue is true after 1 ms, and later where a pause takes long", () => {
  let now = 0;
  const policy = policyOf(() => true, () => now);
  policy.paused(20);
  now += 999;
  assertEquals(policy.isPauseDue, false);
  now += 1;
  assertEquals(policy.isPauseDue, true);
  for (let i = 0; i < 20_000; i++) policy.paused(140);
  now += 3000;
  assertEquals(policy.isPauseDue, false);
  now += 1200;
  assertEquals(policy.isPauseDue, true);
});
