/** The cost of a log grows linearly with its segments, counted in operations of the disk. */
import { assert, assertEquals } from "@std/assert";
import {
  inspectLogSync,
  Log,
  LogReader,
  planRepairSync,
  verifyLogSync,
} from "../../../lib/log/mod.ts";
import type { SimulatedPlace } from "../_support.ts";
import { drainSync, KIB } from "../_support.ts";
import {
  diskWith,
  type Files,
  filesOf,
  make,
  placeOn,
} from "../recovery/_support.ts";

const FEW = 40;
const MANY = 400;
/** With many segments, each may cost at most this many times as much as with few. */
const MOST = 1.5;

/** Makes a closed log of segments with one message each. */
function segments(count: number): Files {
  return filesOf(
    ...Array.from({ length: count }, (_, offset) => make(offset, [16 * KIB])),
  );
}

const LOGS = new Map([FEW, MANY].map((count) => [count, segments(count)]));

const LOOKS: Record<string, (place: SimulatedPlace, count: number) => void> = {
  "Log.open()": (place, count) => {
    const log = Log.openSync(place.dir, place);
    assertEquals(log.nextOffset, count);
    log.closeSync();
  },
  "Log.truncateBefore()": (place, count) => {
    const log = Log.openSync(place.dir, place);
    const start = place.storage.trace.length;
    assertEquals(log.truncateBeforeSync(count - 1), count - 1);
    const syncs = place.storage.trace.slice(start)
      .filter(({ kind }) => kind === "syncDirectory");
    assertEquals(syncs.length, 1);
    log.closeSync();
  },
  "verifyLog()": (place) =>
    assertEquals([...verifyLogSync(place.dir, place)], []),
  "inspectLog()": (place, count) =>
    assertEquals(inspectLogSync(place.dir, place).nextOffset, count),
  "planRepair()": (place) =>
    assertEquals(planRepairSync(place.dir, place).needed, false),
  "LogReader.read()": (place, count) =>
    assertEquals(drainSync(new LogReader(place.dir, place)).length, count),
};

for (const [name, look] of Object.entries(LOOKS)) {
  Deno.test(`${name} takes as many operations per segment for ${MANY} segments as for ${FEW}`, () => {
    const [few, many] = [FEW, MANY].map((count) => {
      const place = placeOn(diskWith(LOGS.get(count)!));
      const start = place.storage.trace.length;
      look(place, count);
      const trace = place.storage.trace.slice(start);
      // A listing costs as much as there are names.
      const lists = trace.filter(({ kind }) => kind === "list").length;
      return trace.length / count + lists;
    }) as [number, number];
    assert(many <= MOST * few, `${many} operations a segment, and ${few}`);
  });
}
