/**
 * Appends to the log in a directory from 64 tasks until it is killed. Each line that it prints is
 * an offset below which every message is durable.
 */
import { Log } from "../../lib/log/mod.ts";

const TASKS = 64;

/** Returns the text of the message at an offset. */
export function payloadAt(offset: number): string {
  return `message ${offset} `.padEnd(100, ".");
}

async function write(dir: string): Promise<void> {
  const log = await Log.open(dir);
  const encoder = new TextEncoder();
  let told = 0;
  const task = async (): Promise<void> => {
    for (;;) {
      await log.whenDurable(log.append(payloadAt(log.nextOffset)));
      if (log.durableOffset <= told) continue;
      told = log.durableOffset;
      Deno.stdout.writeSync(encoder.encode(`${told}\n`));
    }
  };
  await Promise.all(Array.from({ length: TASKS }, task));
}

if (import.meta.main) {
  Deno.addSignalListener("SIGINT", () => {}); // Ctrl-C is for the parent
  await write(Deno.args[0]!);
}
