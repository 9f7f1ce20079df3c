import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  planRepair,
  planRepairSync,
  repairLog,
  repairLogSync,
  RepairOutdated,
  type RepairPlan,
  verifyLogSync,
} from "../../lib/log/mod.ts";
import { Locked } from "../../lib/storage/mod.ts";
import type { SimulatedDisk } from "@basalt/io/testing";
import {
  assertBytes,
  assertMade,
  diskWith,
  eachCrash,
  type Files,
  filesOf,
  flipped,
  joined,
  make,
  MARK,
  on,
  placeOn,
  reopened,
  TIME,
} from "./recovery_support.ts";
import { lines, openLogSync, type Place, segment } from "./support.ts";

const TIMES = (offset: number): number => TIME + offset;
const LENGTHS = [0, 5, 40, 1, 30];
const MORE = [17, 0, 9];
const ALL = [...LENGTHS, ...MORE, 30];
const PARTS = [
  make(0, LENGTHS, TIMES),
  make(5, MORE, TIMES),
  make(8, [30], TIMES),
];
const SOUND = filesOf(...PARTS);

function options(place: Place) {
  return { storage: place.storage, pool: place.pool };
}

function faults(place: Place): unknown[] {
  return [...verifyLogSync(place.dir, options(place))];
}

/** Plans, checks that planning changed nothing, repairs, and checks that what was said came true. */
function repaired(place: Place, what: string, unit = 4096): RepairPlan {
  const disk = place.storage as SimulatedDisk;
  const before = contents(place);
  const plan = planRepairSync(place.dir, options(place));
  assertEquals(contents(place), before, `${what}: planning`);
  assertEquals(repairLogSync(place.dir, plan, options(place)), plan, what);
  assertEquals(faults(place), [], what);
  for (const step of plan.steps) {
    if (step.action === "rebuildIndex") continue;
    const old = before.get(step.path.replace(/^.*\//, ""))!;
    const from = step.action === "cut"
      ? step.position - step.position % unit
      : 0;
    assertBytes(disk.peek(step.kept), old.subarray(from), `${what}: kept`);
  }
  const again = planRepairSync(place.dir, options(place));
  assertEquals([again.needed, again.steps], [false, []], what);
  return plan;
}

function contents(place: Place): Map<string, Uint8Array> {
  return new Map(place.names().map((name) => [name, place.bytes(name)]));
}

Deno.test("a repair of every third flipped byte keeps what lies before it, says what is lost, and leaves a sound log", () => {
  let count = 0;
  for (const [name, bytes] of Object.entries(SOUND)) {
    const part = PARTS.find((each) =>
      name.startsWith(segment(each.firstOffset))
    )!;
    for (let position = 0; position < bytes.length; position += 3) {
      const what = `${name} byte ${position}`;
      const place = placeOn(
        diskWith({ ...SOUND, [name]: flipped(bytes, position) }),
      );
      const plan = repaired(place, what);
      let kept = ALL.length;
      if (name.endsWith(".log")) {
        const bad = part.starts.findLastIndex((start) => start <= position);
        kept = part.firstOffset + bad;
        // The damaged one is none of those that could still be read.
        assertEquals(plan.lostMessages, ALL.length - kept - 1, what);
      } else {
        assertEquals(plan.lostMessages + plan.lostBytes, 0, what);
      }
      assertEquals(plan.nextOffset, kept, what);
      assertMade(reopened(place), 0, ALL.slice(0, kept), what);
      count++;
    }
  }
  console.log(`${count} bytes flipped and repaired`);
});

Deno.test("disks of other sectors are repaired alike", () => {
  const name = `${segment(0)}.log`;
  for (const unit of [512, 4096, 16_384]) {
    const alignment = {
      memoryAlignment: 512,
      offsetAlignment: Math.min(unit, 4096),
      readOffsetAlignment: Math.min(unit, 4096),
      logicalBlock: Math.min(unit, 4096),
      physicalBlock: unit,
    };
    for (let position = 0; position < SOUND[name]!.length; position += 29) {
      const files = { ...SOUND, [name]: flipped(SOUND[name]!, position) };
      const disk = diskWith(files, alignment);
      const plan = repaired(placeOn(disk), `${unit}: byte ${position}`, unit);
      assert(plan.nextOffset < 5);
    }
  }
});

Deno.test("a sound log needs no repair, and is not touched", async () => {
  await on(SOUND, (place) => {
    let bytes = 0;
    const plan = planRepairSync(place.dir, {
      ...options(place),
      onRead: (more) => bytes += more,
    });
    assertEquals([plan.needed, plan.steps], [false, []]);
    assertEquals(bytes, PARTS.reduce((sum, { log }) => sum + log.length, 0));
    const before = place.storage.trace.length;
    repairLogSync(place.dir, plan, options(place));
    const changes = place.storage.trace.slice(before).filter(({ kind }) =>
      ["write", "truncate", "rename", "remove"].includes(kind)
    );
    assertEquals(changes, []);
  });
});

Deno.test("gaps, overlaps, lone indexes and strange bytes are taken out of the log and kept", async () => {
  const log = (first: number) => `${segment(first)}.log`;
  const index = (first: number) => `${segment(first)}.index`;
  const without = (...names: string[]): Files =>
    Object.fromEntries(
      Object.entries(SOUND).filter(([name]) => !names.includes(name)),
    );
  const cases: [string, Files, nextOffset: number, lost: number][] = [
    ["gap", filesOf(PARTS[0]!, PARTS[2]!), 5, 1],
    // What overlaps leaves, what follows goes on.
    ["overlap", { ...SOUND, ...filesOf(make(3, [1, 2], TIMES)) }, 9, 2],
    ["log lost", without(log(5)), 5, 1],
    ["log lost at the end", without(log(8)), 8, 0],
    ["index lost", without(index(5)), 9, 0],
    [
      "three bytes",
      { ...SOUND, [log(8)]: new Uint8Array([1, 2, 3]) },
      8,
      0,
    ],
    [
      "bytes behind a sealed segment",
      { ...SOUND, [log(5)]: joined(PARTS[1]!.log, new Uint8Array(99).fill(7)) },
      9,
      0,
    ],
    [
      "index too long",
      { ...SOUND, [index(5)]: joined(PARTS[1]!.index, new Uint8Array(24)) },
      9,
      0,
    ],
    ["a truncation that was cut short", without(log(0)), 9, 0],
  ];
  for (const [what, files, nextOffset, lost] of cases) {
    await on(files, (place) => {
      const plan = repaired(place, what);
      assertEquals(
        [plan.nextOffset, plan.lostMessages],
        [nextOffset, lost],
        what,
      );
    });
  }
});

Deno.test("a log that was left open is closed: prepared zeros are no loss, damage is", async () => {
  const zeros = new Uint8Array(9000);
  const left = { ...SOUND, ...MARK };
  const name = `${segment(8)}.log`;
  await on({ ...left, [name]: joined(PARTS[2]!.log, zeros) }, (place) => {
    const plan = repaired(place, "zeros");
    assertEquals([plan.needed, plan.steps, plan.nextOffset], [true, [], 9]);
    assert(!place.names().includes("writer"));
  });
  const torn = joined(PARTS[2]!.log, zeros.fill(1, 100, 200));
  await on({ ...left, [name]: torn }, (place) => {
    const plan = repaired(place, "torn");
    assertEquals(plan.steps.map(({ action }) => action), ["cut"]);
    assertEquals(plan.nextOffset, 9);
  });
});

Deno.test("a repair that crashes anywhere can be done again, and loses no more than was told", async () => {
  const name = `${segment(0)}.log`;
  const damaged: Files = { ...SOUND, [name]: flipped(SOUND[name]!, 150) };
  const told = planRepairSync("/log", options(placeOn(diskWith(damaged))));
  assertEquals(told.nextOffset, 2);
  let states = 0;
  const points = await eachCrash(
    diskWith(damaged),
    (place) => {
      const plan = planRepairSync(place.dir, options(place));
      repairLogSync(place.dir, plan, options(place));
    },
    ["none", "all"],
    (left, what) => {
      const place = placeOn(left);
      const plan = planRepairSync(place.dir, options(place));
      repairLogSync(place.dir, plan, options(place));
      assertEquals(faults(place), [], what);
      assertMade(reopened(place), 0, ALL.slice(0, told.nextOffset), what);
      // Every byte that left the log is somewhere beside it.
      const cut = place.names().filter((each) => /\.cut/.test(each))
        .map((each) => place.bytes(each));
      for (const lost of [damaged[name]!, PARTS[1]!.log, PARTS[2]!.log]) {
        assert(
          cut.some((bytes) => equal(bytes, lost)),
          `${what}: ${lost.length} bytes are kept`,
        );
      }
      states++;
    },
  );
  console.log(`${states} states after ${points} crashes`);
});

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

Deno.test("what leaves the log is synced before its name changes, or before it is cut", async () => {
  const name = `${segment(0)}.log`;
  await on({ ...SOUND, [name]: flipped(SOUND[name]!, 150) }, (place) => {
    const plan = planRepairSync(place.dir, options(place));
    const before = place.storage.trace.length;
    repairLogSync(place.dir, plan, options(place));
    const done = lines(place.storage, before);
    const order = (...wanted: string[]) => {
      const at = wanted.map((each) => done.indexOf(each));
      assert(at.every((i) => i >= 0), `${wanted}: ${done.join(", ")}`);
      assertEquals(at, at.toSorted((a, b) => a - b), done.join(", "));
    };
    order(
      "sync 0.cut.tmp full",
      "rename 0.cut.tmp 0.cut",
      "truncate 0.log 133",
      "sync 0.log full",
    );
    order("truncate 0.log 133", "sync 5.log full", "rename 5.log 5.cut");
    order(
      "rename 5.log 5.cut",
      "sync 5.index full",
      "rename 5.index 5.index.cut",
    );
  });
});

Deno.test("a plan is for the log that it was made of, and a writer keeps its log", async () => {
  const name = `${segment(0)}.log`;
  await on({ ...SOUND, [name]: flipped(SOUND[name]!, 150) }, async (place) => {
    const plan = await planRepair(place.dir, options(place));
    place.storage.poke(`${place.dir}/${name}`, 0, flipped(SOUND[name]!, 70));
    const before = contents(place);
    const error = await assertRejects(
      () => repairLog(place.dir, plan, options(place)),
      RepairOutdated,
    );
    assertEquals(contents(place), before);
    assertEquals(
      await repairLog(place.dir, error.plan, options(place)),
      error.plan,
    );
    const log = openLogSync(place);
    assertThrows(() => planRepairSync(place.dir, options(place)), Locked);
    assertThrows(() => repairLogSync(place.dir, plan, options(place)), Locked);
    log.closeSync();
  });
});
