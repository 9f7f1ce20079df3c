/**
 * Runs commands in this process one after the other, with its permissions.
 *
 * Argument: the argument lists as JSON. Prints the result of each as JSON.
 */
import { basalt } from "./_support.ts";

const results = [];
for (const args of JSON.parse(Deno.args[0]!) as string[][]) {
  const { code, out, errors } = await basalt(args);
  results.push({ code, out, errors });
}
console.log(JSON.stringify(results));
