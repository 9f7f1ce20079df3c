/**
 * Uses one log through two mounts. Usage: `two_mounts_child.ts bind|overlay DIRECTORY`.
 * `DIRECTORY/log` is the log, `DIRECTORY/other` the same log through a mount. Prints as JSON what
 * happened.
 */
import { inspectLog, Log, LogReader, verifyLog } from "../../../mod.ts";

const [kind, directory] = Deno.args;
const [dir, other] = [`${directory}/log`, `${directory}/other`];
const found: Record<string, unknown> = {};

/** Returns the outcome of a call: the name of its error, or what it returned. */
async function outcome(run: () => unknown): Promise<unknown> {
  try {
    return await run();
  } catch (error) {
    return (error as Error).name;
  }
}

async function count(path: string): Promise<number> {
  let count = 0;
  for await (using batch of new LogReader(path).read()) count += batch.count;
  return count;
}

const log = await Log.open(dir);
for (let i = 0; i < 3; i++) await log.appendDurable(`message ${i}`);
if (kind === "bind") {
  found.second = await outcome(() => Log.open(other, { lockTimeoutMs: 100 }));
  found.isLocked = (await inspectLog(other)).locked;
  found.faults = (await Array.fromAsync(verifyLog(other))).length;
  found.read = await count(other);
  const reader = new LogReader(other).tail({ from: 3, count: 1 });
  const next = reader.next();
  await log.appendDurable("message 3");
  using batch = (await next).value!;
  found.followed = batch.text(0);
  await reader.return!();
} else {
  // The upper layer has a lock and files of its own.
  const second = await Log.open(other);
  found.second = second.nextOffset;
  for (let i = 0; i < 5; i++) await second.appendDurable("above");
  await second.close();
  await log.appendDurable("message 3");
  found.above = await count(other);
}
found.closed = await outcome(() => log.close());
found.left = (await Array.fromAsync(verifyLog(dir))).length;
found.count = await count(dir);
console.log(JSON.stringify(found));
