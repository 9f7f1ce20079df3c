import { WAITING, waitMany } from "./_waiters.ts";

for (const waiting of WAITING) {
  Deno.test(`${waiting.name}: one signal aborts 1000 calls`, () =>
    waitMany(waiting, 1000, true));
  if (waiting.forRoom) continue;
  Deno.test(`${waiting.name}: 1000 calls complete`, () =>
    waitMany(waiting, 1000, false));
}
