/**
 * Parses each argument as a time. Prints the microseconds, or `null` for a refused one, as JSON.
 */
import { time } from "../../lib/cli/_amounts.ts";

console.log(JSON.stringify(Deno.args.map((text) => {
  try {
    return time(text);
  } catch {
    return null;
  }
})));
