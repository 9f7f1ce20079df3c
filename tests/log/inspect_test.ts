import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  inspectLog,
  inspectLogSync,
  type LogInspection,
  type OpeningReport,
} from "../../lib/log/mod.ts";
import { CorruptSegment } from "../../lib/segment/mod.ts";
import { Locked } from "../../lib/storage/mod.ts";
import { MIB, openLogSync, type Place, segment } from "./support.ts";
import {
  type Files,
  filesOf,
  flipped,
  joined,
  make,
  MARK,
  on,
  TIME,
} from "./recovery_support.ts";

const TIMES = (offset: number): number => TIME + offset;
const FIRST = make(0, [3, 4], TIMES);
const LAST = make(2, [5, 6, 7], TIMES);
const SOUND = filesOf(FIRST, LAST);

/** Inspects, and checks that nothing changed. */
function inspected(place: Place): LogInspection {
  const contents = () =>
    new Map(place.names().map((name) => [name, place.bytes(name)]));
  const before = contents();
  const inspection = inspectLogSync(place.dir, {
    storage: place.storage,
    pool: place.pool,
  });
  assertEquals(contents(), before);
  return inspection;
}

Deno.test("inspecting a closed log tells its segments, and that opening does nothing", async () => {
  await on({
    ...SOUND,
    notes: new Uint8Array(1),
    [`${segment(2)}.cut`]: new Uint8Array(1),
  }, (place) => {
    assertEquals(inspected(place), {
      path: "/log",
      segments: [
        {
          firstOffset: 0,
          nextOffset: 2,
          logBytes: FIRST.log.length,
          indexBytes: 32,
          firstTimestamp: TIME,
          lastTimestamp: TIME + 1,
        },
        {
          firstOffset: 2,
          nextOffset: 5,
          logBytes: LAST.log.length,
          indexBytes: 48,
          firstTimestamp: TIME + 2,
          lastTimestamp: TIME + 4,
        },
      ],
      firstOffset: 0,
      nextOffset: 5,
      byteLength: FIRST.log.length + LAST.log.length + 80,
      locked: false,
      closed: true,
      writer: undefined,
      opening: {
        possible: true,
        report: {
          recovered: [],
          kept: [],
          foreign: [`${segment(2)}.cut`, "notes"],
        },
      },
      temporary: [],
      kept: [`${segment(2)}.cut`],
      foreign: ["notes"],
    });
  });
});

/** What opening for real reports, on a copy of the files. */
async function opened(files: Files): Promise<OpeningReport> {
  return await on(files, (place) => {
    const log = openLogSync(place);
    const report = log.stats().opening;
    log.closeSync();
    return report;
  });
}

Deno.test("inspecting tells what opening then does: recovery, cuts that are kept, lost indexes", async () => {
  const torn = flipped(LAST.log, 70);
  const cases: Files[] = [
    { ...SOUND, ...MARK },
    {
      ...SOUND,
      ...MARK,
      [`${segment(2)}.log`]: joined(LAST.log, new Uint8Array(5000)),
    },
    { ...SOUND, ...MARK, [`${segment(2)}.log`]: torn },
    { ...SOUND, [`${segment(0)}.index`]: new Uint8Array(5) },
    { ...SOUND, [`${segment(2)}.index`]: new Uint8Array(0) },
    { ...SOUND, [`${segment(5)}.log.tmp`]: new Uint8Array(0) },
    { ...MARK },
  ];
  for (const [i, files] of cases.entries()) {
    await on(files, (place) => {
      const { opening, nextOffset } = inspected(place);
      if (!opening.possible) throw opening.error;
      const log = openLogSync(place);
      assertEquals(opening.report, log.stats().opening, String(i));
      assertEquals(nextOffset, log.nextOffset, String(i));
      log.closeSync();
    });
  }
  assert((await opened(cases[2]!)).kept.length === 1);
});

Deno.test("inspecting tells why opening would fail, and who has the log", async () => {
  const damaged = {
    ...SOUND,
    [`${segment(0)}.log`]: FIRST.log.subarray(0, 70),
  };
  await on(damaged, (place) => {
    const { opening } = inspected(place);
    if (opening.possible) throw new Error("it opens");
    assert(opening.error instanceof CorruptSegment);
    assertEquals((opening.error as CorruptSegment).position, 67);
  });
  await on(SOUND, (place) => {
    const log = openLogSync(place, { prepareBytes: MIB });
    const { opening, locked, closed, writer } = inspected(place);
    assertEquals([locked, closed, opening.possible], [true, false, false]);
    assert(!opening.possible && opening.error instanceof Locked);
    assertEquals(writer?.pid, Deno.pid);
    log.closeSync();
  });
  await on({ notes: new Uint8Array(1) }, async (place) => {
    const options = { storage: place.storage, pool: place.pool };
    await assertRejects(
      () => inspectLog(place.dir, options),
      Deno.errors.NotFound,
    );
  });
});
