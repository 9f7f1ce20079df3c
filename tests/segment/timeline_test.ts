import { assertEquals } from "@std/assert";
import { Timeline } from "../../lib/segment/write/timeline.ts";

Deno.test("Timeline.next() gives the clock's time, and never one below the last", () => {
  const times = [100, 110, 5, 110, 111];
  const timeline = new Timeline(() => times.shift()!, 50);
  const given = Array.from({ length: 5 }, () => timeline.next());
  assertEquals(given, [100, 110, 110, 110, 111]);
});

Deno.test("Timeline.next() goes on from the last time of the log", () => {
  const timeline = new Timeline(() => 7, 50);
  assertEquals([timeline.next(), timeline.next()], [50, 50]);
});
