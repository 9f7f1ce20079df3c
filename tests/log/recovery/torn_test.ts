/**
 * Only a torn tail is cut, and its bytes are kept first. Other damage stays as it is:
 * docs/format.md#open-torn-tail, docs/format.md#open-keep-cut, docs/format.md#open-corrupt.
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { LogReader, planRepairSync } from "../../../lib/log/mod.ts";
import { CorruptSegmentError } from "../../../lib/segment/mod.ts";
import { NoSpaceError } from "../../../lib/storage/mod.ts";
import {
  appendSome,
  drainSync,
  HEADER,
  INDEX,
  KIB,
  LOG,
  MIB,
  openLog,
  openLogSync,
  payload,
  segment,
  SimulatedPlace,
} from "../_support.ts";
import {
  assertBytes,
  assertMade,
  DIR,
  diskWith,
  type Files,
  flipped,
  indexOf,
  LEFT_OPEN,
  make,
  on,
  ownerFile,
  patched,
  placeOn,
  reopened,
  TIME,
  withLog,
} from "./_support.ts";
import { isDrawn } from "../../cases.ts";

/** Name of the file that keeps what is cut from a position. */
const cutName = (position: number, n = 0) =>
  `${segment(0)}.${position}.${n}.cut`;

// The last batch begins in one block and ends in the next one.
const LENGTHS = [100, 0, 1, 700, 63, 500, 64, 900];
const MADE = make(0, LENGTHS);
const SIZE = MADE.log.length;
assert(SIZE > 4096 && MADE.starts[7]! < 4096);

/** Returns how many batches end at or before a position. */
const wholeUpTo = (position: number) =>
  MADE.starts.slice(1).filter((end) => end <= position).length;

/**
 * Opens a log with this `.log` and an empty index. Checks what is left of it and what was kept, and
 * that the log works from there.
 */
function assertCut(log: Uint8Array, count: number, what: string): void {
  const files = { ...LEFT_OPEN, [LOG]: log, [INDEX]: new Uint8Array(0) };
  const place = placeOn(diskWith(files));
  const end = MADE.starts[count]!;
  const cut = log.subarray(end);
  const isKept = cut.some((byte) => byte !== 0);
  const name = cutName(end);
  withLog(place, (opened) => {
    const { opening } = opened.stats();
    const [report] = opening.recovered;
    assertEquals(report!.end, end, what);
    assertEquals(report!.cutBytes, log.length - end, what);
    assertEquals(report!.isKept, isKept, what);
    assertEquals(opening.kept, isKept ? [`${DIR}/${name}`] : [], what);
    assertMade(drainSync(opened), 0, LENGTHS.slice(0, count), what);
    if (isKept) {
      // Zeros at the end of a kept file may be left out.
      const kept = place.bytes(name);
      assertBytes(kept, cut.subarray(0, kept.length), what);
      assert(cut.subarray(kept.length).every((byte) => byte === 0), what);
    } else assert(!place.names().includes(name), what);
    assertEquals(appendSome(opened, 1, 30), count, what);
  });
  assertMade(reopened(place), 0, [...LENGTHS.slice(0, count), 30], what);
}

Deno.test("Log.open() cuts a tail torn off at any byte", () => {
  for (let length = 0; length <= SIZE; length++) {
    // Every byte of the first batches, of the last two, and of their block.
    if (length > 700 && length < MADE.starts[6]! || !isDrawn(1 / 4)) continue;
    const log = MADE.log.slice(0, length);
    assertCut(log, wholeUpTo(length), `${length} bytes`);
  }
});

Deno.test("Log.open() cuts a tail that turns into zeros at any byte of the last batch or block", () => {
  for (let from = MADE.starts[6]!; from < SIZE; from++) {
    if (!isDrawn(1 / 4)) continue;
    const log = MADE.log.slice();
    log.fill(0, from);
    // Some of its zeros may be part of the batch.
    let same = from;
    while (same < SIZE && MADE.log[same] === 0) same++;
    assertCut(log, wholeUpTo(same), `zeros from ${from}`);
  }
});

Deno.test("Log.open() cuts a tail that turns into old bytes at any byte of the last batch or block", () => {
  const noise = payload(99, SIZE);
  for (let from = MADE.starts[6]!; from < SIZE; from += 3) {
    const log = patched(MADE.log, from, noise.subarray(from));
    assertCut(log, wholeUpTo(from), `noise from ${from}`);
  }
});

Deno.test("Log.open() keeps what follows a flipped byte anywhere in the scanned part, then cuts it", () => {
  for (let at = 0; at < SIZE; at++) {
    // Every byte of the last two batches, and of the first.
    if (at > 700 && at < MADE.starts[6]! && at % 7 > 0) continue;
    if (!isDrawn(1 / 4)) continue;
    assertCut(flipped(MADE.log, at), wholeUpTo(at), `byte ${at}`);
  }
});

Deno.test("Log.open() keeps what follows a block that a crash left out, then cuts it", () => {
  for (let block = 0; block < Math.ceil(SIZE / 4096); block++) {
    const torn = MADE.log.slice();
    torn.fill(0, 4096 * block, Math.min(4096 * (block + 1), SIZE));
    assertCut(torn, wholeUpTo(4096 * block), `block ${block}`);
  }
});

Deno.test("Log.open() refuses to cut what an index entry or the durable offset vouches for, and changes nothing", async () => {
  const vouched: [Files, number][] = [
    ...[0, 1, 4, 7].map((i): [Files, number] => [
      {
        [INDEX]: indexOf(
          [[0, TIME, 0], [i, TIME, MADE.starts[i]!]].slice(i === 0 ? 1 : 0) as [
            number,
            number,
            number,
          ][],
        ),
      },
      i + 1,
    ]),
    ...[0, 1, 5, 8].map((offset): [Files, number] => [
      { [INDEX]: new Uint8Array(0), writer: ownerFile(offset) },
      offset,
    ]),
  ];
  for (const [evidence, vouchedCount] of vouched) {
    for (const at of [0, 8, 300, ...MADE.starts.slice(1, -1), SIZE - 1]) {
      const files = { ...LEFT_OPEN, ...evidence, [LOG]: flipped(MADE.log, at) };
      const count = wholeUpTo(at);
      await on(files, (place) => {
        const what = `${vouchedCount} vouched, byte ${at}`;
        const before = place.storage.hash();
        if (count >= vouchedCount) {
          assertMade(reopened(place), 0, LENGTHS.slice(0, count), what);
          return;
        }
        const error = assertThrows(
          () => openLogSync(place),
          CorruptSegmentError,
        );
        assertEquals([error.position, error.offset], [
          MADE.starts[count],
          count,
        ], what);
        assertEquals(place.storage.hash(), before, what);
        // A reader and a repair agree.
        const options = { storage: place.storage, pool: place.pool };
        const reader = new LogReader(DIR, options);
        assertThrows(() => drainSync(reader), CorruptSegmentError);
        const plan = planRepairSync(DIR, options);
        assertEquals([plan.steps[0]?.action, plan.nextOffset], ["cut", count]);
        assertEquals(place.storage.hash(), before, what);
      });
    }
  }
});

Deno.test("Log.open() never overwrites what was kept", () => {
  const files: Files = {
    ...LEFT_OPEN,
    [LOG]: flipped(MADE.log, 10),
    [INDEX]: new Uint8Array(0),
    [cutName(0)]: payload(1, 77),
    [cutName(0, 1)]: payload(2, 78),
  };
  return on(files, (place) => {
    withLog(place, (log) => {
      const { kept, foreign } = log.stats().opening;
      assertEquals(kept, [`${DIR}/${cutName(0, 2)}`]);
      assertEquals(foreign, []);
    });
    for (const n of [0, 1]) {
      assertBytes(place.bytes(cutName(0, n)), files[cutName(0, n)]!);
    }
    assertBytes(place.bytes(cutName(0, 2)), files[LOG]!);
  });
});

Deno.test("Log.open() makes what it keeps durable before it cuts anything", () => {
  const disk = diskWith({
    ...LEFT_OPEN,
    [LOG]: flipped(MADE.log, 500),
    [INDEX]: new Uint8Array(0),
  });
  const place = new SimulatedPlace(disk);
  const from = MADE.starts[1]!;
  let seen = 0;
  disk.onOperation(({ kind, path }) => {
    if (kind !== "truncate" || !path.endsWith(".log")) return;
    seen++;
    const left = disk.crashState("none");
    assertBytes(
      left.peek(`${DIR}/${cutName(from)}`),
      flipped(MADE.log, 500).subarray(from),
    );
  });
  openLogSync(place).closeSync();
  assertEquals(seen > 0, true);
  place.pool.close();
});

Deno.test("Log.open() without room for what it would cut is NoSpaceError, and changes nothing", async () => {
  const files = {
    ...LEFT_OPEN,
    [LOG]: flipped(MADE.log, 500),
    [INDEX]: new Uint8Array(0),
    [`${segment(9)}.log.tmp`]: new Uint8Array(1),
  };
  for (const kind of ["write", "open", "truncate"] as const) {
    await on(files, (place) => {
      const before = place.storage.hash();
      place.storage.onOperation((each) =>
        each.kind === kind && each.path.endsWith(".cut.tmp")
          ? { error: kind === "truncate" ? "EIO" : "ENOSPC" }
          : undefined
      );
      const error = assertThrows(() => openLogSync(place), Error);
      if (kind === "write") assert(error instanceof NoSpaceError);
      assertEquals(place.storage.hash(), before, kind);
    });
  }
});

/**
 * Makes a segment of a batch, a damaged region of a given size, and a valid batch with a payload of
 * a given length.
 */
function damagedRegion(
  region: number,
  behind: number,
): { files: Files; log: Uint8Array } {
  const made = make(0, [50, region - HEADER, behind]);
  const log = flipped(made.log, made.starts[1]! + HEADER + 6);
  return {
    files: { ...LEFT_OPEN, [LOG]: log, [INDEX]: new Uint8Array(0) },
    log,
  };
}

Deno.test("Log.open() salvages a valid batch 16 MiB after the bad one, and refuses one farther", async () => {
  for (const behind of [0, 5000]) {
    for (const more of [-1, 0]) {
      const { files, log } = damagedRegion(16 * MIB + more, behind);
      await on(files, (place) => {
        assertMade(reopened(place), 0, [50]);
        assertBytes(place.bytes(cutName(354)), log.subarray(354));
      });
    }
    for (const more of [1, 100, 3 * MIB]) {
      const { files } = damagedRegion(16 * MIB + more, behind);
      await on(files, async (place) => {
        const before = place.storage.hash();
        const error = assertThrows(
          () => openLogSync(place),
          CorruptSegmentError,
        );
        assertEquals(error.path, `${DIR}/${LOG}`);
        assertEquals([error.position, error.offset, error.kind], [
          354,
          1,
          "frame checksum",
        ]);
        assertEquals(place.storage.hash(), before);
        await assertRejects(() => openLog(place), CorruptSegmentError);
        assertEquals(place.storage.hash(), before);
      });
    }
  }
});

Deno.test("Log.open() refuses a hole of zeros farther than 16 MiB before a valid batch, indexed or not", async () => {
  const lengths = Array.from({ length: 40 }, () => MIB - HEADER);
  const made = make(0, lengths);
  for (const indexed of [0, 1, 20, 39]) {
    // Messages 22 to 38 are missing.
    const log = made.log.slice();
    log.fill(0, 22 * MIB, 39 * MIB);
    const files = {
      ...LEFT_OPEN,
      [LOG]: log,
      [INDEX]: made.index.slice(0, 24 * indexed),
    };
    await on(files, (place) => {
      const before = place.storage.hash();
      const error = assertThrows(() => openLogSync(place), CorruptSegmentError);
      assertEquals([error.position, error.offset], [22 * MIB, 22]);
      assertEquals(place.storage.hash(), before);
    });
  }
});

const LARGE = [
  512 * KIB - HEADER,
  512 * KIB,
  MIB - HEADER - 1,
  MIB - HEADER,
  MIB - HEADER + 1,
  MIB,
  3 * MIB + 7,
  20 * MIB,
];

Deno.test("Log.open() keeps a large batch after the torn one", async () => {
  for (const length of LARGE) {
    for (const before of [0, 100_000]) {
      const made = make(0, [50, before, length]);
      const log = flipped(made.log, made.starts[1]! + 20);
      for (const isWhole of [true, false]) {
        const left = isWhole ? log : log.subarray(0, -1);
        await on({ ...LEFT_OPEN, [LOG]: left }, (place) => {
          assertMade(reopened(place), 0, [50]);
          assertBytes(place.bytes(cutName(354)), left.subarray(354));
        });
      }
    }
  }
});

Deno.test("Log.open() refuses a large batch farther than 16 MiB after the torn one", async () => {
  for (const length of [MIB - HEADER + 1, 3 * MIB + 7, 20 * MIB]) {
    const { files } = damagedRegion(16 * MIB + 1000, length);
    await on(files, (place) => {
      const before = place.storage.hash();
      assertThrows(() => openLogSync(place), CorruptSegmentError);
      assertEquals(place.storage.hash(), before);
    });
  }
});
