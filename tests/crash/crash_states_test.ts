/** Every state of the disk that a power cut may leave behind a few steps of a log's life. */
import { assert } from "@std/assert";
import { type Counts, Enumeration } from "./enumeration.ts";
import { small, STEPS } from "./scenario.ts";

/** What is run: all sequences of so many steps, with all subsets of so many unsynced units. */
const RUNS = [
  { setting: small(4096), depth: 4, exhaustiveUnits: 12 },
  // With eight times as many blocks there are a million states more: `task test:long` has all subsets.
  { setting: small(512), depth: 4, exhaustiveUnits: 6 },
  {
    setting: small(4096, { twin: "async", prepareBytes: 4 * 4096 }),
    depth: 3,
    exhaustiveUnits: 5,
  },
  {
    setting: small(512, { twin: "async", prepareBytes: 4 * 512 }),
    depth: 2,
    exhaustiveUnits: 8,
  },
] as const;

const WANTED = 100_000;

let images = 0;

for (const { setting, depth, exhaustiveUnits } of RUNS) {
  Deno.test(`every crash state, ${setting.name}, up to ${depth} steps, all of 2^${exhaustiveUnits} subsets`, async () => {
    const seed = crypto.getRandomValues(new Uint32Array(1))[0]!;
    const began = performance.now();
    const enumeration = new Enumeration({
      setting,
      steps: STEPS,
      depth,
      exhaustiveUnits,
      seed,
    });
    try {
      report(await enumeration.run(), seed, performance.now() - began);
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
    images += enumeration.counts.images;
  });
}

function report(counts: Counts, seed: number, milliseconds: number): void {
  const { scenarios, points, states, images, sampled } = counts;
  const rate = Math.round(images / milliseconds * 1000);
  console.log(
    `seed ${seed}: ${images} distinct disk images of ${states} states at ${points} crash points (${sampled} of them sampled) of ${scenarios} scenarios, ${rate} a second`,
  );
}

Deno.test("enough distinct crash states were checked", () => {
  console.log(`${images} distinct disk images`);
  assert(images >= WANTED, `${images} of ${WANTED}`);
});
