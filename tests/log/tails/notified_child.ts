/**
 * Appends this many durable messages, a few milliseconds apart, and closes after a line of input.
 */
import { Log } from "../../../lib/log/mod.ts";

const [dir, count] = Deno.args;
const log = await Log.open(dir!);
for (let i = 0; i < Number(count); i++) {
  await new Promise((resolve) => setTimeout(resolve, 3));
  await log.appendDurable(`${i}`);
}
await Deno.stdin.read(new Uint8Array(1));
await log.close();
