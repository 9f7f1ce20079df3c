/**
 * Writes a log until it is killed, or until its standard input says to close. Prints a line for
 * each event: `open N` with the next offset, `ack N` with the durable offset, `closed`.
 *
 * Arguments: the directory, `write` or `hold`, the tier (`prefer` or `never`), bytes of a segment.
 */
import { Log } from "../../../lib/log/mod.ts";
import { DiskStorage } from "../../../lib/storage/mod.ts";
import { processPayload } from "./_payload.ts";

const [dir, mode, direct, segmentBytes] = Deno.args as [
  string,
  "write" | "hold",
  "prefer" | "never",
  string,
];

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

let closing = false;
const asked = Deno.stdin.read(new Uint8Array(1)).then(() => closing = true);

const log = await Log.open(dir, {
  storage: new DiskStorage({ direct }),
  segmentBytes: Number(segmentBytes),
  blockBytes: 32 * 1024,
  prepareBytes: 1024 * 1024,
});
say(`open ${log.nextOffset}`);
if (mode === "hold") await asked;
while (!closing) {
  for (let i = 0; i < 20; i++) log.append(processPayload(log.nextOffset));
  // More messages are written after the one that is waited for.
  const waited = log.whenDurable(log.nextOffset - 5);
  for (let i = 0; i < 10; i++) log.append(processPayload(log.nextOffset));
  if (log.nextOffset % 4 === 0) log.flush({ durability: "none" });
  await waited;
  say(`ack ${log.durableOffset}`);
  // Slower than a reader that checks every byte, which would never reach the end otherwise.
  await new Promise((resolve) => setTimeout(resolve, 5));
}
await log.close();
say("closed");
Deno.exit(0);
