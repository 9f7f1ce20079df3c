/** Exports of what `Log` wrote, and imports that `Log` continues. */
import { assertEquals } from "@std/assert";
import { SimulatedDisk } from "@basalt/io/testing";
import {
  exportToIggy,
  exportToIggySync,
  importFromIggy,
  importFromIggySync,
} from "../../lib/iggy/mod.ts";
import { Log, verifyLog } from "../../lib/log/mod.ts";
import type { BufferPool } from "../../lib/pool/mod.ts";
import type { Storage } from "../../lib/storage/mod.ts";
import {
  fieldsOf,
  KIB,
  payload,
  readBatches,
  segmentFiles,
  testPool,
} from "./_support.ts";

interface Place {
  storage: Storage;
  pool: BufferPool;
}

/** Writes a log with several segments, and messages that differ in every field. */
async function writeLog(place: Place, count: number): Promise<void> {
  await using log = await Log.open("/log", {
    ...place,
    segmentBytes: 16 * KIB,
  });
  for (let i = 0; i < count; i++) {
    log.append(payload(i, i * 37 % 900), {
      ...(i % 3 === 0
        ? { id: `00000000-0000-4000-8000-${`${i}`.padStart(12, "0")}` }
        : {}),
      ...(i % 4 === 0 ? { originTimestamp: 1_700_000_000_000_000 + i } : {}),
      ...(i % 5 === 0 ? { userHeaders: { n: i, text: "é" } } : {}),
    });
    if (i % 7 === 0) await log.flush();
  }
}

async function messagesOf(log: Log) {
  const all = [];
  for await (using batch of log.read()) {
    for (let i = 0; i < batch.count; i++) {
      const fields = fieldsOf(batch.message(i));
      all.push({ ...fields, payload: fields.payload.slice() });
    }
  }
  return all;
}

for (
  const [way, give, take] of [
    ["exportToIggy() and importFromIggy()", exportToIggy, importFromIggy],
    [
      "exportToIggySync() and importFromIggySync()",
      exportToIggySync,
      importFromIggySync,
    ],
  ] as const
) {
  for (const format of ["0.9", "0.8"] as const) {
    Deno.test(`${way} preserve a log through Iggy ${format}, and the log continues`, async () => {
      const storage = new SimulatedDisk();
      const place = { storage, pool: testPool() };
      await writeLog(place, 200);
      const before = readBatches(segmentFiles(storage, "/log")).map(fieldsOf);
      assertEquals(before.length, 200);
      const given = await give("/log", "/p", { ...place, format });
      assertEquals([given.messages, given.leaves], [200, []]);
      const taken = await take("/p", "/taken", place);
      assertEquals([taken.format, taken.nextOffset], [format, 200]);
      {
        await using log = await Log.open("/taken", place);
        assertEquals(await messagesOf(log), before);
        assertEquals(log.stats().opening.recovered, []);
        assertEquals(log.append("more"), 200);
      }
      const faults = await Array.fromAsync(verifyLog("/taken", place));
      assertEquals(faults, []);
      // It may be exported again, but not over existing messages.
      const again = await give("/taken", "/q", { ...place, format });
      assertEquals(again.messages, 201);
    });
  }
}

Deno.test("exportToIggy() exports what retention left of a log", async () => {
  const storage = new SimulatedDisk();
  const place = { storage, pool: testPool() };
  await writeLog(place, 200);
  let firstOffset;
  {
    await using log = await Log.open("/log", place);
    await log.truncateBefore(100);
    ({ firstOffset } = log);
  }
  const report = await exportToIggy("/log", "/p", place);
  assertEquals([report.firstOffset, report.nextOffset], [firstOffset, 200]);
});
