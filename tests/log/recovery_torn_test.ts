/**
 * Only a torn tail is cut, after it is kept; other damage stays as it is:
 * docs/format.md#open-torn-tail, docs/format.md#open-keep-cut, docs/format.md#open-corrupt.
 */
import { drive, driveSync } from "../../lib/base/mod.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { TaskFile } from "../../lib/storage/mod.ts";
import { CorruptSegment, hasMessageBehind } from "../../lib/segment/mod.ts";
import { SeededRandom, SimulatedDisk } from "@basalt/io/testing";
import {
  appendSome,
  drainSync,
  HEADER,
  KIB,
  MIB,
  openLog,
  openLogSync,
  payload,
  segment,
  SimulatedPlace,
  testPool,
} from "./support.ts";
import {
  assertBytes,
  assertMade,
  DIR,
  diskWith,
  type Files,
  filesOf,
  flipped,
  joined,
  make,
  MARK,
  on,
  patched,
  placeOn,
  reopened,
  withLog,
} from "./recovery_support.ts";

const LOG = `${segment(0)}.log`;
const INDEX = `${segment(0)}.index`;
const CUT = `${segment(0)}.cut`;

// The last message begins in one block and ends in the next one.
const LENGTHS = [100, 0, 1, 700, 63, 2700, 64, 900];
const MADE = make(0, LENGTHS);
const SIZE = MADE.log.length;
assert(SIZE > 4096 && MADE.starts[7]! < 4096);

/** How many messages end at or before a position. */
const wholeUpTo = (position: number) =>
  MADE.starts.slice(1).filter((end) => end <= position).length;

/** Opens a log with this `.log` and an index for its first `indexed` messages; checks what is left of it, and that it goes on from there. */
function assertCut(
  log: Uint8Array,
  indexed: number,
  count: number,
  kept: boolean,
  what: string,
): void {
  const files = {
    [LOG]: log,
    [INDEX]: MADE.index.slice(0, 16 * indexed),
    ...MARK,
  };
  const place = placeOn(diskWith(files));
  const end = MADE.starts[count]!;
  withLog(place, (opened) => {
    const { opening } = opened.stats();
    const [report] = opening.recovered;
    assertEquals(report!.end, end, what);
    assertEquals(report!.cutBytes, log.length - end, what);
    assertEquals(report!.kept, kept, what);
    assertEquals(opening.kept, kept ? [`${DIR}/${CUT}`] : [], what);
    assertMade(drainSync(opened), 0, LENGTHS.slice(0, count), what);
    if (kept) {
      const from = end - end % 4096;
      assertBytes(place.bytes(CUT), log.slice(from), what);
    } else assert(!place.names().includes(CUT), what);
    assertEquals(appendSome(opened, 1, 30), count, what);
  });
  assertMade(reopened(place), 0, [...LENGTHS.slice(0, count), 30], what);
}

Deno.test("Opening, rule 2: a tail torn off at any byte is cut", () => {
  for (let length = 0; length <= SIZE; length++) {
    // Every byte of the first messages, and of the last two and their block.
    if (length > 300 && length < MADE.starts[6]!) continue;
    const log = MADE.log.slice(0, length);
    const count = wholeUpTo(length);
    assertCut(log, count, count, false, `${length} bytes`);
  }
});

Deno.test("Opening, rule 2: a tail that turns into zeros at any byte of the last message or block is cut", () => {
  for (let from = MADE.starts[6]!; from < SIZE; from++) {
    const log = MADE.log.slice();
    log.fill(0, from);
    // Its zeros may be those of its message.
    let same = from;
    while (same < SIZE && MADE.log[same] === 0) same++;
    const count = wholeUpTo(same);
    assertCut(log, 0, count, false, `zeros from ${from}`);
  }
});

Deno.test("Opening, rule 2: a tail that turns into old bytes at any byte of the last message or block is cut", () => {
  const noise = payload(99, SIZE);
  for (let from = MADE.starts[6]!; from < SIZE; from += 3) {
    const log = patched(MADE.log, from, noise.subarray(from));
    assertCut(log, 2, wholeUpTo(from), false, `noise from ${from}`);
  }
});

Deno.test("Opening, rule 2: a flipped byte anywhere in the walked part: what is valid behind it is kept before it is cut", () => {
  for (let at = 0; at < SIZE; at++) {
    // Every byte of the last two, and of all headers but one.
    if (at > 400 && at < MADE.starts[6]! && at % 7 > 0) continue;
    const count = wholeUpTo(at);
    const kept = count < LENGTHS.length - 1;
    assertCut(flipped(MADE.log, at), count, count, kept, `byte ${at}`);
  }
});

Deno.test("Opening, rule 2: a block that a crash left out: the messages behind it are kept before they are cut", async () => {
  const lengths = [3000, 3000, 3000, 3000, 10];
  const { log, index, starts } = make(0, lengths);
  const blocks = Math.ceil(log.length / 4096);
  for (let block = 0; block < blocks; block++) {
    const torn = log.slice();
    torn.fill(0, 4096 * block, Math.min(4096 * (block + 1), log.length));
    const count = starts.slice(1).filter((end) => end <= 4096 * block).length;
    // Nothing is whole behind the last block but one.
    const kept = block < blocks - 1 &&
      starts.some((start, i) =>
        i < lengths.length && start >= 4096 * (block + 1)
      );
    await on({ [LOG]: torn, [INDEX]: index, ...MARK }, (place) => {
      assertMade(reopened(place), 0, lengths.slice(0, count), `block ${block}`);
      const from = starts[count]! - starts[count]! % 4096;
      if (kept) assertBytes(place.bytes(CUT), torn.slice(from));
      else assertEquals(place.names(), [INDEX, LOG]);
    });
  }
});

Deno.test("Opening, rule 2: what was kept earlier stays, the next one gets a number", () => {
  const files: Files = {
    ...filesOf(MADE),
    [LOG]: flipped(MADE.log, 10),
    [CUT]: payload(1, 77),
    [`${CUT}.1`]: payload(2, 78),
    ...MARK,
  };
  return on(files, (place) => {
    withLog(place, (log) => {
      const { kept, foreign } = log.stats().opening;
      assertEquals(kept, [`${DIR}/${CUT}.2`]);
      assertEquals(foreign, [CUT, `${CUT}.1`]);
    });
    assertBytes(place.bytes(CUT), files[CUT]!);
    assertBytes(place.bytes(`${CUT}.1`), files[`${CUT}.1`]!);
    assertBytes(place.bytes(`${CUT}.2`), files[LOG]!);
  });
});

Deno.test("Opening, rule 2: what is kept is durable before anything is cut", () => {
  const disk = diskWith({
    [LOG]: flipped(MADE.log, 500),
    [INDEX]: MADE.index,
    ...MARK,
  });
  const place = new SimulatedPlace(disk);
  let seen = 0;
  disk.onOperation(({ kind, path }) => {
    if (kind !== "truncate" || !path.endsWith(".log")) return;
    seen++;
    const left = disk.crashState("none");
    assertBytes(left.peek(`${DIR}/${CUT}`), flipped(MADE.log, 500));
  });
  openLogSync(place).closeSync();
  assertEquals(seen > 0, true);
  place.pool.close();
});

/** A segment: a message, a damaged region of so many bytes, a valid message of that payload's length. */
function damagedRegion(
  region: number,
  behind: number,
): { files: Files; log: Uint8Array } {
  const made = make(0, [50, region - HEADER, behind]);
  const log = flipped(made.log, made.starts[1]! + 70);
  return { files: { [LOG]: log, [INDEX]: new Uint8Array(0), ...MARK }, log };
}

Deno.test("Opening, rule 2: a valid message 16 MiB behind the bad one is kept, one farther is CorruptSegment and nothing changes", async () => {
  for (const behind of [0, 5000]) {
    for (const more of [-1, 0]) {
      const { files, log } = damagedRegion(16 * MIB + more, behind);
      await on(files, (place) => {
        assertMade(reopened(place), 0, [50]);
        assertBytes(place.bytes(CUT), log);
      });
    }
    for (const more of [1, 100, 3 * MIB]) {
      const { files } = damagedRegion(16 * MIB + more, behind);
      await on(files, async (place) => {
        const before = place.storage.hash();
        const error = assertThrows(() => openLogSync(place), CorruptSegment);
        assertEquals(error.path, `${DIR}/${LOG}`);
        assertEquals([error.position, error.offset, error.kind], [
          114,
          1,
          "checksum",
        ]);
        assertEquals(place.storage.hash(), before);
        await assertRejects(() => openLog(place), CorruptSegment);
        assertEquals(place.storage.hash(), before);
      });
    }
  }
});

Deno.test("Opening, rule 2: a hole of zeros farther than 16 MiB before a valid message is CorruptSegment, indexed or not", async () => {
  const lengths = Array.from({ length: 40 }, () => MIB - HEADER);
  const made = make(0, lengths);
  for (const indexed of [0, 39]) {
    // Messages 22 to 38 are not there.
    const log = made.log.slice();
    log.fill(0, 22 * MIB, 39 * MIB);
    const files = {
      [LOG]: log,
      [INDEX]: made.index.slice(0, 16 * indexed),
      ...MARK,
    };
    await on(files, (place) => {
      const before = place.storage.hash();
      const error = assertThrows(() => openLogSync(place), CorruptSegment);
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

Deno.test("Opening, rule 2: a large message behind the torn place is kept too", async () => {
  for (const length of LARGE) {
    for (const before of [0, 100_000]) {
      const made = make(0, [50, before, length]);
      const log = flipped(made.log, made.starts[1]! + 20);
      // And one that was torn itself is not worth keeping.
      for (const whole of [true, false]) {
        const left = whole ? log : log.subarray(0, -1);
        await on({ [LOG]: left, ...MARK }, (place) => {
          assertMade(reopened(place), 0, [50]);
          assertEquals(place.names().includes(CUT), whole, `${length}`);
          if (whole) assertBytes(place.bytes(CUT), log);
        });
      }
    }
  }
});

Deno.test("Opening, rule 2: a large message farther than 16 MiB behind the torn place is CorruptSegment", async () => {
  for (const length of [MIB - HEADER + 1, 3 * MIB + 7, 20 * MIB]) {
    const { files } = damagedRegion(16 * MIB + 1000, length);
    await on(files, (place) => {
      const before = place.storage.hash();
      assertThrows(() => openLogSync(place), CorruptSegment);
      assertEquals(place.storage.hash(), before);
    });
  }
});

Deno.test("hasMessageBehind() finds a message of any length at any place, and none that is not whole or not there", async () => {
  const random = new SeededRandom(31);
  using pool = testPool();
  for (let round = 0; round < 120; round++) {
    const near = [0, MIB, 2 * MIB][random.below(3)]!;
    const start = Math.max(0, near + random.below(400) - 200);
    const length = [0, 1, 500, MIB - 64, MIB, 2 * MIB][random.below(6)]! +
      random.below(50);
    const { log: message } = make(1000, [length]);
    const whole = random.chance(0.7);
    // Headers that promise long messages, which more bytes disprove.
    const false_ = message.slice(0, HEADER);
    false_[0]! ^= 1;
    const filler = random.chance(0.5)
      ? new Uint8Array(start)
      : payload(round, start);
    if (start > 200) filler.set(false_, random.below(start - 100));
    const rest = new Uint8Array(random.below(3) * MIB);
    const bytes = joined(filler, message, rest);
    if (!whole) bytes[start + random.below(message.length)]! ^= 16;
    const disk = new SimulatedDisk({
      readOffsetAlignment: [1, 512, 4096][round % 3]!,
    });
    disk.poke("/a", 0, bytes);
    const file = disk.openSync("/a");
    const what = `round ${round}: ${message.length} bytes at ${start}`;
    const find = (from: number, to: number, offset = 999) =>
      driveSync(hasMessageBehind(new TaskFile(file), pool, from, to, offset));
    assertEquals(find(0, bytes.length), whole, what);
    assertEquals(find(start, start + 1), whole, what);
    assertEquals(find(0, start), false, what);
    assertEquals(find(start + 1, bytes.length), false, what);
    assertEquals(find(0, bytes.length, 1000), false, what);
    const async_ = await drive(
      hasMessageBehind(new TaskFile(file), pool, 0, bytes.length, 999),
    );
    assertEquals(async_, whole, what);
    file.closeSync();
  }
  assertEquals(pool.stats().inUseBytes, 0);
});

Deno.test("hasMessageBehind() reads each byte about once", () => {
  using pool = testPool();
  const disk = new SimulatedDisk();
  disk.poke("/a", 0, new Uint8Array(20 * MIB));
  const file = disk.openSync("/a");
  assertEquals(
    driveSync(hasMessageBehind(new TaskFile(file), pool, 1, 20 * MIB, 0)),
    false,
  );
  const reads = disk.trace.filter(({ kind }) => kind === "read");
  const bytes = reads.reduce((sum, { length }) => sum + length!, 0);
  assert(bytes < 20.1 * MIB, `${bytes}`);
  file.closeSync();
});
