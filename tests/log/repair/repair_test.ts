import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  Log,
  planRepair,
  planRepairSync,
  repairLog,
  repairLogSync,
  RepairOutdatedError,
  type RepairPlan,
  type RepairPlanOptions,
  verifyLogSync,
} from "../../../lib/log/mod.ts";
import { LockedError } from "../../../lib/storage/mod.ts";
import type { SimulatedDisk } from "@basalt/io/testing";
import {
  assertBytes,
  assertMade,
  diskWith,
  eachCrash,
  type Files,
  filesOf,
  flipped,
  indexOf,
  joined,
  LEFT_OPEN,
  make,
  metaFile,
  on,
  ownerFile,
  placeOn,
  reopened,
  TIME,
} from "../recovery/_support.ts";
import { FILES } from "../../permissions.ts";
import { lines, openLogSync, type Place, segment } from "../_support.ts";

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

/**
 * Options of a plan for the log of a place: it keeps the segments that connect with the first one.
 */
function planOptions(place: Place): RepairPlanOptions {
  return { ...options(place), keep: "oldest" };
}

function options(place: Place) {
  return { storage: place.storage, pool: place.pool };
}

function faults(place: Place): unknown[] {
  return [...verifyLogSync(place.dir, options(place))];
}

/**
 * Plans a repair, checks that planning changed nothing, repairs, and checks that the result is what
 * the plan said.
 */
function repaired(place: Place, what: string): RepairPlan {
  const disk = place.storage as SimulatedDisk;
  const before = contents(place);
  const plan = planRepairSync(place.dir, planOptions(place));
  assertEquals(contents(place), before, `${what}: planning`);
  assertEquals(repairLogSync(place.dir, plan, options(place)), plan, what);
  assertEquals(faults(place), [], what);
  for (const step of plan.steps) {
    if (step.action !== "cut" && step.action !== "setAside") continue;
    const old = before.get(step.path.replace(/^.*\//, ""))!;
    const lost = old.subarray(step.action === "cut" ? step.position : 0);
    if (step.kept === undefined) assert(lost.every((byte) => byte === 0));
    else assertBytes(disk.peek(step.kept), lost, `${what}: kept`);
  }
  const again = planRepairSync(place.dir, planOptions(place));
  assertEquals([again.needed, again.steps], [false, []], what);
  return plan;
}

function contents(place: Place): Map<string, Uint8Array> {
  return new Map(place.names().map((name) => [name, place.bytes(name)]));
}

Deno.test("repairLog() after every third flipped byte keeps what lies before it, reports what is lost, and leaves a sound log", () => {
  let count = 0;
  for (const [name, bytes] of Object.entries(SOUND)) {
    if (name === "meta") continue;
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
        // The damaged message is not among those that could still be read.
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

Deno.test("repairLog() works the same on disks with other sectors", () => {
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
      const plan = repaired(placeOn(disk), `${unit}: byte ${position}`);
      assert(plan.nextOffset < 5);
    }
  }
});

Deno.test("repairLog() does not touch a sound log", async () => {
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

Deno.test("repairLog() takes gaps, overlaps, unpaired indexes and strange bytes out of the log, and keeps them", async () => {
  const log = (first: number) => `${segment(first)}.log`;
  const index = (first: number) => `${segment(first)}.index`;
  const without = (...names: string[]): Files =>
    Object.fromEntries(
      Object.entries(SOUND).filter(([name]) => !names.includes(name)),
    );
  const cases: [string, Files, nextOffset: number, lost: number][] = [
    ["gap", filesOf(PARTS[0]!, PARTS[2]!), 5, 1],
    // An overlapping segment is removed, and the following one continues.
    ["overlap", { ...filesOf(make(3, [1, 2], TIMES)), ...SOUND }, 9, 2],
    ["log lost", without(log(5)), 5, 1],
    ["log lost at the end", without(log(8)), 8, 0],
    ["log lost at the beginning", without(log(0)), 9, 0],
    ["first segment lost", without(log(0), index(0)), 9, 0],
    ["empty, not last", { ...SOUND, [log(5)]: new Uint8Array(0) }, 5, 1],
    ["all segments lost", { meta: SOUND["meta"]! }, 0, 0],
    ["all logs lost", without(log(0), log(5), log(8)), 0, 0],
    ["index lost", without(index(5)), 9, 0],
    [
      "three bytes",
      { ...SOUND, [log(8)]: new Uint8Array([1, 2, 3]) },
      8,
      0,
    ],
    [
      "bytes after a sealed segment",
      { ...SOUND, [log(5)]: joined(PARTS[1]!.log, new Uint8Array(99).fill(7)) },
      8,
      1,
    ],
    [
      "zeros after a sealed segment",
      { ...SOUND, [log(5)]: joined(PARTS[1]!.log, new Uint8Array(99)) },
      8,
      1,
    ],
    [
      "zeros at the end of a closed log",
      { ...SOUND, [log(8)]: joined(PARTS[2]!.log, new Uint8Array(99)) },
      9,
      0,
    ],
    [
      "index too long",
      { ...SOUND, [index(5)]: joined(PARTS[1]!.index, new Uint8Array(24)) },
      9,
      0,
    ],
    [
      "a removal that did not complete",
      {
        ...without(log(0)),
        meta: metaFile(5),
      },
      9,
      0,
    ],
    [
      "a log that is shorter than its index",
      {
        ...SOUND,
        [index(8)]: indexOf([[8, TIME + 8, 0], [9, TIME + 9, 334]]),
      },
      9,
      0,
    ],
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

Deno.test("repairLog() closes a log that was left open, as opening would", async () => {
  const zeros = new Uint8Array(9000);
  const left = { ...SOUND, ...LEFT_OPEN };
  const name = `${segment(8)}.log`;
  await on({ ...left, [name]: joined(PARTS[2]!.log, zeros) }, (place) => {
    const plan = repaired(place, "zeros");
    assertEquals([plan.needed, plan.steps, plan.nextOffset], [true, [], 9]);
    assert(!place.names().includes("writer"));
  });
  const torn = joined(PARTS[2]!.log, zeros.fill(1, 100, 200));
  await on({ ...left, [name]: torn }, (place) => {
    const plan = repaired(place, "torn");
    assertEquals([plan.steps, plan.opening.kept.length], [[], 1]);
    assertEquals(plan.nextOffset, 9);
  });
  // A published batch is not a torn tail, so opening refuses the log.
  const files = { ...SOUND, writer: ownerFile(9) };
  await on({ ...files, [name]: PARTS[2]!.log.subarray(0, 300) }, (place) => {
    const plan = repaired(place, "vouched");
    assertEquals(plan.steps.map(({ action }) => action), ["cut"]);
    assertEquals(plan.nextOffset, 8);
  });
});

Deno.test("repairLog() can be repeated after a crash anywhere, and loses no more than the plan said", async () => {
  const name = `${segment(0)}.log`;
  const damaged: Files = { ...SOUND, [name]: flipped(SOUND[name]!, 700) };
  const told = planRepairSync("/log", planOptions(placeOn(diskWith(damaged))));
  assertEquals(told.nextOffset, 2);
  let states = 0;
  const points = await eachCrash(
    diskWith(damaged),
    (place) => {
      const plan = planRepairSync(place.dir, planOptions(place));
      repairLogSync(place.dir, plan, options(place));
    },
    ["none", "all"],
    (left, what) => {
      const place = placeOn(left);
      const plan = planRepairSync(place.dir, planOptions(place));
      repairLogSync(place.dir, plan, options(place));
      assertEquals(faults(place), [], what);
      assertMade(reopened(place), 0, ALL.slice(0, told.nextOffset), what);
      // Every byte that left the log is in a file beside it.
      const cut = place.names().filter((each) => /\.cut/.test(each))
        .map((each) => place.bytes(each));
      const bad = damaged[name]!.subarray(PARTS[0]!.starts[told.nextOffset]);
      for (const lost of [bad, PARTS[1]!.log, PARTS[2]!.log]) {
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

Deno.test("repairLog() syncs a file of the log before it renames or cuts it", async () => {
  const name = `${segment(0)}.log`;
  await on({ ...SOUND, [name]: flipped(SOUND[name]!, 700) }, (place) => {
    const plan = planRepairSync(place.dir, planOptions(place));
    const before = place.storage.trace.length;
    repairLogSync(place.dir, plan, options(place));
    const done = lines(place.storage, before);
    const order = (...wanted: string[]) => {
      const at = wanted.map((each) => done.indexOf(each));
      assert(at.every((i) => i >= 0), `${wanted}: ${done.join(", ")}`);
      assertEquals(at, at.toSorted((a, b) => a - b), done.join(", "));
    };
    order(
      "sync 0.613.0.cut.tmp full",
      "rename 0.613.0.cut.tmp 0.613.0.cut",
      "truncate 0.index 0",
      "sync 0.index full",
      "truncate 0.log 613",
      "sync 0.log full",
    );
    order("truncate 0.log 613", "sync 5.log full", "rename 5.log 5.0.0.cut");
    order(
      "rename 5.log 5.0.0.cut",
      "sync 5.index full",
      "rename 5.index 5.index.0.cut",
    );
  });
});

Deno.test("repairLog() refuses a plan for another state of the log, and the log of a writer", async () => {
  const name = `${segment(0)}.log`;
  await on({ ...SOUND, [name]: flipped(SOUND[name]!, 700) }, async (place) => {
    const plan = await planRepair(place.dir, planOptions(place));
    place.storage.poke(`${place.dir}/${name}`, 0, flipped(SOUND[name]!, 60));
    const before = contents(place);
    const error = await assertRejects(
      () => repairLog(place.dir, plan, options(place)),
      RepairOutdatedError,
    );
    assertEquals(contents(place), before);
    assertEquals(
      await repairLog(place.dir, error.plan, options(place)),
      error.plan,
    );
    const log = openLogSync(place);
    assertThrows(
      () => planRepairSync(place.dir, planOptions(place)),
      LockedError,
    );
    assertThrows(
      () => repairLogSync(place.dir, plan, options(place)),
      LockedError,
    );
    log.closeSync();
  });
});

Deno.test(
  "repairLog() cuts damage of a log left open that recovery would not read",
  {
    ignore: !FILES,
  },
  () => {
    const dir = Deno.makeTempDirSync();
    const [open, left] = [`${dir}/open`, `${dir}/left`];
    try {
      {
        using log = Log.openSync(open);
        const payload = new Uint8Array(1 << 20).fill(7);
        for (let i = 0; i < 40; i++) {
          log.append(payload);
          log.flushSync();
        }
        Deno.mkdirSync(left);
        for (const { name, isFile } of Deno.readDirSync(open)) {
          if (isFile) Deno.copyFileSync(`${open}/${name}`, `${left}/${name}`);
        }
      }
      const path = `${left}/${segment(0)}.log`;
      using file = Deno.openSync(path, { write: true });
      file.seekSync(3.5 * 2 ** 20, Deno.SeekMode.Start);
      file.writeSync(new Uint8Array([1]));

      const [fault, ...others] = [...verifyLogSync(left)];
      assertEquals(others, []);
      assertEquals(fault?.message.includes("opening cuts it"), false);
      const plan = planRepairSync(left);
      assertEquals([plan.nextOffset, plan.lostMessages], [3, 36]);
      assertEquals(repairLogSync(left, plan), plan);
      assertEquals([...verifyLogSync(left)], []);
    } finally {
      Deno.removeSync(dir, { recursive: true });
    }
  },
);
