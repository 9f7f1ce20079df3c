/** Appends this many messages to a log, in flushes of a few, and closes it. */
import { Log } from "../../../lib/log/mod.ts";
import { KIB, payload } from "../_support.ts";

const [dir, count] = Deno.args;
const log = await Log.open(dir!, { segmentBytes: 200 * KIB });
while (log.nextOffset < Number(count)) {
  for (let i = log.nextOffset % 7; i >= 0; i--) {
    if (log.nextOffset === Number(count)) break;
    log.append(payload(log.nextOffset, (log.nextOffset * 997) % 5000));
  }
  await log.flush({ durability: log.nextOffset % 2 === 0 ? "none" : "data" });
}
await log.close();
