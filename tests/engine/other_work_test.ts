/** How the thread's waiting gives way to what else the program does. */
import { assert, assertEquals } from "@std/assert";
import { OtherWork } from "../../lib/engine/other_work.ts";

/** A turn of the event loop that ends at `now`, with so many milliseconds of other work in it. */
function turn(work: OtherWork, now: number, otherMs: number): void {
  work.own(now - otherMs);
  work.turn(now, now - otherMs);
}

Deno.test("OtherWork lets a thread wait that nobody else needs, and less after one turn with other work", () => {
  const work = new OtherWork();
  for (let now = 1; now < 50; now++) turn(work, now, 0.005);
  assertEquals(work.stretchMicros(50), 500);
  turn(work, 50, 0.2);
  assertEquals(work.stretchMicros(50), 100);
  assertEquals(work.stretchMicros(80), 500, "it is forgotten");
});

Deno.test("OtherWork stops waiting while there is other work all the time, tries again ever less often, and goes on when it is over", () => {
  const work = new OtherWork();
  let waits = 0;
  const tries: number[] = [];
  for (let now = 0; now < 5000; now += 2) {
    const before = waits;
    if (work.stretchMicros(now) > 0) waits++;
    if (waits > before) tries.push(now);
    turn(work, now, 0.2);
  }
  assert(waits < 5000 / 2 / 50, `${waits} turns waited`);
  const gaps = tries.slice(1).map((at, i) => at - tries[i]!);
  assert(Math.max(...gaps) > 500 && Math.max(...gaps) < 1000, String(gaps));
  for (let now = 5000; now < 6000; now += 2) turn(work, now, 0.005);
  assertEquals(work.stretchMicros(6000), 500);
});

Deno.test("OtherWork does not count what continues after a completion", () => {
  const work = new OtherWork();
  for (let now = 1; now < 100; now++) {
    work.own(now - 0.9);
    work.continues();
    work.turn(now, now - 0.9);
  }
  assertEquals(work.stretchMicros(100), 500);
  assert(!work.shortTurns, "but the turns were long");
  for (let now = 100; now < 108; now++) turn(work, now, 0.005);
  assert(work.shortTurns);
});
