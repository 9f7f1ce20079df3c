import { assertEquals } from "@std/assert";
import { Timeline } from "../../lib/segment/mod.ts";

Deno.test("Timeline.stamp() gives one time for a group, and never one below the last", () => {
  let now = 100;
  const timeline = new Timeline(() => now, 50);
  assertEquals(timeline.stamp(), 100);
  now = 110;
  assertEquals(timeline.stamp(), 100);
  timeline.endGroup();
  assertEquals(timeline.stamp(), 110);
  timeline.endGroup();
  now = 5;
  assertEquals(timeline.stamp(), 110);
});

Deno.test("Timeline.stamp() goes on from the last time of the log", () => {
  const timeline = new Timeline(() => 7, 50);
  assertEquals([timeline.stamp(), timeline.stamp()], [50, 50]);
  timeline.endGroup();
  timeline.endGroup();
  assertEquals(timeline.stamp(), 50);
});

Deno.test("Timeline asks the clock once for a group, when it is first needed", () => {
  let asked = 0;
  const timeline = new Timeline(() => ++asked, 0);
  timeline.endGroup();
  assertEquals(asked, 0);
  timeline.stamp();
  timeline.stamp();
  assertEquals(asked, 1);
});
