/** What reading costs by the number of segments: nothing besides the segments themselves. */
import { assert, assertEquals } from "@std/assert";
import { type Log, LogReader } from "../../../lib/log/mod.ts";
import { SimulatedDisk } from "@basalt/io/testing";
import { appendSome, drain, drainSync, KIB, openLogSync } from "../_support.ts";
import { on } from "../recovery/_support.ts";

/** Makes a log of this many segments, with one message each. */
async function onSegments(
  count: number,
  test: (reader: LogReader, log: Log, disk: SimulatedDisk) => Promise<void>,
): Promise<void> {
  const disk = new SimulatedDisk();
  await on(disk, async (place) => {
    const log = openLogSync(place, { segmentBytes: KIB });
    for (let i = 0; i < count; i++) {
      appendSome(log, 1, 600);
      log.flushSync({ durability: "none" });
    }
    assertEquals(log.stats().segments, count);
    const { dir, storage, pool } = place;
    await test(new LogReader(dir, { storage, pool }), log, disk);
    await log.close();
  });
}

function countOf(disk: SimulatedDisk, kind: string, from: number): number {
  return disk.trace.slice(from).filter((each) => each.kind === kind).length;
}

Deno.test("LogReader.read() lists the directory at the start and at the end only, whatever the number of segments", async () => {
  for (const count of [1, 100, 1000]) {
    await onSegments(count, async (reader, _log, disk) => {
      for (const read of [drain, drainSync]) {
        const before = disk.trace.length;
        assertEquals((await read(reader)).length, count);
        assertEquals(countOf(disk, "list", before), 2, `${count} segments`);
        const opened = countOf(disk, "open", before);
        assert(opened <= count + 6, `${opened} files of ${count} segments`);
      }
    });
  }
});

Deno.test("Log.read() does not list the directory, and opens each segment once", async () => {
  for (const count of [1, 100, 1000]) {
    await onSegments(count, async (_reader, log, disk) => {
      const before = disk.trace.length;
      assertEquals((await drain(log)).length, count);
      assertEquals(countOf(disk, "list", before), 0);
      assertEquals(countOf(disk, "open", before), count);
    });
  }
});

Deno.test("LogReader.tail() finds new segments without listing the directory for each", async () => {
  await onSegments(100, async (reader, log, disk) => {
    const tail = reader.tail();
    let next = 0;
    const take = async (end: number): Promise<void> => {
      while (next < end) next = (await tail.next()).value!.nextOffset;
    };
    await take(100);
    const before = [disk.trace.length, disk.timeMicros] as const;
    for (let i = 0; i < 200; i++) {
      appendSome(log, 1, 600);
      await log.flush();
      await take(log.nextOffset);
    }
    const seconds = (disk.timeMicros - before[1]) / 1_000_000;
    const lists = countOf(disk, "list", before[0]);
    assert(lists <= 2 + seconds, `${lists} in ${seconds} s`);
    await tail.return();
  });
});
