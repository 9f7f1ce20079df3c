/** Checks that a search over damaged bytes filters before it hashes. */
import { assert, assertEquals } from "@std/assert";
import { findMessage } from "../../lib/codec/legacy/mod.ts";
import { findBatch } from "../../lib/codec/mod.ts";

const BYTES = 16 * 1024 * 1024;
const MAX = Number.MAX_SAFE_INTEGER;

const random = new Uint8Array(BYTES);
for (let at = 0; at < BYTES; at += 65_536) {
  crypto.getRandomValues(random.subarray(at, at + 65_536));
}

for (const [find, step] of [[findBatch, 190], [findMessage, 13]] as const) {
  Deno.test(`${find.name}() searches 16 MiB of random bytes, zeros and sparse data within 2 seconds`, () => {
    const sparse = random.map((byte, i) => i % step === 0 ? byte : 0);
    for (const bytes of [random, new Uint8Array(BYTES), sparse]) {
      const start = performance.now();
      assertEquals(find(bytes, 0, 0, MAX).position, undefined);
      // Milliseconds if it filters, and minutes if it hashes everything.
      const tookMs = performance.now() - start;
      assert(tookMs < 2000, `${tookMs} ms`);
    }
  });
}
