/** Checks that a call that waits costs the same, however many others wait. */
import { assert } from "@std/assert";
import { WAITING, waitMany } from "../log/writing/_waiters.ts";

for (const waiting of WAITING) {
  for (const aborts of [true, false]) {
    if (waiting.forRoom && !aborts) continue;
    const end = aborts ? "aborted by one signal" : "completed";
    Deno.test(`${waiting.name}: 100,000 calls are ${end} within 20 seconds`, async () => {
      const start = performance.now();
      await waitMany(waiting, 100_000, aborts);
      // A step for each pair of them would take minutes.
      const tookMs = performance.now() - start;
      assert(tookMs < 20_000, `${tookMs} ms`);
    });
  }
}
