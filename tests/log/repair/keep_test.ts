/** Which segments a repair keeps where they do not connect. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  planRepairSync,
  RepairChoiceError,
  repairLogSync,
  verifyLogSync,
} from "../../../lib/log/mod.ts";
import { segment } from "../_support.ts";
import {
  assertMade,
  diskWith,
  eachCrash,
  type Files,
  filesOf,
  make,
  ownerFile,
  placeOn,
  reopened,
} from "../recovery/_support.ts";

const LENGTHS = [10, 20, 30];
const [A, B, C, D] = [0, 3, 6, 9].map((first) => make(first, LENGTHS));

/** A copy that was made during a truncation: its first segment connects to nothing. */
const COPIED: Files = filesOf(A!, C!, D!);

Deno.test("planRepair() refuses to choose between segments that do not connect, and says what each choice costs", () => {
  const { dir, storage, pool } = placeOn(diskWith(COPIED));
  const before = storage.hash();
  const error = assertThrows(
    () => planRepairSync(dir, { storage, pool }),
    RepairChoiceError,
  );
  const { oldest, newest } = error;
  assertEquals([oldest.firstOffset, oldest.nextOffset, oldest.lostMessages], [
    0,
    3,
    6,
  ]);
  assertEquals([newest.firstOffset, newest.nextOffset, newest.lostMessages], [
    6,
    12,
    3,
  ]);
  assert(/6 valid messages are lost.*3 valid messages/.test(error.message));
  assertEquals(storage.hash(), before);
});

for (const isLeftOpen of [false, true]) {
  const files = {
    ...COPIED,
    ...isLeftOpen ? { writer: ownerFile(12) } : {},
  };
  const what = isLeftOpen ? "left open" : "closed";

  Deno.test(`repairLog() with keep "newest" of a log that was ${what} keeps the last segments that connect, and all bytes`, () => {
    const place = placeOn(diskWith(files));
    const { dir, storage, pool } = place;
    const options = { storage, pool };
    const plan = planRepairSync(dir, { ...options, keep: "newest" });
    assertEquals(repairLogSync(dir, plan, options).lostMessages, 3);
    assertEquals([...verifyLogSync(dir, options)], []);
    assertEquals(planRepairSync(dir, options).needed, false);
    assertMade(reopened(place), 6, [...LENGTHS, ...LENGTHS]);
    assertEquals(place.bytes(`${segment(0)}.0.0.cut`), A!.log);
    assertEquals(place.bytes(`${segment(0)}.index.0.cut`), A!.index);
  });

  Deno.test(`repairLog() with keep "oldest" of a log that was ${what} keeps the first segments that connect`, () => {
    const place = placeOn(diskWith(files));
    const { dir, storage, pool } = place;
    const options = { storage, pool };
    const plan = planRepairSync(dir, { ...options, keep: "oldest" });
    repairLogSync(dir, plan, options);
    assertEquals([...verifyLogSync(dir, options)], []);
    assertMade(reopened(place), 0, LENGTHS);
    assertEquals(place.bytes(`${segment(6)}.0.0.cut`), C!.log);
  });
}

Deno.test("planRepair() with keep 'newest' begins after a damaged segment, and changes nothing where all connect", () => {
  const damaged = filesOf(A!, B!, C!, D!);
  const name = `${segment(3)}.log`;
  damaged[name] = damaged[name]!.slice().fill(1, 10, 20);
  const { dir, storage, pool } = placeOn(diskWith(damaged));
  const options = { storage, pool, keep: "newest" } as const;
  const plan = planRepairSync(dir, options);
  assertEquals([plan.firstOffset, plan.nextOffset], [6, 12]);
  const sound = placeOn(diskWith(filesOf(A!, B!, C!)));
  const whole = planRepairSync(sound.dir, {
    ...options,
    storage: sound.storage,
  });
  assertEquals(whole.needed, false);
});

Deno.test("repairLog() with keep 'newest' loses no more than the plan said after a crash anywhere", async () => {
  await eachCrash(
    diskWith(COPIED),
    ({ dir, storage, pool }) => {
      const options = { storage, pool };
      const plan = planRepairSync(dir, { ...options, keep: "newest" });
      repairLogSync(dir, plan, options);
    },
    ["none", "all"],
    (left, what) => {
      const place = placeOn(left);
      const options = { storage: left, pool: place.pool };
      const plan = planRepairSync(place.dir, { ...options, keep: "newest" });
      repairLogSync(place.dir, plan, options);
      assertMade(reopened(place), 6, [...LENGTHS, ...LENGTHS], what);
      const kept = place.names().filter((each) => each.endsWith("0.0.cut"));
      assert(kept.length > 0, `${what}: nothing was kept`);
    },
  );
});
