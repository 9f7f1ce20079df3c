/** Recovery handles a crash during recovery like any other: docs/format.md#open-crash-again. */
import { assert, assertEquals } from "@std/assert";
import type { SimulatedDisk } from "@basalt/io/testing";
import {
  drainSync,
  HEADER,
  openLog,
  openLogSync,
  payload,
  type Read,
  segment,
} from "../_support.ts";
import {
  assertBytes,
  diskWith,
  eachCrash,
  type Files,
  filesOf,
  flipped,
  joined,
  LEFT_OPEN,
  make,
  metaFile,
  placeOn,
  reopened,
  withLog,
} from "./_support.ts";

const LENGTHS = Array.from({ length: 40 }, (_, i) => 100 * (i % 7));
const FIRST = make(0, LENGTHS);
const SECOND = make(40, LENGTHS);
const THIRD = make(80, LENGTHS);
const WHOLE = filesOf(FIRST, SECOND, THIRD);
const LAST = `${segment(80)}.log`;

function without(files: Files, ...names: string[]): Files {
  return Object.fromEntries(
    Object.entries(files).filter(([name]) => !names.includes(name)),
  );
}

const SCENARIOS: Record<string, Files> = {
  "nothing there": {},
  "a whole log": WHOLE,
  "a whole log that was left open": { ...WHOLE, ...LEFT_OPEN },
  "a torn tail": {
    ...WHOLE,
    [LAST]: THIRD.log.slice(0, -100),
    ...LEFT_OPEN,
  },
  "an imported log": without(WHOLE, "meta"),
  "prepared zeros": {
    ...WHOLE,
    [LAST]: joined(THIRD.log, new Uint8Array(50_000)),
    [`${segment(80)}.index`]: new Uint8Array(0),
    ...LEFT_OPEN,
  },
  "a torn batch with messages to keep": {
    ...WHOLE,
    [LAST]: flipped(THIRD.log, THIRD.starts[20]! + 300),
    ...LEFT_OPEN,
  },
  "lost indexes": {
    ...without(WHOLE, `${segment(0)}.index`, `${segment(80)}.index`),
    ...LEFT_OPEN,
  },
  "a wrong index of a sealed segment": {
    ...WHOLE,
    [`${segment(40)}.index`]: payload(1, 640),
  },
  "a roll that did not complete": {
    ...without(WHOLE, `${segment(80)}.index`),
    [LAST]: new Uint8Array(0),
    [`${segment(80)}.index.tmp`]: new Uint8Array(0),
    ...LEFT_OPEN,
  },
  "a removal that did not complete": {
    ...without(WHOLE, `${segment(0)}.log`),
    meta: metaFile(40),
  },
  "an index of garbage": {
    ...WHOLE,
    [`${segment(80)}.index`]: new Uint8Array(5000).fill(0xff),
    ...LEFT_OPEN,
  },
};

/** What opening leaves: the messages, and the bytes that were kept. */
interface Result {
  messages: Read[];
  kept: Uint8Array[];
}

function resultOf(disk: SimulatedDisk): Result {
  const place = placeOn(disk);
  const messages = withLog(place, (log) => drainSync(log));
  const names = place.names();
  const kept = names.filter((name) => name.includes(".cut"))
    .map((name) => place.bytes(name));
  assertEquals(names.filter((name) => name.endsWith(".tmp")), []);
  // A second opening has nothing to do.
  withLog(place, (log) => assertEquals(log.stats().opening.recovered, []));
  return { messages, kept };
}

function assertSame(actual: Result, expected: Result, what: string): void {
  assertEquals(actual.messages.length, expected.messages.length, what);
  actual.messages.forEach((message, i) => {
    const wanted = expected.messages[i]!;
    assertEquals(
      [message.offset, message.id],
      [wanted.offset, wanted.id],
      what,
    );
    assertBytes(message.payload, wanted.payload, what);
  });
  // A crash between keeping and cutting leaves the same copy twice.
  assert(actual.kept.length >= expected.kept.length, what);
  for (const copy of actual.kept) assertBytes(copy, expected.kept[0]!, what);
}

for (const [name, files] of Object.entries(SCENARIOS)) {
  Deno.test(`Log.open() of ${name}: a crash before any operation of opening changes nothing of what the next opening finds`, async () => {
    const disk = diskWith(files, { seed: 7 });
    const expected = resultOf(disk.crashState("none"));
    const operations = await eachCrash(
      disk,
      (place) => openLogSync(place),
      ["none", "all", "random", "random"],
      (left, what) => assertSame(resultOf(left), expected, what),
    );
    assert(operations > 5, `${operations} operations`);
    // Once more with operations in flight, which complete in any order.
    await eachCrash(
      disk,
      async (place) => {
        await openLog(place);
      },
      ["random"],
      (left, what) => assertSame(resultOf(left), expected, `async, ${what}`),
    );
  });
}

Deno.test("Log.open() recovers the same log after any number of crashes during recovery", async () => {
  const disk = diskWith(SCENARIOS["a torn batch with messages to keep"]!);
  const expected = resultOf(disk.crashState("none"));
  for (let seed = 0; seed < 40; seed++) {
    let left = diskWith(SCENARIOS["a torn batch with messages to keep"]!, {
      seed,
    });
    for (let round = 0; round < 5; round++) {
      left.failAt(1 + (seed * 7 + round * 11) % 45, { crash: true });
      try {
        const place = placeOn(left);
        const log = await openLog(place);
        await log.close();
      } catch {
        // The disk crashed.
      }
      left = left.crash("random");
    }
    assertSame(resultOf(left), expected, `seed ${seed}`);
  }
});

Deno.test("Log.open() recovers on a full disk, and the log can be emptied and closed", () => {
  // Every block of the disk is taken, except for the new owner file, kept bytes and index entries.
  const files = {
    ...filesOf(FIRST, SECOND),
    [LAST]: THIRD.log.slice(0, -10),
    [`${segment(80)}.index`]: new Uint8Array(0),
    ...LEFT_OPEN,
  };
  const full = diskWith(files);
  const blocks = full.files().reduce(
    (sum, path) => sum + Math.ceil(full.peek(path).length / 4096),
    0,
  );
  const place = placeOn(
    diskWith(files, { sizeBytes: 4096 * (blocks + 3) }),
  );
  const log = openLogSync(place);
  assertEquals(log.nextOffset, 80 + 39);
  assertEquals(drainSync(log).length, 119);
  log.truncateBeforeSync(80);
  log.append(payload(1, 4096 - HEADER));
  log.closeSync();
  assertEquals(reopened(place).length, 40);
});
