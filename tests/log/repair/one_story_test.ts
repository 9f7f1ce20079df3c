/**
 * Any damage of any file: opening, reading, verifying, inspecting and repairing must agree.
 * docs/format.md#open-clean-close, docs/format.md#open-corrupt, docs/format.md#open-unpaired.
 */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  inspectLogSync,
  LogReader,
  planRepairSync,
  repairLogSync,
  verifyLogSync,
} from "../../../lib/log/mod.ts";
import { drainSync, openLogSync, segment } from "../_support.ts";
import {
  diskWith,
  type Files,
  filesOf,
  flipped,
  joined,
  make,
  ownerFile,
  placeOn,
} from "../recovery/_support.ts";

const LENGTHS = [900, 30, 2000, 70_000, 0];
const SEGMENTS = [0, 5, 10].map((first) => make(first, LENGTHS));
const MESSAGES = 15;
const NAMES = [0, 5, 10].flatMap((first) =>
  ["log", "index"].map((kind) => `${segment(first)}.${kind}`)
);
const CLOSED = filesOf(...SEGMENTS);
/** Every message is durable, as the owner file says. */
const LEFT: Files = { ...CLOSED, writer: ownerFile(MESSAGES) };
/** Nothing was published as durable, and there is prepared space. */
const UNPUBLISHED: Files = {
  ...CLOSED,
  [`${segment(10)}.log`]: joined(SEGMENTS[2]!.log, new Uint8Array(20_000)),
  [`${segment(10)}.index`]: SEGMENTS[2]!.index.slice(0, 24),
  writer: ownerFile(0),
};

/** A kind of damage: what happens to a file, and where, as a fraction of its length. */
interface Damage {
  name: string;
  kind: "flip" | "cut" | "zeros" | "more zeros" | "garbage" | "empty" | "gone";
  where: number;
}

function damaged(files: Files, { name, kind, where }: Damage): Files {
  const bytes = files[name];
  if (bytes === undefined) return files;
  const at = Math.min(Math.floor(where * bytes.length), bytes.length - 1);
  const { [name]: _, ...others } = files;
  switch (kind) {
    case "gone":
      return others;
    case "empty":
      return { ...files, [name]: new Uint8Array(0) };
    case "cut":
      return { ...files, [name]: bytes.slice(0, at) };
    case "zeros":
      return { ...files, [name]: bytes.slice().fill(0, at) };
    case "flip":
      return { ...files, [name]: at < 0 ? bytes : flipped(bytes, at) };
    case "garbage":
      return { ...files, [name]: bytes.slice().fill(0xa5, at, at + 700) };
    case "more zeros":
      return { ...files, [name]: joined(bytes, new Uint8Array(5000)) };
  }
}

const aDamage = fc.record({
  name: fc.constantFrom(...NAMES, ...NAMES, "meta", "writer"),
  kind: fc.constantFrom<Damage["kind"]>(
    "flip",
    "cut",
    "zeros",
    "more zeros",
    "garbage",
    "empty",
    "gone",
  ),
  where: fc.double({ min: 0, max: 1, noNaN: true }),
});

/** Reads everything. Returns how many messages came, and the error at the end if there was one. */
function read(files: Files): { count: number; error: unknown } {
  const { dir, storage, pool } = placeOn(diskWith(files));
  let count = 0;
  try {
    for (const batch of new LogReader(dir, { storage, pool }).readSync()) {
      count += batch.count;
      batch.drop();
    }
    return { count, error: undefined };
  } catch (error) {
    return { count, error };
  }
}

/** Opens and closes a log of these files, and returns the result. */
function opened(
  files: Files,
): { nextOffset: number; sizes: number[]; kept: number } | undefined {
  const place = placeOn(diskWith(files));
  const before = place.storage.hash();
  let log;
  try {
    log = openLogSync(place);
  } catch (error) {
    assert(error instanceof Error, String(error));
    assertEquals(place.storage.hash(), before, "a refused opening changed it");
    return undefined;
  }
  const { nextOffset } = log;
  const kept = log.stats().opening.kept.length;
  log.closeSync();
  const sizes = place.names().filter((name) => name.endsWith(".log"))
    .map((name) => place.bytes(name).length);
  return { nextOffset, sizes, kept };
}

/**
 * Checks that all entry points agree about these files.
 *
 * @param isEndKnown Whether something of the last segment still shows where the log ended.
 */
function check(files: Files, isEndKnown: boolean): void {
  // Without `meta` it may also be a partition that begins later.
  const isClosed = files.writer === undefined && files.meta !== undefined &&
    isEndKnown;
  const after = opened(files);
  const reading = read(files);
  const place = placeOn(diskWith(files));
  const { dir, storage, pool } = place;
  const options = { storage, pool };
  if (inspects(files)) {
    const { opening } = inspectLogSync(dir, options);
    assertEquals(opening.possible, after !== undefined, "inspect and open");
  }
  const faults = inspects(files) ? [...verifyLogSync(dir, options)] : [];
  const keep = files.meta === undefined ? "newest" : "oldest";
  const plan = inspects(files)
    ? planRepairSync(dir, { ...options, keep })
    : undefined;
  if (after === undefined) {
    assert(faults.length > 0, "verify finds nothing, but opening is refused");
    assert(plan!.needed, "repair finds nothing, but opening is refused");
  } else if (isClosed) {
    // Nothing is cut, and no offset is assigned a second time.
    assertEquals(after.kept, 0);
    assertEquals(after.nextOffset, MESSAGES, "a closed log came back shorter");
  }
  if (reading.error !== undefined) {
    assert(faults.length > 0, `verify finds nothing: ${reading.error}`);
    assert(plan!.needed, `repair finds nothing: ${reading.error}`);
  } else if (isClosed) assertEquals(reading.count, MESSAGES, "read ends early");
  if (plan === undefined) return;
  if (!plan.needed) assertEquals(faults, [], "repair finds nothing to do");
  const done = repairLogSync(dir, plan, options);
  assertEquals([...verifyLogSync(dir, options)], [], "after repair");
  assertEquals(planRepairSync(dir, options).needed, false, "after repair");
  const inspection = inspectLogSync(dir, options);
  assert(inspection.opening.possible && inspection.closed, "after repair");
  assertEquals(inspection.nextOffset, done.nextOffset);
  const log = openLogSync(place);
  try {
    assertEquals(log.nextOffset, done.nextOffset);
    assertEquals(drainSync(log).length, log.nextOffset - log.firstOffset);
  } finally {
    log.closeSync();
  }
}

/** Whether anything of a log is left. */
function inspects(files: Files): boolean {
  return Object.keys(files).length > 0;
}

for (
  const [what, files] of Object.entries({
    "a closed log": CLOSED,
    "a log that was left open": LEFT,
    "a log that was left open and published nothing": UNPUBLISHED,
  })
) {
  Deno.test(`Log.open(), reading, verifying, inspecting and repairing agree about any damage of ${what}`, () => {
    fc.assert(
      fc.property(fc.array(aDamage, { minLength: 1, maxLength: 2 }), (all) => {
        const last = all.filter(({ name }) => name.startsWith(segment(10)));
        check(all.reduce(damaged, files), last.length < 2);
      }),
      { numRuns: 150 },
    );
  });
}

Deno.test("Log.open(), reading, verifying, inspecting and repairing agree about a bad tail without an index", () => {
  for (const files of [LEFT, UNPUBLISHED]) {
    const name = `${segment(10)}.log`;
    const bytes = files[name]!;
    const damage = { name: `${segment(10)}.index`, kind: "gone", where: 0 };
    for (const bad of [joined(bytes, bytes), flipped(bytes, 3000)]) {
      check(damaged({ ...files, [name]: bad }, damage as Damage), true);
    }
  }
});

Deno.test("Log.open(), reading, verifying, inspecting and repairing agree about each length of a file", () => {
  const whole = filesOf(make(0, [100, 200]));
  for (
    const kind of [
      "flip",
      "cut",
      "zeros",
      "more zeros",
      "garbage",
      "empty",
    ] as const
  ) {
    for (const name of Object.keys(whole)) {
      for (const where of [0, 0.3, 0.99]) {
        const files = damaged(whole, { name, kind, where });
        const after = opened(files);
        const reading = read(files);
        const { dir, storage, pool } = placeOn(diskWith(files));
        const plan = planRepairSync(dir, { storage, pool });
        const faults = [...verifyLogSync(dir, { storage, pool })];
        const told = JSON.stringify({ kind, name, where, faults, plan });
        assert(after === undefined || after.nextOffset === 2, told);
        if (after === undefined) assert(faults.length > 0 && plan.needed, told);
        if (reading.error) assert(faults.length > 0 && plan.needed, told);
        else assertEquals(reading.count, 2, told);
      }
    }
  }
});
