/** Opens a log after a power cut at every operation of a few steps. */
import { assert } from "@std/assert";
import { ALL, FILES } from "../permissions.ts";
import {
  type Counts,
  Enumeration,
  type EnumerationOptions,
} from "./_enumeration.ts";
import {
  INDEXED,
  LONG as MANY_MIB,
  preparing,
  small,
  type Step,
  STEPS,
} from "./_scenario.ts";

type Run =
  & Pick<EnumerationOptions, "setting" | "depth" | "exhaustiveUnits" | "share">
  & { readonly steps?: readonly Step[] };

/**
 * The steps of a log with large images. Only moments with few unsynced units are checked, such as
 * those of a checkpoint.
 */
const FEW: readonly Step[] = ["roll", "flush durable", "close", "reopen"];

const LARGE = 4096;
const SMALL = 512;

/** Minimum number of distinct images. */
const wanted = Number(
  (ALL ? Deno.env.get("BASALT_CRASH_STATES") : undefined) ?? 100_000,
);

const RUNS: readonly Run[] = wanted <= 100_000
  ? [
    { setting: small(LARGE), depth: 4, exhaustiveUnits: 12, share: 1 / 2 },
    // With blocks of eight times the size there are a million states more.
    { setting: small(SMALL), depth: 4, exhaustiveUnits: 3, share: 1 / 2 },
    { setting: preparing(LARGE), depth: 4, exhaustiveUnits: 12, share: 1 / 4 },
    { setting: preparing(SMALL), depth: 3, exhaustiveUnits: 4 },
    { setting: preparing(LARGE, true), depth: 3, exhaustiveUnits: 12 },
    { setting: INDEXED, depth: 2, exhaustiveUnits: 3, steps: FEW },
  ]
  : [
    { setting: small(LARGE), depth: 5, exhaustiveUnits: 12 },
    { setting: small(SMALL), depth: 4, exhaustiveUnits: 9 },
    { setting: small(SMALL), depth: 5, exhaustiveUnits: 2 },
    { setting: preparing(LARGE), depth: 4, exhaustiveUnits: 12 },
    { setting: preparing(SMALL), depth: 4, exhaustiveUnits: 6 },
    { setting: preparing(LARGE, true), depth: 4, exhaustiveUnits: 12 },
    { setting: preparing(SMALL, true), depth: 3, exhaustiveUnits: 6 },
    { setting: INDEXED, depth: 3, exhaustiveUnits: 6, steps: FEW },
    { setting: MANY_MIB, depth: 2, exhaustiveUnits: 4, steps: FEW },
  ];

let images = 0;

for (const { steps = STEPS, ...run } of RUNS) {
  const { setting, depth, exhaustiveUnits, share = 1 } = run;
  const drawn = share < 1 ? `, ${100 * share} % of the longest sequences` : "";
  Deno.test({
    name:
      `Log.open() after every crash: ${setting.name}, up to ${depth} steps, all subsets of ${exhaustiveUnits} unsynced units${drawn}`,
    // It needs no files, but a run without files would repeat several minutes of work.
    ignore: !FILES,
    async fn() {
      const seed = crypto.getRandomValues(new Uint32Array(1))[0]!;
      const began = performance.now();
      const enumeration = new Enumeration({
        ...run,
        steps,
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
  name: "Log.open() after every crash: enough distinct disk images",
  ignore: !FILES,
  fn() {
    console.log(`${images} distinct disk images`);
    assert(images >= wanted, `${images} of ${wanted}`);
  },
});
