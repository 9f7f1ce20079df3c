/** Times of the API: microseconds, a `Date` and a `Temporal.Instant` mean the same. */
import { assertEquals } from "@std/assert";
import { SimulatedDisk } from "@basalt/io/testing";
import type { Time } from "../../lib/base/mod.ts";
import { Log, LogReader } from "../../lib/log/mod.ts";
import { BufferPool } from "../../lib/pool/mod.ts";

const SECOND = new Date("2024-01-01T00:00:01Z");

/** The same time in each of its types. */
const TIMES: readonly Time[] = [
  SECOND.getTime() * 1000,
  SECOND,
  Temporal.Instant.from(SECOND.toISOString()),
];

Deno.test("Log and LogReader read and tail since a time of each type", async () => {
  using pool = new BufferPool();
  const disk = new SimulatedDisk();
  const now = () => SECOND.getTime() * 1000 + millis * 1000;
  let millis = -1;
  disk.now = now;
  await using log = await Log.open("/log", { storage: disk, pool });
  for (millis of [-1, 0, 1]) {
    log.append(String(millis));
    await log.flush();
  }
  const reader = new LogReader("/log", { storage: disk, pool });
  for (const since of TIMES) {
    for (const source of [log, reader]) {
      const texts: string[] = [];
      for await (const { text } of messagesOf(source, since)) texts.push(text);
      assertEquals(texts, ["0", "1"]);
    }
    for await (const batch of log.tail({ since })) {
      assertEquals(batch.text(0), "0");
      break;
    }
  }
});

Deno.test("Log.append() takes a time of each type as originTimestamp", async () => {
  using pool = new BufferPool();
  const disk = new SimulatedDisk();
  await using log = await Log.open("/log", { storage: disk, pool });
  for (const originTimestamp of TIMES) log.append("", { originTimestamp });
  await log.flush();
  const found: number[] = [];
  for (const batch of log.readSync()) {
    for (const message of batch) found.push(message.originTimestamp);
  }
  assertEquals(found, TIMES.map(() => SECOND.getTime() * 1000));
});

async function* messagesOf(
  source: Log | LogReader,
  since: Time,
): AsyncGenerator<{ text: string }> {
  for await (const batch of source.read({ since })) {
    for (let i = 0; i < batch.count; i++) yield { text: batch.text(i) };
  }
}
