/**
 * Parses each argument as a time; prints the microseconds, or `null` for what is refused, as JSON.
 */
import { time } from "../../lib/cli/amounts.ts";

console.log(JSON.stringify(Deno.args.map((text) => {
  try {
    return time(text);
  } catch {
    return null;
  }
})));
