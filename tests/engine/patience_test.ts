import { assert, assertEquals } from "@std/assert";
import { OPERATION } from "../../lib/engine/mod.ts";
import { classOf, Patience } from "../../lib/engine/patience.ts";

const READ = classOf(OPERATION.READ);
const WRITE = classOf(OPERATION.WRITE);
const SYNC = classOf(OPERATION.SYNC_DATA);

/** After many operations of a class that each took so long. */
function used(kind: number, latencyMicros: number): Patience {
  const patience = new Patience();
  for (let i = 0; i < 100; i++) {
    patience.begin(kind);
    patience.end(kind, latencyMicros);
  }
  return patience;
}

Deno.test("Patience waits longer than a durable write usually takes, its slowest hundredth included", () => {
  const patience = used(WRITE, 127);
  patience.begin(WRITE);
  const micros = patience.micros(1);
  assert(micros > 228 && micros < 500, `${micros}`);
});

Deno.test("Patience leaves what takes long to the reaper at once, and waits again when it is fast", () => {
  const patience = used(SYNC, 5000);
  patience.begin(SYNC);
  assertEquals(patience.micros(1), 0);
  patience.end(SYNC, 5000);
  for (let i = 0; i < 100; i++) {
    patience.begin(SYNC);
    patience.end(SYNC, 100);
  }
  patience.begin(SYNC);
  assert(patience.micros(1) >= 100);
});

Deno.test("Patience follows the soonest of what is in flight, by class and number", () => {
  const patience = used(SYNC, 5000);
  patience.begin(SYNC);
  patience.begin(READ);
  assert(patience.micros(1) >= 100, "the read is soon");
  patience.end(READ, 60);
  assertEquals(patience.micros(1), 0, "the sync is not");
  // Each of many takes long because the others are before it; the next one is near.
  const deep = used(READ, 4000);
  for (let i = 0; i < 32; i++) deep.begin(READ);
  const [one, eight] = [deep.micros(1), deep.micros(8)];
  assert(one > 125 && one < 500, `${one}`);
  assertEquals(eight, 0);
});

Deno.test("Patience.onlyReads tells whether anything else is in flight", () => {
  const patience = new Patience();
  assert(patience.onlyReads);
  patience.begin(READ);
  assert(patience.onlyReads);
  for (const kind of [WRITE, SYNC]) {
    patience.begin(kind);
    assert(!patience.onlyReads);
    patience.end(kind, 100);
    assert(patience.onlyReads);
  }
});
