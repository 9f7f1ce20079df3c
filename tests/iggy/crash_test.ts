/** Crashes at every operation of an export and an import. */
import { assert, assertEquals } from "@std/assert";
import { SimulatedDisk } from "@basalt/io/testing";
import {
  exportToIggy,
  type IggyFormat,
  importFromIggy,
} from "../../lib/iggy/mod.ts";
import { Log } from "../../lib/log/mod.ts";
import { CorruptSegmentError } from "../../lib/segment/mod.ts";
import { dataDirectory, putFiles } from "./_data_directory.ts";
import {
  eachCrash,
  type Files,
  logNames,
  makeSimpleLog,
  putAll,
  segmentFiles,
  testPool,
} from "./_support.ts";

const PARTITION = "/server/streams/0/topics/0/partitions/0";
/** Three segments, which is enough for crashes. */
const LOG = makeSimpleLog(52, { perSegment: 5, perBatch: 4 });
/** In the format of 0.8, a segment of the log becomes two. */
const SEGMENT_BYTES = 6000;

function prepared(format: IggyFormat): SimulatedDisk {
  const disk = new SimulatedDisk();
  putAll(disk, "/log", LOG);
  putFiles(disk, "/server", dataDirectory(format === "0.8" ? "0.8.0" : "0.9"));
  return disk;
}

/** Returns what an export without a crash leaves. */
async function whole(format: IggyFormat): Promise<Files> {
  const disk = prepared(format);
  await exportAs(disk, format);
  return segmentFiles(disk, PARTITION);
}

for (const format of ["0.9", "0.8"] as const) {
  Deno.test(`exportToIggy() to Iggy ${format} leaves whole leading segments after a crash, and a repetition completes it`, async () => {
    const expected = await whole(format);
    assert(logNames(expected).length >= 3);
    const pool = testPool();
    const counts = new Set<number>();
    const operations = await eachCrash(
      prepared(format),
      (disk, pool) => exportAs(disk, format, pool),
      async (left, what) => {
        const found = segmentFiles(left, PARTITION);
        // A server reads only `.log` files. Those with bytes are the first ones, each whole and
        // with its index.
        const logs = logNames(found)
          .filter((name) => found.get(name)!.length > 0);
        assertEquals(logs, logNames(expected).slice(0, logs.length), what);
        for (const name of logs) {
          const index = name.replace(".log", ".index");
          assertEquals(found.get(name), expected.get(name), what);
          assertEquals(found.get(index), expected.get(index), what);
        }
        counts.add(logs.length);
        await exportAs(left, format, pool);
        assertEquals(segmentFiles(left, PARTITION), expected, what);
        assertEquals(segmentFiles(left, "/log"), LOG, what);
      },
    );
    assert(operations > 20);
    assertEquals(counts.size, logNames(expected).length + 1);
    pool.close();
  });

  Deno.test(`importFromIggy() of Iggy ${format} leaves no partial log that opens after a crash, and a repetition completes it`, async () => {
    const disk = prepared(format);
    await exportAs(disk, format);
    const partition = segmentFiles(disk, PARTITION);
    const pool = testPool();
    const copy = disk.crashState("none");
    await importFromIggy(PARTITION, "/taken", { storage: copy, pool });
    const expected = segmentFiles(copy, "/taken");
    if (format === "0.9") assertEquals(expected, LOG);
    const operations = await eachCrash(
      disk,
      (storage, pool) => importFromIggy(PARTITION, "/taken", { storage, pool }),
      async (left, what) => {
        const found = segmentFiles(left, "/taken");
        const logs = logNames(found);
        assertEquals(logs, logNames(expected).slice(0, logs.length), what);
        for (const name of logs) {
          assertEquals(found.get(name), expected.get(name), what);
        }
        await opensWholeOrNotAtAll(left, what);
        await importFromIggy(PARTITION, "/taken", { storage: left, pool });
        assertEquals(segmentFiles(left, "/taken"), expected, what);
        assertEquals(segmentFiles(left, PARTITION), partition, what);
      },
    );
    assert(operations > 20);
    pool.close();
  });
}

/** A log that lacks segments has an index without its log, which `Log.open` refuses. */
async function opensWholeOrNotAtAll(
  left: SimulatedDisk,
  what: string,
): Promise<void> {
  const storage = left.crashState("all");
  const pool = testPool();
  try {
    const options = { storage, pool, create: false, prepareBytes: 0 };
    await using log = await Log.open("/taken", options);
    const count = log.nextOffset - log.firstOffset;
    assert(count === 0 || count === 52, `${what}: ${count} messages`);
  } catch (error) {
    const isRefused = error instanceof CorruptSegmentError &&
        error.kind === "missing" ||
      error instanceof Deno.errors.NotFound;
    assert(isRefused, `${what}: ${error}`);
  }
  pool.close();
}

async function exportAs(
  storage: SimulatedDisk,
  format: IggyFormat,
  pool = testPool(),
): Promise<void> {
  await exportToIggy("/log", PARTITION, {
    storage,
    pool,
    format,
    ...(format === "0.8" ? { segmentBytes: SEGMENT_BYTES } : {}),
  });
}
