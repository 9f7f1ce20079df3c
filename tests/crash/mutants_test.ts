/**
 * Breaks rules of the format in turn. The enumeration of crash states must find each:
 * docs/format.md#write-index-after-log, docs/format.md#write-ack, docs/format.md#write-roll,
 * docs/format.md#write-remove, docs/format.md#write-in-order, docs/format.md#write-no-overlap,
 * docs/format.md#batch-atomic, docs/format.md#read-durable, docs/format.md#write-no-sync-again,
 * docs/format.md#open-cut-before-append, docs/format.md#open-clean-close.
 */
import { assertEquals, assertRejects } from "@std/assert";
import { FILES } from "../permissions.ts";
import { BrokenState, Enumeration } from "./_enumeration.ts";
import { type Mutant, MUTANTS } from "./_mutants.ts";
import { replay } from "./_replay.ts";
import { LONG, preparing, small, STEPS } from "./_scenario.ts";

/**
 * Runs the enumeration on a mutant, or on the unchanged log. Returns what it found, if anything.
 */
async function found(
  { mutant, long, failing, isAsync, steps = STEPS }:
    & Pick<Mutant, "long" | "failing" | "isAsync" | "steps">
    & { mutant?: Mutant },
): Promise<BrokenState | undefined> {
  const run = long
    ? { setting: LONG, depth: 1, steps: ["roll"] as const, exhaustiveUnits: 2 }
    : {
      setting: isAsync ? preparing(512) : small(512),
      depth: isAsync ? 2 : 4,
      steps,
      exhaustiveUnits: 4,
    };
  const what = mutant === undefined ? {} : { mutant };
  const runs = failing
    ? [1, 2, 3, 4].map((failingSync) => ({
      ...run,
      failingSync,
      depth: 3,
      share: mutant === undefined ? 1 / 4 : 1,
    }))
    : [run];
  for (const options of runs) {
    try {
      await new Enumeration({ ...options, seed: 1, ...what }).run();
    } catch (error) {
      if (error instanceof BrokenState) return error;
      throw error;
    }
  }
  return undefined;
}

for (const mutant of MUTANTS) {
  Deno.test(`mutant: ${mutant.name}`, { ignore: !FILES }, async () => {
    const state = await found({ ...mutant, mutant });
    if (state === undefined) throw new Error("no state of the disk shows it");
    console.log(`killed by ${state.message}`);
    // The printed line makes the same state again.
    const [, line] = state.message.split("\n");
    const replayed = await assertRejects(() => replay(line!), BrokenState);
    assertEquals(replayed.message, state.message);
  });
}

Deno.test(
  "mutants: the same enumeration finds nothing wrong in the log",
  { ignore: !FILES },
  async () => {
    for (const how of [{ long: true }, { failing: true }, { isAsync: true }]) {
      assertEquals((await found(how))?.message, undefined);
    }
  },
);
