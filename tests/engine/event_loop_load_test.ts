/** How the thread waits less when the program has other work. */
import { assert, assertEquals } from "@std/assert";
import { EventLoopLoad } from "../../lib/engine/_event_loop_load.ts";

/** A turn of the event loop that ends at `now`, with this many milliseconds of other work in it. */
function turn(load: EventLoopLoad, now: number, otherMs: number): void {
  load.own(now - otherMs);
  load.turn(now, now - otherMs);
}

Deno.test("EventLoopLoad lets an otherwise idle thread wait, and less after one turn with other work", () => {
  const load = new EventLoopLoad();
  for (let now = 1; now < 50; now++) turn(load, now, 0.005);
  assertEquals(load.stretchMicros(50), 500);
  turn(load, 50, 0.2);
  assertEquals(load.stretchMicros(50), 100);
  assertEquals(load.stretchMicros(80), 500, "that turn is forgotten");
});

Deno.test("EventLoopLoad stops waiting during constant other work, retries less and less often, and waits again afterwards", () => {
  const load = new EventLoopLoad();
  let waits = 0;
  const tries: number[] = [];
  for (let now = 0; now < 5000; now += 2) {
    const before = waits;
    if (load.stretchMicros(now) > 0) waits++;
    if (waits > before) tries.push(now);
    turn(load, now, 0.2);
  }
  assert(waits < 5000 / 2 / 50, `${waits} turns waited`);
  const gaps = tries.slice(1).map((at, i) => at - tries[i]!);
  assert(Math.max(...gaps) > 500 && Math.max(...gaps) < 1000, String(gaps));
  for (let now = 5000; now < 6000; now += 2) turn(load, now, 0.005);
  assertEquals(load.stretchMicros(6000), 500);
});

Deno.test("EventLoopLoad does not count what continues after a completion", () => {
  const load = new EventLoopLoad();
  for (let now = 1; now < 100; now++) {
    load.own(now - 0.9);
    load.continues();
    load.turn(now, now - 0.9);
  }
  assertEquals(load.stretchMicros(100), 500);
  assert(!load.areTurnsShort, "the turns were long");
  for (let now = 100; now < 108; now++) turn(load, now, 0.005);
  assert(load.areTurnsShort);
});
