/** Rules of the format, each broken in turn: the enumeration of crash states finds every one. */
import { assertEquals } from "@std/assert";
import { FILES } from "../permissions.ts";
import { BrokenState, Enumeration } from "./enumeration.ts";
import { type Mutant, MUTANTS } from "./mutants.ts";
import { LONG, small, STEPS } from "./scenario.ts";
import type { SimulatedDisk } from "@basalt/io/testing";

/** Runs the enumeration on a mutant, or on the log as it is: what it found, if anything. */
async function found(
  mutant: Partial<Mutant>,
): Promise<BrokenState | undefined> {
  const wrap = mutant.wrap === undefined ? {} : { wrap: mutant.wrap };
  const runs = mutant.long
    ? [{ setting: LONG, depth: 1, steps: ["roll"] as const, plans: 0 }]
    : [{ setting: small(512), depth: 4, steps: STEPS, plans: 4 }];
  for (const { setting, depth, steps, plans } of runs) {
    for (let number = mutant.failing ? 1 : 0; number <= plans; number++) {
      try {
        await new Enumeration({
          setting,
          steps,
          depth: mutant.failing ? 3 : depth,
          exhaustiveUnits: mutant.long ? 2 : 4,
          seed: 1,
          ...wrap,
          plan: (disk) => failSync(disk, number),
        }).run();
      } catch (error) {
        if (!(error instanceof BrokenState)) throw error;
        return error;
      }
      if (!mutant.failing) break;
    }
  }
  return undefined;
}

/** The sync of this number, from 1, fails once. */
function failSync(disk: SimulatedDisk, number: number): void {
  let count = 0;
  disk.onOperation(({ kind }) => {
    if (kind === "sync" && ++count === number) return { error: "EIO" };
  });
}

for (const mutant of MUTANTS) {
  Deno.test(`mutant: ${mutant.name}`, { ignore: !FILES }, async () => {
    const state = await found(mutant);
    if (state === undefined) throw new Error("no state of the disk shows it");
    console.log(`killed by ${state.message}`);
  });
}

Deno.test(
  "what kills the mutants finds nothing in the log",
  { ignore: !FILES },
  async () => {
    for (const how of [{ long: true }, { failing: true }]) {
      assertEquals((await found(how))?.message, undefined);
    }
  },
);
