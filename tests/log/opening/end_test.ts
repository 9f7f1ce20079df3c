/**
 * Where the data of an unsealed segment ends, and how much opening reads to find it:
 * docs/format.md#open-believe-index, docs/format.md#open-scan, docs/format.md#open-no-index,
 * docs/format.md#end-of-data.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { CorruptSegmentError } from "../../../lib/segment/mod.ts";
import { SeededRandom, type SimulatedDisk } from "@basalt/io/testing";
import {
  appendSome,
  drain,
  drainSync,
  HEADER,
  INDEX,
  KIB,
  LOG,
  MIB,
  openLog,
  openLogSync,
  SimulatedPlace,
} from "../_support.ts";
import {
  assertMade,
  bytesRead,
  diskWith,
  eachCrash,
  filesOf,
  flipped,
  indexOf,
  joined,
  LEFT_OPEN,
  make,
  on,
  patched,
  placeOn,
  reopened,
  TIME,
  withLog,
} from "../recovery/_support.ts";

/** A segment of 44 MiB: batches of 16 KiB. */
const BIG_LENGTHS = Array.from({ length: 2816 }, () => 16 * KIB - HEADER);
const BIG = make(0, BIG_LENGTHS);
const BIG_END = BIG.log.length;
/** The big segment on a disk, left open. Copies of the disk share their blocks. */
const BIG_DISK = diskWith({ ...LEFT_OPEN, [LOG]: BIG.log, [INDEX]: BIG.index });
/** Bytes from one index entry to the next. */
const STEP = 64 * KIB;

/** Makes a disk of the big segment with other bytes in its index. */
function withIndex(index: Uint8Array): SimulatedDisk {
  const disk = BIG_DISK.crashState("none");
  disk.removeSync(`/log/${INDEX}`);
  disk.syncDirectorySync("/log");
  disk.poke(`/log/${INDEX}`, 0, index);
  return disk;
}

const SMALL_LENGTHS = [0, 100, 3, 1000, 64, 0, 5000, 20];
const SMALL = make(0, SMALL_LENGTHS);

/** Returns what recovery did with the last segment. */
function recovery(place: SimulatedPlace) {
  return withLog(place, (log) => {
    assertEquals(log.nextOffset, BIG_LENGTHS.length);
    return log.stats().opening.recovered[0]!;
  });
}

Deno.test("Log.open() believes entries 16 MiB before the last one, and scans the rest", () =>
  on(BIG_DISK.crashState("none"), (place) => {
    const report = recovery(place);
    assertEquals(report.trustedPosition, BIG_END - STEP - 16 * MIB);
    assertEquals(report.scannedBytes, 16 * MIB + STEP);
    const read = bytesRead(place.storage, ".log");
    // A batch that ends in the next read block is read again with that block.
    assert(read >= 16 * MIB && read < 17.5 * MIB, `${read} bytes read`);
    const index = bytesRead(place.storage, ".index");
    assert(index < 128 * KIB, `${index} bytes of the index read`);
  }));

Deno.test("Log.open() scans 32 MiB, not more, with the last checkpoint 16 MiB before the end", () => {
  const entries = (BIG_END - 16 * MIB) / STEP;
  // The rest of its last block is zeros, as it was written.
  const padded = patched(
    BIG.index.slice(0, 24 * entries),
    24 * entries,
    new Uint8Array(24 * 100),
  );
  return on(withIndex(padded), (place) => {
    const report = recovery(place);
    assertEquals(report.scannedBytes, 32 * MIB + STEP);
    const read = bytesRead(place.storage, ".log");
    assert(read >= 32 * MIB && read < 34.5 * MIB, `${read} bytes read`);
    assertEquals(place.bytes(INDEX), BIG.index);
  });
});

Deno.test("Log.open() reads prepared zeros once, as far as a checkpoint and a batch reach", () => {
  const disk = BIG_DISK.crashState("none");
  disk.poke(`/log/${LOG}`, BIG_END + 128 * MIB - 1, new Uint8Array(1));
  return on(disk, (place) => {
    const report = recovery(place);
    assertEquals(report.cutBytes, 128 * MIB);
    assertEquals(report.isKept, false);
    const read = bytesRead(place.storage, ".log");
    assert(read < (16 + 16 + 64 + 4) * MIB, `${read} bytes read`);
    assertEquals(place.bytes(LOG).length, BIG_END);
  });
});

Deno.test("Log.open() scans at most 32 MiB, crash after crash", async () => {
  // The worst case first: the index has no entry for the last 16 MiB.
  let disk = withIndex(BIG.index.slice(0, 24 * (BIG_END - 16 * MIB) / STEP));
  for (let round = 0; round < 4; round++) {
    const place = new SimulatedPlace(disk);
    const log = openLogSync(place);
    const [report] = log.stats().opening.recovered;
    assert(report!.scannedBytes <= 32 * MIB + STEP, `${report!.scannedBytes}`);
    appendSome(log, 1, 1000);
    await log.flush();
    // The pool is closed with its disk.
    disk = disk.crash("random");
  }
  await on(disk, (place) =>
    withLog(place, (log) => {
      assertEquals(log.nextOffset, BIG_LENGTHS.length + 4);
    }));
});

Deno.test("Log.open() does not scan what its index vouches for: reading finds damage there", () => {
  const disk = BIG_DISK.crashState("none");
  disk.flipBit(`/log/${LOG}`, 3 * MIB + 500, 1);
  return on(disk, async (place) => {
    const log = await openLog(place);
    assertEquals(log.nextOffset, BIG_LENGTHS.length);
    const error = assertThrows(() => drainSync(log), CorruptSegmentError);
    assertEquals(error.position, 3 * MIB);
    assertEquals(error.offset, 3 * 64);
    assertMade(drainSync(log, { from: 2800 }), 2800, BIG_LENGTHS.slice(2800));
    await log.close();
  });
});

Deno.test("Log.open() scans everything without an index, and writes the index again", async () => {
  for (
    const files of [
      { [LOG]: BIG.log, [INDEX]: new Uint8Array(0) },
      { [LOG]: BIG.log },
    ]
  ) {
    await on(diskWith({ ...LEFT_OPEN, ...files }), (place) => {
      const report = recovery(place);
      assertEquals(report.scannedBytes, BIG_END);
      assertEquals(report.rebuiltEntries, BIG_END / STEP);
      assertEquals(place.bytes(INDEX), BIG.index);
    });
  }
});

Deno.test("Log.open() scans a batch larger than 16 MiB whole, and nothing more before it", () => {
  const lengths = [...Array.from({ length: 24 }, () => MIB), 20 * MIB, 10];
  const made = make(0, lengths);
  return on({ ...filesOf(made), ...LEFT_OPEN }, (place) => {
    withLog(place, (log) => {
      const [report] = log.stats().opening.recovered;
      assertEquals(report!.trustedPosition, made.starts[24]);
      assertEquals(report!.rebuiltEntries, 0);
      assertMade(drainSync(log, { from: 24 }), 24, lengths.slice(24));
    });
  });
});

Deno.test("Log.open() takes a header of zeros for the end, wherever it lies in a block", async () => {
  for (const length of [0, 1, 3400, 3437, 3438, 3439, 3500, 3600, 8000]) {
    for (const zeros of [1, 255, 256, 257, 4096, 70_000]) {
      const made = make(0, [50, length]);
      const log = joined(made.log, new Uint8Array(zeros));
      await on({ [LOG]: log, [INDEX]: made.index, ...LEFT_OPEN }, (place) => {
        withLog(place, (log) => {
          const [report] = log.stats().opening.recovered;
          assertEquals([report!.end, report!.cutBytes], [
            made.log.length,
            zeros,
          ]);
          assertMade(drainSync(log), 0, [50, length]);
        });
        assertEquals(place.bytes(LOG), made.log);
      });
    }
  }
});

Deno.test("Log.open() takes a segment of nothing but zeros for empty", () =>
  on(
    { [LOG]: new Uint8Array(MIB), [INDEX]: new Uint8Array(0), ...LEFT_OPEN },
    (place) => {
      withLog(place, (log) => assertEquals(log.append("a"), 0));
      assertEquals(reopened(place).length, 1);
    },
  ));

/**
 * Opens a segment with this index that was left open. All messages must be there whatever the index
 * says, and the index must be right afterwards.
 */
async function assertNotBelieved(
  index: Uint8Array,
  what: string,
): Promise<void> {
  await on({ [LOG]: SMALL.log, [INDEX]: index, ...LEFT_OPEN }, (place) => {
    assertMade(reopened(place), 0, SMALL_LENGTHS, what);
    assertEquals(place.bytes(INDEX), SMALL.index, what);
    assertEquals(place.names(), [INDEX, LOG, "meta"], what);
  });
}

Deno.test("Log.open() finds all messages of a short segment with any bit of its index flipped", async () => {
  for (let bit = 0; bit < 8 * SMALL.index.length; bit++) {
    const index = flipped(SMALL.index, bit >> 3, bit % 8);
    await assertNotBelieved(index, `bit ${bit}`);
  }
});

Deno.test("Log.open() repairs an index of any length", async () => {
  const longer = joined(SMALL.index, new Uint8Array(40).fill(0xff));
  for (let length = 0; length <= longer.length; length++) {
    await assertNotBelieved(longer.slice(0, length), `${length} bytes`);
  }
});

const SIZE = SMALL.log.length;
const GARBAGE: Record<string, Uint8Array> = {
  "numbers of another segment": indexOf(
    SMALL_LENGTHS.map((_, i) => [i + 8, TIME, SMALL.starts[i]!]),
  ),
  "huge timestamps": SMALL.index.map((byte, i) =>
    i % 24 < 8 || i % 24 >= 16 ? byte : 0xff
  ),
  "the greatest timestamp that is a number": indexOf(
    SMALL_LENGTHS.map((
      _,
      i,
    ) => [i, Number.MAX_SAFE_INTEGER, SMALL.starts[i]!]),
  ),
  "end positions instead of starts": indexOf(
    SMALL_LENGTHS.slice(1).map((_, i) => [i, TIME, SMALL.starts[i + 1]!]),
  ),
  "nothing but ones": new Uint8Array(1000).fill(0xff),
  "text": new TextEncoder().encode("This is no index. ".repeat(100)),
  "zeros": new Uint8Array(4096),
  "the entries of Iggy up to 0.8": Uint8Array.from(
    SMALL_LENGTHS.flatMap((_, i) => [
      ...new Uint8Array(
        new Uint32Array([i, SMALL.starts[i + 1]!, 1, 1]).buffer,
      ),
    ]),
  ),
};

/** Indexes that claim bytes which the log does not have. */
const BEYOND: Record<string, Uint8Array> = {
  "entries after the log's end": indexOf([
    [0, TIME, 0],
    [8, TIME, SIZE],
    [9, TIME, SIZE + 400],
  ]),
  "an entry just at the log's end": indexOf([[0, TIME, 0], [8, TIME, SIZE]]),
  "an entry at the greatest position": indexOf([[8, TIME, 2 ** 53 - 1]]),
  "entries 100 MiB apart": indexOf([
    [0, TIME, 0],
    [8, TIME, 100 * MIB],
    [9, TIME, 200 * MIB],
  ]),
};

for (const [name, index] of Object.entries(BEYOND)) {
  Deno.test(`Log.open() refuses a log with ${name} in its index, and changes nothing`, () =>
    on({ [LOG]: SMALL.log, [INDEX]: index, ...LEFT_OPEN }, (place) => {
      const before = place.storage.hash();
      const error = assertThrows(() => openLogSync(place), CorruptSegmentError);
      assertEquals([error.kind, error.position], ["index", SIZE]);
      assertEquals(place.storage.hash(), before);
    }));
}

for (const [name, index] of Object.entries(GARBAGE)) {
  Deno.test(`Log.open() does not believe an index with ${name}`, async () => {
    await assertNotBelieved(index, name);
    // Its times are not believed either.
    await on({ [LOG]: SMALL.log, [INDEX]: index, ...LEFT_OPEN }, (place) => {
      place.storage.timeMicros = 5_000_000_000_000_000;
      withLog(place, (log) => appendSome(log, 1, 10));
      const last = reopened(place).at(-1)!;
      assert(
        Math.abs(last.timestamp - 5_000_000_000_000_000) < 1e6,
        `${last.timestamp}`,
      );
    });
  });
}

Deno.test("Log.open() scans more, and repairs the index, if entries in the believed part are wrong", async () => {
  const random = new SeededRandom(4711);
  const believed = (BIG_END - STEP - 16 * MIB) / STEP;
  const cases: [string, (index: Uint8Array) => void][] = [];
  const set = (i: number, at: number, value: number) => (index: Uint8Array) =>
    new DataView(index.buffer).setUint32(24 * i + at, value, true);
  // The entry at which the scan would begin.
  for (const off of [-304, -1, 1, 304, 16 * KIB, -16 * KIB]) {
    cases.push([
      `position ${off} off`,
      set(believed, 16, believed * STEP + off),
    ]);
  }
  cases.push(["position 0", set(believed, 16, 0)]);
  cases.push(["offset", set(believed, 0, 4 * believed + 1)]);
  cases.push(["time", set(believed, 8, 7)]);
  cases.push(["zeros in the middle", (index) => index.fill(0, 8000, 9600)]);
  cases.push(["noise", (index) => {
    for (let i = 0; i < 500; i++) {
      index[random.below(index.length)] = random.next();
    }
  }]);
  for (const [name, spoil] of cases) {
    const index = BIG.index.slice();
    spoil(index);
    await on(withIndex(index), (place) => {
      const report = recovery(place);
      assertEquals([report.end, report.isKept], [BIG_END, false], name);
      assertEquals(place.names(), [INDEX, LOG, "meta"], name);
      withLog(place, (log) => {
        for (const from of [0, 900, 1791, 1792, 2815]) {
          const [first] = drainSync(log, { from, count: 1 });
          assertEquals(first!.offset, from, name);
        }
      });
    });
  }
});

Deno.test("Log.open(): a crash during recovery does not make the next scan longer", async () => {
  const disk = withIndex(BIG.index.slice(0, 24 * (BIG_END - 16 * MIB) / STEP));
  await eachCrash(
    disk,
    (place) => openLogSync(place),
    ["none", "all"],
    (left, what) => {
      const log = openLogSync(placeOn(left));
      const [report] = log.stats().opening.recovered;
      assert(
        report!.scannedBytes <= 32 * MIB + STEP,
        `${what}: ${report!.scannedBytes} scanned`,
      );
      log.closeSync();
    },
  );
});

Deno.test("Log.open() refuses a log that ends long before what its index says was synced, and changes nothing", async () => {
  const disk = withIndex(BIG.index);
  disk.removeSync(`/log/${LOG}`);
  disk.poke(`/log/${LOG}`, 0, BIG.log.subarray(0, 10 * MIB + 5));
  await on(disk, (place) => {
    const before = disk.hash();
    const error = assertThrows(() => openLogSync(place), CorruptSegmentError);
    assertEquals([error.kind, error.position], ["index", 10 * MIB + 5]);
    assertEquals(disk.hash(), before);
  });
});

Deno.test("Log.open() and Log.openSync() do the same", () =>
  on(BIG_DISK.crashState("none"), async (place) => {
    const other = new SimulatedPlace(BIG_DISK.crashState("none"));
    await (await openLog(place)).close();
    openLogSync(other).closeSync();
    // A different block size changes what is read ahead.
    const told = (disk: SimulatedDisk) =>
      disk.trace.filter(({ kind }) => kind !== "read").map((
        { kind, path, position, length },
      ) => [kind, path, position, length].join());
    assertEquals(told(place.storage), told(other.storage));
    assertEquals(place.storage.hash(), other.storage.hash());
    other.pool.close();
    const log = await openLog(place);
    assertMade(await drain(log, { from: 2000 }), 2000, BIG_LENGTHS.slice(2000));
    await log.close();
  }));
