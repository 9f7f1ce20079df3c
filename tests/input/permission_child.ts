/** Opens a log for writing and for reading, and prints the result of each. */
import { Log, LogReader } from "../../mod.ts";

const dir = Deno.args[0]!;

async function outcome(call: () => Promise<unknown>): Promise<unknown> {
  try {
    return await call();
  } catch (error) {
    const { name, message } = error as Error;
    return { name, message };
  }
}

console.log(JSON.stringify({
  write: await outcome(async () => {
    await using log = await Log.open(dir, { create: false, prepareBytes: 0 });
    return log.nextOffset;
  }),
  writeSync: await outcome(() => {
    using log = Log.openSync(dir, { create: false, prepareBytes: 0 });
    return Promise.resolve(log.nextOffset);
  }),
  read: await outcome(async () => {
    let count = 0;
    for await (using batch of new LogReader(dir).read()) count += batch.count;
    return count;
  }),
}));
