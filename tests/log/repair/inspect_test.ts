import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  inspectLog,
  inspectLogSync,
  type LogInspection,
  type OpeningReport,
} from "../../../lib/log/mod.ts";
import { CorruptSegmentError } from "../../../lib/segment/mod.ts";
import { LockedError } from "../../../lib/storage/mod.ts";
import { MIB, openLogSync, type Place, segment } from "../_support.ts";
import {
  type Files,
  filesOf,
  flipped,
  IDENTITY,
  joined,
  LEFT_OPEN,
  make,
  metaFile,
  on,
  ownerFile,
  TIME,
} from "../recovery/_support.ts";

const TIMES = (offset: number): number => TIME + offset;
const FIRST = make(0, [3, 4], TIMES);
const LAST = make(2, [5, 6, 7], TIMES);
const SOUND = filesOf(FIRST, LAST);

/** Inspects a log, and checks that nothing changed. */
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

Deno.test("inspectLog() of a closed log reports its segments, and that opening does nothing", async () => {
  await on({
    ...SOUND,
    notes: new Uint8Array(1),
    [`${segment(2)}.0.0.cut`]: new Uint8Array(1),
  }, (place) => {
    const dataBytes = FIRST.log.length + LAST.log.length;
    place.storage.timeMicros = TIME + 4;
    assertEquals(inspected(place), {
      path: "/log",
      identity: IDENTITY,
      segments: [
        {
          firstOffset: 0,
          nextOffset: 2,
          logBytes: FIRST.log.length,
          dataBytes: FIRST.log.length,
          preparedBytes: 0,
          indexBytes: 24,
          firstTimestamp: TIME,
          lastTimestamp: TIME + 1,
        },
        {
          firstOffset: 2,
          nextOffset: 5,
          logBytes: LAST.log.length,
          dataBytes: LAST.log.length,
          preparedBytes: 0,
          indexBytes: 24,
          firstTimestamp: TIME + 2,
          lastTimestamp: TIME + 4,
        },
      ],
      firstOffset: 0,
      nextOffset: 5,
      byteLength: dataBytes + 48,
      dataBytes,
      preparedBytes: 0,
      clockBehindMicros: 0,
      locked: false,
      closed: true,
      owner: undefined,
      opening: {
        possible: true,
        report: { recovered: [], kept: [], removed: [], foreign: ["notes"] },
      },
      temporary: [],
      kept: [`${segment(2)}.0.0.cut`],
      odd: [],
      foreign: ["notes"],
    });
  });
});

/** Returns what an opening reports, on a copy of the files. */
async function opened(files: Files): Promise<OpeningReport> {
  return await on(files, (place) => {
    const log = openLogSync(place);
    const report = log.stats().opening;
    log.closeSync();
    return report;
  });
}

Deno.test("inspectLog() reports what opening then does: recovery, cuts that are kept, lost indexes, removals", async () => {
  const torn = flipped(LAST.log, LAST.starts[1]! + 300);
  const cases: Files[] = [
    { ...SOUND, ...LEFT_OPEN },
    {
      ...SOUND,
      ...LEFT_OPEN,
      [`${segment(2)}.log`]: joined(LAST.log, new Uint8Array(5000)),
    },
    { ...SOUND, ...LEFT_OPEN, [`${segment(2)}.log`]: torn },
    { ...SOUND, [`${segment(0)}.index`]: new Uint8Array(5) },
    { ...SOUND, [`${segment(2)}.index`]: new Uint8Array(0) },
    { ...SOUND, [`${segment(5)}.log.tmp`]: new Uint8Array(0) },
    { ...SOUND, meta: metaFile(2) },
    { ...SOUND, ...LEFT_OPEN, [`${segment(5)}.index`]: new Uint8Array(0) },
  ];
  for (const [i, files] of cases.entries()) {
    await on(files, (place) => {
      const { opening, firstOffset, nextOffset } = inspected(place);
      if (!opening.possible) throw opening.error;
      const log = openLogSync(place);
      assertEquals(opening.report, log.stats().opening, String(i));
      assertEquals(
        [firstOffset, nextOffset],
        [log.firstOffset, log.nextOffset],
        String(i),
      );
      log.closeSync();
    });
  }
  assert((await opened(cases[2]!)).kept.length === 1);
});

Deno.test("inspectLog() tells data from prepared space, and reports the owner", async () => {
  const damaged = {
    ...SOUND,
    [`${segment(0)}.log`]: FIRST.log.subarray(0, 400),
  };
  await on(damaged, (place) => {
    const { opening, segments } = inspected(place);
    if (opening.possible) throw new Error("it opens");
    assert(opening.error instanceof CorruptSegmentError);
    assertEquals(
      (opening.error as CorruptSegmentError).position,
      FIRST.starts[1],
    );
    const { nextOffset, dataBytes, preparedBytes } = segments[0]!;
    assertEquals(
      [nextOffset, dataBytes, preparedBytes],
      [1, FIRST.starts[1], 400 - FIRST.starts[1]!],
    );
  });
  const left = {
    ...SOUND,
    writer: ownerFile(3, { generation: 5 }),
    [`${segment(2)}.log`]: joined(LAST.log, new Uint8Array(9000)),
  };
  await on(left, (place) => {
    const { locked, closed, owner, ...rest } = inspected(place);
    assertEquals([locked, closed], [false, false]);
    assertEquals(owner, {
      identity: IDENTITY,
      generation: 5,
      pid: 4711,
      startedAt: TIME,
      durableOffset: 3,
    });
    assertEquals([rest.nextOffset, rest.preparedBytes], [5, 9000]);
    assertEquals(
      [rest.segments[1]!.dataBytes, rest.segments[1]!.logBytes],
      [LAST.log.length, LAST.log.length + 9000],
    );
  });
  await on({ ...left, writer: new Uint8Array(10) }, (place) => {
    assertEquals(inspected(place).owner, "invalid");
  });
  await on(SOUND, (place) => {
    const log = openLogSync(place, { prepareBytes: MIB });
    const { opening, locked, closed, owner, nextOffset } = inspected(place);
    assertEquals([locked, closed, opening.possible], [true, false, false]);
    assert(!opening.possible && opening.error instanceof LockedError);
    assert(typeof owner === "object" && owner.pid === Deno.pid);
    assertEquals(nextOffset, 5);
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

Deno.test("inspectLog() reports how far the clock is behind the last message", async () => {
  await on(SOUND, (place) => {
    // The clock was an hour ahead when the last message was appended, and reading it takes a
    // microsecond.
    place.storage.timeMicros = TIME + 3 - 3_600_000_000;
    assertEquals(inspected(place).clockBehindMicros, 3_600_000_000);
  });
});
