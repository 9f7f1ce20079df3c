/** Every state of the disk that a power cut may leave after a few steps of a log's life. */
import { assert } from "@std/assert";
import { ALL, FILES } from "../permissions.ts";
import { type Counts, Enumeration } from "./enumeration.ts";
import {
  INDEXED,
  LONG as MANY_MIB,
  preparing,
  type Setting,
  small,
  type Step,
  STEPS,
} from "./scenario.ts";

/** All sequences of so many steps, with all subsets of so many unsynced units. */
type Run = readonly [
  setting: Setting,
  depth: number,
  exhaustiveUnits: number,
  steps?: readonly Step[],
];

/**
 * The steps of a log whose every image is large: only moments with few unsynced units are
 * checked, such as those of a checkpoint.
 */
const FEW: readonly Step[] = ["roll", "flush durable", "close", "reopen"];

const LARGE = 4096;
const SMALL = 512;

/** How many distinct images there must be at least. */
const wanted = Number(
  (ALL ? Deno.env.get("BASALT_CRASH_STATES") : undefined) ?? 100_000,
);

const RUNS: readonly Run[] = wanted <= 100_000
  ? [
    [small(LARGE), 4, 12],
    // With eight times as many blocks there are a million states more: `task test:long` has many
    // of them.
    [small(SMALL), 4, 3],
    [preparing(LARGE), 4, 12],
    [preparing(SMALL), 3, 4],
    [preparing(LARGE, true), 3, 12],
    [INDEXED, 2, 3, FEW],
  ]
  : [
    [small(LARGE), 5, 12],
    [small(SMALL), 4, 9],
    [small(SMALL), 5, 2],
    [preparing(LARGE), 4, 12],
    [preparing(SMALL), 4, 6],
    [preparing(LARGE, true), 4, 12],
    [preparing(SMALL, true), 3, 6],
    [INDEXED, 3, 6, FEW],
    [MANY_MIB, 2, 4, FEW],
  ];

let images = 0;

// A run without files repeats nothing that needs none and takes minutes.
for (const [setting, depth, exhaustiveUnits, steps = STEPS] of RUNS) {
  Deno.test({
    name:
      `every crash state, ${setting.name}, up to ${depth} steps, all subsets of ${exhaustiveUnits} unsynced units`,
    ignore: !FILES,
    async fn() {
      const seed = crypto.getRandomValues(new Uint32Array(1))[0]!;
      const began = performance.now();
      const enumeration = new Enumeration({
        setting,
        steps,
        depth,
        exhaustiveUnits,
        isSampled: steps === STEPS,
        seed,
      });
      try {
        report(await enumeration.run(), seed, performance.now() - began);
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error });
      }
      images += enumeration.counts.images;
    },
  });
}

function report(counts: Counts, seed: number, milliseconds: number): void {
  const { scenarios, merged, points, states, images, sampled } = counts;
  const rate = Math.round(images / milliseconds * 1000);
  console.log(
    `seed ${seed}: ${images} distinct disk images of ${states} states at ${points} crash points (${sampled} of them sampled) of ${scenarios} scenarios (${merged} merged), ${rate} a second`,
  );
}

Deno.test({
  name: "enough distinct crash states were checked",
  ignore: !FILES,
  fn() {
    console.log(`${images} distinct disk images`);
    assert(images >= wanted, `${images} of ${wanted}`);
  },
});
