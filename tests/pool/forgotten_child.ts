/** Runs the cases of `_forgotten_cases.ts`. Prints the error of each by name, or `null`. */
import { CASES } from "./_forgotten_cases.ts";

const outcomes: Record<string, string | null> = {};
for (const [name, run] of Object.entries(CASES)) {
  try {
    await run();
    outcomes[name] = null;
  } catch (error) {
    outcomes[name] = (error as Error).stack ?? String(error);
  }
}
console.log(JSON.stringify(outcomes));
