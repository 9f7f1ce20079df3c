/**
 * Writes a log with several appenders until it is killed. It prints facts for its parent, one a
 * line:
 *
 * - `recover`: it is about to open the log
 * - `open N`: the log is open, and the next offset is N
 * - `ack OFFSET NUMBER`: the log reports that message as durable
 * - `truncate OFFSET`: messages below may be removed from now on
 * - `close`, `closed`: it is about to close the log, and has closed it
 *
 * Arguments: the directory, the number of this run, and after how many acknowledgements it closes
 * the log and opens it again (0: never).
 */
import { Log } from "../../lib/log/mod.ts";
import { SeededRandom } from "@basalt/io/testing";
import { makeBatch, makePayload } from "./_message.ts";

const [dir, life, closeAfter] = [
  Deno.args[0]!,
  Number(Deno.args[1]),
  Number(Deno.args[2]),
];
const APPENDERS = 6;
const random = new SeededRandom(life);
const encoder = new TextEncoder();
let number = 0;

function say(line: string): void {
  Deno.stdout.writeSync(encoder.encode(`${line}\n`));
}

/** One opening of the log, up to its closing. */
async function session(): Promise<void> {
  say("recover");
  const log = await Log.open(dir, {
    segmentBytes: 400_000,
    blockBytes: 32 * 1024,
    prepareBytes: 256 * 1024,
  });
  say(`open ${log.nextOffset}`);
  let acknowledged = 0;
  const appender = async (): Promise<void> => {
    while (closeAfter === 0 || acknowledged < closeAfter) {
      // One message, or a batch of which the last message is reported.
      const count = random.chance(0.2) ? 2 + random.below(30) : 1;
      number += count;
      const mine = number - 1;
      const offset = count === 1
        ? log.append(makePayload({ life, number: mine }))
        : log.appendBatch(makeBatch({ life, number: number - count }, count)) +
          count - 1;
      // Some more messages are in the file or in memory, after those that are waited for.
      if (random.chance(0.1)) {
        log.append(makePayload({ life, number: number++ }));
        if (random.chance(0.5)) await log.flush({ durability: "none" });
      }
      await log.whenDurable(offset);
      say(`ack ${offset} ${mine}`);
      acknowledged++;
      if (random.chance(0.002)) {
        const bound = Math.max(log.firstOffset, offset - 3000);
        say(`truncate ${bound}`);
        await log.truncateBefore(bound);
      }
    }
  };
  await Promise.all(Array.from({ length: APPENDERS }, appender));
  say("close");
  await log.close();
  say("closed");
}

while (true) await session();
