/**
 * Appends durable messages to a log a few milliseconds apart, stays idle with the log open, and
 * prints when each was durable. Arguments: `DIR COUNT IDLE_MS`.
 */
import { Log } from "../../../mod.ts";

/** When the messages were durable, in microseconds since the Unix epoch. */
export type DurableTimes = readonly number[];

const GAP_MS = 4;
const PAYLOAD_BYTES = 256;

/** Returns the current time in microseconds since the Unix epoch, comparable between processes. */
export function epochMicros(): number {
  return Number(Temporal.Now.instant().epochNanoseconds) / 1000;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

if (import.meta.main) {
  const [dir, count, idleMs] = Deno.args;
  const payload = new Uint8Array(PAYLOAD_BYTES).fill(0x5a);
  const times: number[] = [];
  {
    await using log = await Log.open(dir!);
    for (let i = 0; i < Number(count); i++) {
      await pause(GAP_MS);
      await log.appendDurable(payload);
      times.push(epochMicros());
    }
    await pause(Number(idleMs));
  }
  console.log(JSON.stringify(times));
}
