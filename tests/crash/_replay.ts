/** Makes one state of a disk again, and checks it as the enumeration did. */
import { crashState } from "./_crash_state.ts";
import { Enumeration } from "./_enumeration.ts";
import { MUTANTS } from "./_mutants.ts";
import { settingNamed, STEPS } from "./_scenario.ts";

/**
 * Replays what a failure printed: the whole command, or the value of its variable. Throws the
 * failed check.
 */
export async function replay(printed: string): Promise<void> {
  const [text] = printed.match(/\{.*\}/) ?? [printed];
  const state = crashState(text);
  const mutant = MUTANTS.find(({ name }) => name === state.mutant);
  if (state.mutant !== mutant?.name) {
    throw new Error(`No mutant is named '${state.mutant}'`);
  }
  const { failingSync, seed, steps } = state;
  const enumeration = new Enumeration({
    setting: settingNamed(state.setting),
    steps: STEPS,
    depth: steps.length,
    exhaustiveUnits: 0,
    seed,
    ...mutant === undefined ? {} : { mutant },
    ...failingSync === undefined ? {} : { failingSync },
  });
  await enumeration.replay(state);
}
