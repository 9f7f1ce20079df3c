/**
 * Runs commands in this process, one after the other, with the permissions that it has.
 *
 * Argument: the argument lists as JSON. Prints what each left as JSON.
 */
import { basalt } from "./_support.ts";

const results = [];
for (const args of JSON.parse(Deno.args[0]!) as string[][]) {
  const { code, out, errors } = await basalt(args);
  results.push({ code, out, errors });
}
console.log(JSON.stringify(results));
