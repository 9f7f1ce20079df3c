import { assertEquals } from "@std/assert";
import { nonzeroEnd } from "../../lib/codec/mod.ts";
import { SeededRandom } from "../../lib/testing/mod.ts";

Deno.test("nonzeroEnd() checks every byte, however the view is aligned", () => {
  const random = new SeededRandom(1);
  const memory = new Uint8Array(200);
  for (let round = 0; round < 5000; round++) {
    memory.fill(0);
    for (let i = random.below(4); i > 0; i--) memory[random.below(200)] = 1;
    const start = random.below(100);
    const bytes = memory.subarray(start, start + random.below(100));
    const last = bytes.findLastIndex((byte) => byte !== 0);
    assertEquals(nonzeroEnd(bytes), last + 1);
  }
});
