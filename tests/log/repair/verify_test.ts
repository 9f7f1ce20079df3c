import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  type LogFault,
  verifyLog,
  verifyLogSync,
  type VerifyProgress,
} from "../../../lib/log/mod.ts";
import {
  diskWith,
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
  TIME,
} from "../recovery/_support.ts";
import {
  appendSome,
  at,
  DiskPlace,
  HEADER,
  openLog,
  type Place,
  segment,
} from "../_support.ts";
import { FILES } from "../../permissions.ts";

/** Returns the faults, and how many messages were good. */
function verified(place: Place): { faults: LogFault[]; good: number } {
  let last: VerifyProgress | undefined;
  const faults = [...verifyLogSync(place.dir, {
    storage: place.storage,
    pool: place.pool,
    onProgress: (progress) => last = { ...progress },
  })];
  assertEquals(last!.faults, faults.length);
  return { faults, good: last!.messages };
}

const LENGTHS = [0, 5, 40, 1, 300];
const TIMES = (offset: number): number => TIME + offset;
const FIRST = make(0, LENGTHS, TIMES);
const SECOND = make(5, [17, 0, 9], TIMES);
const SOUND = filesOf(FIRST, SECOND);

/** Formats a fault: number of its segment, kind, position, length, offset. */
function brief({ path, kind, position, byteLength, offset }: LogFault): string {
  const name = path.replace(/^.*\/0{0,19}/, "");
  return `${name} ${kind} ${position}+${byteLength} ${offset}`;
}

function briefly(files: Files): Promise<string[]> {
  return on(files, (place) => verified(place).faults.map(brief));
}

Deno.test("verifyLog() of a sound log has no faults: closed, open, left open, empty", async () => {
  await on(SOUND, (place) => {
    assertEquals(verified(place), { faults: [], good: 8 });
  });
  const open = {
    ...filesOf(FIRST),
    ...LEFT_OPEN,
    // The index lags and is padded, and the log has prepared space.
    [`${segment(5)}.log`]: joined(SECOND.log, new Uint8Array(3000)),
    [`${segment(5)}.index`]: new Uint8Array(100),
  };
  await on(open, (place) => {
    assertEquals(verified(place), { faults: [], good: 8 });
  });
  await on(filesOf(make(7, [])), (place) => {
    assertEquals(verified(place), { faults: [], good: 0 });
  });
});

Deno.test("verifyLog() finds every flipped byte of a closed log as one fault that covers it, and every other batch good", () => {
  let flips = 0;
  for (const name of Object.keys(SOUND).filter((name) => name !== "meta")) {
    const bytes = SOUND[name]!;
    const place = placeOn(diskWith(SOUND));
    for (let position = 0; position < bytes.length; position++) {
      place.storage.poke(`${place.dir}/${name}`, 0, flipped(bytes, position));
      const { faults, good } = verified(place);
      const what = `${name} byte ${position}: ${faults.map(brief).join(", ")}`;
      assertEquals(faults.length, 1, what);
      const { path, position: from, byteLength } = faults[0]!;
      assert(path.endsWith(name), what);
      assert(from <= position && position < from + byteLength, what);
      assertEquals(good, name.endsWith(".log") ? 7 : 8, what);
      flips++;
    }
    place.storage.poke(`${place.dir}/${name}`, 0, bytes);
  }
  console.log(`${flips} bytes flipped`);
});

Deno.test("verifyLog() finds every batch after damage, with a wrong index or without one", () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat({ max: 90 }), { minLength: 1, maxLength: 12 }),
      fc.uniqueArray(fc.nat({ max: 11 }), { maxLength: 5 }),
      fc.constantFrom("right", "wrong", "none"),
      fc.nat(),
      (lengths, damaged, index, at) => {
        const made = make(3, lengths);
        const bad = damaged.filter((i) => i < lengths.length);
        let log = made.log;
        for (const i of bad) {
          const size = made.starts[i + 1]! - made.starts[i]!;
          log = flipped(log, made.starts[i]! + at % size);
        }
        const files: Files = {
          [`${segment(3)}.log`]: log,
          meta: metaFile(3),
        };
        if (index !== "none") {
          files[`${segment(3)}.index`] = index === "right"
            ? made.index
            : indexOf(lengths.map((_, i) => [3 + i, TIME, 77 * i + 9]));
        }
        const place = placeOn(diskWith(files));
        const { faults, good } = verified(place);
        assertEquals(good, lengths.length - bad.length);
        // Each run of damaged messages is one fault.
        const runs = bad.filter((i) => !bad.includes(i - 1)).sort((a, b) =>
          a - b
        );
        assertEquals(
          faults.filter(({ path }) => path.endsWith(".log")).map((each) => [
            each.position,
            each.offset,
          ]),
          runs.map((i) => [made.starts[i], 3 + i]),
        );
      },
    ),
    { numRuns: 300 },
  );
});

Deno.test("verifyLog() does not count a batch inside the payload of a damaged one", async () => {
  const inner = make(2, [9]).log;
  const made = make(0, [3, inner.length, 5, 6]);
  const log = made.log.slice();
  log.set(inner, made.starts[1]! + HEADER);
  // Its checksum is that of another payload.
  const files = { ...filesOf(made), [`${segment(0)}.log`]: log };
  await on(files, (place) => {
    const { faults, good } = verified(place);
    assertEquals([faults.map(brief), good], [
      [`0.log frame checksum ${made.starts[1]}+${HEADER + inner.length} 1`],
      3,
    ]);
  });
});

Deno.test("verifyLog() finds a batch that is missing or duplicated within a segment", async () => {
  const made = make(0, [3, 4, 5, 6]);
  const [, one, two, three] = made.starts as [number, number, number, number];
  const { log } = made;
  const missing = joined(log.subarray(0, two), log.subarray(three));
  const twice = joined(
    log.subarray(0, two),
    log.subarray(one, two),
    log.subarray(two),
  );
  const faultsOf = (log: Uint8Array) =>
    on(
      { [`${segment(0)}.log`]: log, ...LEFT_OPEN },
      (place) => verified(place).faults.map(brief),
    );
  assertEquals(await faultsOf(missing), [`0.log offset ${two}+0 2`]);
  assertEquals(await faultsOf(twice), [
    `0.log offset ${two}+${two - one} 2`,
  ]);
});

Deno.test("verifyLog() finds gaps, overlaps, unpaired files and strange names", async () => {
  const log = (first: number) => `${segment(first)}.log`;
  const index = (first: number) => `${segment(first)}.index`;
  const without = (...names: string[]): Files =>
    Object.fromEntries(
      Object.entries(SOUND).filter(([name]) => !names.includes(name)),
    );
  const empty = new Uint8Array(0);
  assertEquals(await briefly(filesOf(FIRST, make(6, [1], () => 2 * TIME))), [
    "6.log gap 0+0 5",
  ]);
  assertEquals(await briefly(filesOf(FIRST, make(3, [1], () => 2 * TIME))), [
    "3.log overlap 0+0 5",
  ]);
  // The index is a cache, so it may be missing.
  assertEquals(await briefly(without(index(0))), []);
  assertEquals(await briefly({ ...SOUND, [index(5)]: empty }), []);
  assertEquals(await briefly(without(log(5))), ["5.index missing 0+0 5"]);
  assertEquals(await briefly(without(log(0))), [
    "0.index missing 0+0 0",
    "5.log gap 0+0 0",
  ]);
  // What an incomplete truncation or creation of a segment leaves.
  assertEquals(await briefly({ ...without(log(0)), meta: metaFile(5) }), []);
  assertEquals(await briefly({ ...without(index(0)), meta: metaFile(5) }), []);
  assertEquals(await briefly({ ...SOUND, [log(8)]: empty }), []);
  assertEquals(await briefly({ ...SOUND, [index(8)]: empty }), [
    "8.index missing 0+0 8",
  ]);
  const begun = { ...SOUND, [index(8)]: empty, writer: ownerFile(8) };
  assertEquals(await briefly(begun), []);
  assertEquals(await briefly({ ...SOUND, [index(8)]: SECOND.index }), [
    "8.index missing 0+0 8",
  ]);
  // An empty segment that is not the last.
  const { [log(0)]: _, ...rest } = without(index(0));
  assertEquals(await briefly({ ...rest, [log(0)]: empty }), [
    "5.log gap 0+0 0",
  ]);
  const three = new Uint8Array(3);
  assertEquals(
    await briefly({
      ...SOUND,
      "7.log": three,
      notes: three,
      [`${segment(0)}.5.0.cut`]: three,
      [`${segment(0)}.log.tmp`]: three,
    }),
    ["7.log name 0+0 0"],
  );
  // Three bytes where a segment should be.
  assertEquals(
    await briefly({ [log(0)]: new Uint8Array([1, 2, 3]), [index(0)]: empty }),
    ["0.log torn 0+3 0"],
  );
  assertEquals(await briefly({ meta: metaFile(4) }), ["4.log missing 0+0 4"]);
  assertEquals(await briefly({ ...filesOf(FIRST), meta: metaFile(9) }), [
    "0.log gap 0+0 5",
  ]);
});

Deno.test("verifyLog() finds zeros at the end of a closed log, wrong entries, and a time that goes back", async () => {
  const index = `${segment(5)}.index`;
  const bytes = SECOND.index;
  assertEquals(
    await briefly({
      ...SOUND,
      [`${segment(5)}.log`]: joined(SECOND.log, new Uint8Array(500)),
    }),
    [`5.log torn ${SECOND.log.length}+500 8`],
  );
  assertEquals(await briefly({ ...SOUND, [index]: bytes.subarray(0, 20) }), [
    "5.index index 0+20 5",
  ]);
  assertEquals(
    await briefly({ ...SOUND, [index]: joined(bytes, new Uint8Array(24)) }),
    ["5.index index 24+24 5"],
  );
  // A log that came back shorter than its index says.
  const more = indexOf([[5, TIME + 5, 0], [8, TIME + 8, SECOND.log.length]]);
  assertEquals(await briefly({ ...SOUND, [index]: more }), [
    "5.index index 24+24 5",
  ]);
  const back = make(5, [1, 1], () => 5);
  assertEquals(await briefly(filesOf(FIRST, back)), [
    `5.log timestamp 0+${HEADER + 1} 5`,
  ]);
  const within = make(0, [1, 1, 1], (offset) => TIME - offset % 2);
  assertEquals(await briefly(filesOf(within)), [
    `0.log timestamp ${HEADER + 1}+${HEADER + 1} 1`,
  ]);
});

Deno.test("verifyLog() finds damage in a log that was left open", async () => {
  const files = {
    ...SOUND,
    ...LEFT_OPEN,
    [`${segment(5)}.log`]: joined(
      flipped(SECOND.log, HEADER + 3),
      new Uint8Array(500),
    ),
  };
  assertEquals(await briefly(files), [
    `5.log frame checksum 0+${HEADER + 17} 5`,
  ]);
  // A torn tail is a fault as well, but a different one from damage that opening refuses.
  const torn = SECOND.log.subarray(0, -1);
  for (
    const [durable, isCut] of [[0, true], [7, true], [8, false]] as const
  ) {
    await on({
      ...SOUND,
      writer: ownerFile(durable),
      [`${segment(5)}.log`]: torn,
    }, (place) => {
      const { faults } = verified(place);
      assertEquals(faults.map(({ kind }) => kind), ["torn"]);
      assertEquals(faults[0]!.message.includes("opening cuts it"), isCut);
    });
  }
});

Deno.test("verifyLog() refuses a directory without a log, and the async and sync versions report the same", async () => {
  await on({ notes: new Uint8Array(3) }, async (place) => {
    const options = { storage: place.storage, pool: place.pool };
    assertThrows(
      () => [...verifyLogSync(place.dir, options)],
      Deno.errors.NotFound,
    );
    await assertRejects(
      () => Array.fromAsync(verifyLog(place.dir, options)),
      Deno.errors.NotFound,
    );
  });
  await on(filesOf(FIRST, make(6, [1], TIMES)), async (place) => {
    const options = { storage: place.storage, pool: place.pool };
    const faults = await Array.fromAsync(verifyLog(place.dir, options));
    assertEquals(faults, [...verifyLogSync(place.dir, options)]);
    // Leaving the loop closes the files and returns the memory.
    for await (const _ of verifyLog(place.dir, options)) break;
  });
});

Deno.test(
  "verifyLog() of a log that is being written on a disk has no faults, and changes nothing",
  { ignore: !FILES },
  () =>
    at(new DiskPlace(), async (place) => {
      const log = await openLog(place, { prepareBytes: 1 << 20 });
      try {
        appendSome(log, 500, 300);
        await log.flush();
        appendSome(log, 100, 300);
        await log.flush({ durability: "none" });
        const before = place.names();
        assertEquals(verified(place).faults, []);
        assert(verified(place).good >= 500);
        assertEquals(place.names(), before);
      } finally {
        await log.close();
      }
      assertEquals(verified(place), { faults: [], good: 600 });
    }),
);
