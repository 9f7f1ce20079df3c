import { assert, assertEquals } from "@std/assert";
import { PreparePolicy } from "../../lib/segment/write/_prepare_policy.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** Flushes 300 bytes `count` times, `everyMicros` apart. Returns everything that was prepared. */
function prepared(
  policy: PreparePolicy,
  count: number,
  everyMicros: number,
): { total: number; largest: number } {
  let total = 0;
  let largest = 0;
  let left = 0;
  for (let i = 0; i < count; i++) {
    policy.flushed(300, true);
    left = Math.max(0, left - 300);
    if (!policy.wants(left)) continue;
    const window = policy.next(i * everyMicros);
    largest = Math.max(largest, window);
    total += window - left;
    left = window;
  }
  return { total, largest };
}

Deno.test("PreparePolicy prepares nothing for the first durable flushes of a log", () => {
  const policy = new PreparePolicy(64 * MIB);
  for (let i = 0; i < 3; i++) {
    policy.flushed(300, true);
    assertEquals(policy.wants(0), false);
  }
  policy.flushed(300, true);
  assertEquals(policy.wants(0), true);
});

Deno.test("PreparePolicy prepares at most 1 MiB for a log with a message a minute", () => {
  const { total, largest } = prepared(
    new PreparePolicy(64 * MIB),
    60 * 24,
    60_000_000,
  );
  assert(largest <= MIB && total <= MIB, `${largest}, ${total}`);
});

Deno.test("PreparePolicy prepares more for a log whose windows are used up fast", () => {
  const { largest } = prepared(new PreparePolicy(64 * MIB), 200_000, 200);
  assert(largest > MIB, `${largest}`);
});

Deno.test("PreparePolicy prepares nothing while flushes are large, or not durable", () => {
  const policy = new PreparePolicy(64 * MIB);
  for (let i = 0; i < 100; i++) policy.flushed(MIB, true);
  assertEquals(policy.wants(0), false);
  for (let i = 0; i < 100; i++) policy.flushed(300, false);
  assertEquals(policy.wants(0), false);
  for (let i = 0; i < 100; i++) policy.flushed(300, true);
  assertEquals(policy.wants(0), true);
  policy.flushed(MIB, true);
  assertEquals(policy.wants(0), false);
});

Deno.test("PreparePolicy stays within its largest window", () => {
  assertEquals(new PreparePolicy(0).wants(0), false);
  const { largest } = prepared(new PreparePolicy(256 * KIB), 100_000, 200);
  assertEquals(largest, 256 * KIB);
});
