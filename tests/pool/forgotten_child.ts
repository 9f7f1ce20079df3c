/**
 * Runs the cases of `_forgotten_cases.ts` and prints by name what went wrong, `null` if nothing did.
 */
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
