/**
 * Where the data of an unsealed segment ends, and how much opening reads to find out:
 * docs/format.md#open-believe-index, docs/format.md#open-scan,
 * docs/format.md#open-no-index, docs/format.md#end-of-data.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { CorruptSegment } from "../../lib/segment/mod.ts";
import { SeededRandom, type SimulatedDisk } from "@basalt/io/testing";
import {
  appendSome,
  drain,
  drainSync,
  HEADER,
  KIB,
  MIB,
  openLog,
  openLogSync,
  segment,
  SimulatedPlace,
} from "./support.ts";
import {
  assertMade,
  bytesRead,
  diskWith,
  eachCrash,
  filesOf,
  flipped,
  indexOf,
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

/** A segment of 44 MiB: messages of 16 KiB. */
const BIG_LENGTHS = Array.from({ length: 2816 }, () => 16 * KIB - HEADER);
const BIG = make(0, BIG_LENGTHS);
const BIG_END = BIG.log.length;
/** On a disk, with a mark: copies share their blocks. */
const BIG_DISK = diskWith({ ...filesOf(BIG), ...MARK });

/** The big segment with other bytes in its index. */
function withIndex(index: Uint8Array): SimulatedDisk {
  const disk = BIG_DISK.crashState("none");
  disk.removeSync(`/log/${INDEX}`);
  disk.syncDirectorySync("/log");
  disk.poke(`/log/${INDEX}`, 0, index);
  return disk;
}

const SMALL_LENGTHS = [0, 100, 3, 1000, 64, 0, 5000, 20];
const SMALL = make(0, SMALL_LENGTHS);

/** What recovery did with the last segment. */
function recovery(place: SimulatedPlace) {
  return withLog(place, (log) => {
    assertEquals(log.nextOffset, BIG_LENGTHS.length);
    return log.stats().opening.recovered[0]!;
  });
}

Deno.test("Opening, rule 1: entries older than the last 16 MiB are believed, 16 MiB are walked", () =>
  on(BIG_DISK.crashState("none"), (place) => {
    const report = recovery(place);
    assertEquals(report.trustedEntries, (BIG_END - 16 * MIB) / (16 * KIB));
    assertEquals(report.walkedBytes, 16 * MIB);
    const read = bytesRead(place.storage, ".log");
    // A message that a block cuts off is read again with the next one.
    assert(read >= 16 * MIB && read < 17.5 * MIB, `${read} bytes read`);
    const index = bytesRead(place.storage, ".index");
    assert(index < 128 * KIB, `${index} bytes of the index read`);
  }));

Deno.test("Opening, rule 1: with the last checkpoint 16 MiB before the end, 32 MiB are walked, not more", () => {
  const entries = (BIG_END - 16 * MIB) / (16 * KIB);
  // The rest of its last block as it was written: zeros.
  const padded = patched(
    BIG.index.slice(0, 16 * entries),
    16 * entries,
    new Uint8Array(16 * 100),
  );
  return on(withIndex(padded), (place) => {
    const report = recovery(place);
    assertEquals(report.walkedBytes, 32 * MIB);
    const read = bytesRead(place.storage, ".log");
    assert(read >= 32 * MIB && read < 34.5 * MIB, `${read} bytes read`);
    assertEquals(place.bytes(INDEX), BIG.index);
  });
});

Deno.test("Opening, rule 1: prepared zeros are looked at for 32 MiB, once", () => {
  const disk = BIG_DISK.crashState("none");
  disk.poke(`/log/${LOG}`, BIG_END + 64 * MIB - 1, new Uint8Array(1));
  return on(disk, (place) => {
    const report = recovery(place);
    assertEquals(report.cutBytes, 64 * MIB);
    assertEquals(report.kept, false);
    const read = bytesRead(place.storage, ".log");
    assert(read < 51 * MIB, `${read} bytes read`);
    assertEquals(place.bytes(LOG).length, BIG_END);
  });
});

Deno.test("Opening, rule 1: crash after crash, no more than 32 MiB are walked", async () => {
  // The worst case to begin with: nothing in the index for 16 MiB.
  let disk = withIndex(BIG.index.slice(0, (BIG_END - 16 * MIB) / KIB));
  for (let round = 0; round < 4; round++) {
    const place = new SimulatedPlace(disk);
    const log = openLogSync(place);
    const [report] = log.stats().opening.recovered;
    assert(report!.walkedBytes <= 32 * MIB, `${report!.walkedBytes} walked`);
    appendSome(log, 1, 1000);
    await log.flush();
    // Its pool goes with it.
    disk = disk.crash("random");
  }
  await on(disk, (place) =>
    withLog(place, (log) => {
      assertEquals(log.nextOffset, BIG_LENGTHS.length + 4);
    }));
});

Deno.test("Opening, rule 1: what lies in the believed part is not looked at: damage there is found by reading", () => {
  const disk = BIG_DISK.crashState("none");
  disk.flipBit(`/log/${LOG}`, 3 * MIB + 100, 1);
  return on(disk, async (place) => {
    const log = await openLog(place);
    assertEquals(log.nextOffset, BIG_LENGTHS.length);
    const error = assertThrows(() => drainSync(log), CorruptSegment);
    assertEquals(error.position, 3 * MIB);
    assertEquals(error.offset, 3 * 64);
    assertMade(drainSync(log, { from: 2800 }), 2800, BIG_LENGTHS.slice(2800));
    await log.close();
  });
});

Deno.test("Opening, rule 1: without an index all is walked, and the index written anew", async () => {
  for (
    const files of [{ ...filesOf(BIG), [INDEX]: new Uint8Array(0) }, {
      [LOG]: BIG.log,
    }]
  ) {
    await on(diskWith({ ...files, ...MARK }), (place) => {
      const report = recovery(place);
      assertEquals(report.walkedBytes, BIG_END);
      assertEquals(report.rebuiltEntries, BIG_LENGTHS.length);
      assertEquals(place.bytes(INDEX), BIG.index);
    });
  }
});

Deno.test("Opening, rule 1: a message larger than 16 MiB is walked whole, and no more before it", () => {
  const lengths = [...Array.from({ length: 24 }, () => MIB), 20 * MIB, 10];
  const made = make(0, lengths);
  return on({ ...filesOf(made), ...MARK }, (place) => {
    withLog(place, (log) => {
      const [report] = log.stats().opening.recovered;
      assertEquals(report!.trustedEntries, 24);
      assertEquals(report!.rebuiltEntries, 2);
      assertMade(drainSync(log, { from: 24 }), 24, lengths.slice(24));
    });
  });
});

Deno.test("Opening, rule 1: a header of zeros is the end, wherever it lies in a block", async () => {
  for (const length of [0, 1, 3900, 3968, 4031, 4032, 4033, 8000]) {
    for (const zeros of [1, 63, 64, 65, 4096, 70_000]) {
      const made = make(0, [50, length]);
      const log = joined(made.log, new Uint8Array(zeros));
      await on({ [LOG]: log, [INDEX]: made.index, ...MARK }, (place) => {
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

Deno.test("Opening, rule 1: a segment of nothing but zeros is empty", () =>
  on(
    { [LOG]: new Uint8Array(MIB), [INDEX]: new Uint8Array(4096), ...MARK },
    (place) => {
      withLog(place, (log) => assertEquals(log.append("a"), 0));
      assertEquals(reopened(place).length, 1);
    },
  ));

/** Opens a segment with this index, by a mark unsealed: whatever it says, all messages are there and the index is right afterwards. */
async function assertNotBelieved(
  index: Uint8Array,
  what: string,
): Promise<void> {
  await on({ [LOG]: SMALL.log, [INDEX]: index, ...MARK }, (place) => {
    assertMade(reopened(place), 0, SMALL_LENGTHS, what);
    assertEquals(place.bytes(INDEX), SMALL.index, what);
    assertEquals(place.names(), [INDEX, LOG], what);
  });
}

Deno.test("Opening, rule 1: no bit of the index of a short segment is believed", async () => {
  for (let bit = 0; bit < 8 * SMALL.index.length; bit++) {
    const index = flipped(SMALL.index, bit >> 3, bit % 8);
    await assertNotBelieved(index, `bit ${bit}`);
  }
});

Deno.test("Opening, rule 1: an index of any length is not believed for what is in the last 16 MiB", async () => {
  const longer = joined(SMALL.index, new Uint8Array(40).fill(0xff));
  for (let length = 0; length <= longer.length; length++) {
    await assertNotBelieved(longer.slice(0, length), `${length} bytes`);
  }
});

const SIZE = SMALL.log.length;
const GARBAGE: Record<string, Uint8Array> = {
  "entries behind the log's end": joined(
    SMALL.index,
    indexOf([[8, SIZE + 100, 1], [9, SIZE + 200, 1], [10, SIZE + 64 * MIB, 1]]),
  ),
  "an entry at the greatest position": joined(
    SMALL.index,
    indexOf([[8, 2 ** 32 - 1, 1]]),
  ),
  "entries 100 MiB apart": joined(
    SMALL.index,
    indexOf([[8, 100 * MIB, 1], [9, 200 * MIB, 1], [10, 300 * MIB, 1]]),
  ),
  "a damaged entry among many behind the log's end": joined(
    SMALL.index,
    indexOf(Array.from({ length: 200 }, (_, i) => [
      8 + i + (i === 100 ? 1 : 0),
      SIZE + (i + 1) * MIB,
      1,
    ])),
  ),
  "numbers of another segment": indexOf(
    SMALL_LENGTHS.map((_, i) => [i + 1, SMALL.starts[i + 1]!, 1]),
  ),
  "huge timestamps": SMALL.index.map((byte, i) => i % 16 < 8 ? byte : 0xff),
  "the greatest timestamp that is a number": indexOf(
    SMALL_LENGTHS.map((
      _,
      i,
    ) => [i, SMALL.starts[i + 1]!, Number.MAX_SAFE_INTEGER]),
  ),
  "start positions instead of ends": indexOf(
    SMALL_LENGTHS.map((_, i) => [i, SMALL.starts[i]!, 1]),
  ),
  "nothing but ones": new Uint8Array(1000).fill(0xff),
  "text": new TextEncoder().encode("This is no index. ".repeat(100)),
  "zeros": new Uint8Array(4096),
  "entries of 24 bytes": new Uint8Array(24 * 8).map((_, i) =>
    SMALL.index[i % 24] ?? 0
  ),
};

for (const [name, index] of Object.entries(GARBAGE)) {
  Deno.test(`Opening, rule 1: an index with ${name} is not believed`, async () => {
    await assertNotBelieved(index, name);
    // Nor is its time.
    await on({ [LOG]: SMALL.log, [INDEX]: index, ...MARK }, (place) => {
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

Deno.test("Opening, rule 1: wrong entries in the believed part of an index only make the walk longer", async () => {
  const random = new SeededRandom(4711);
  const believed = (BIG_END - 16 * MIB) / (16 * KIB);
  const cases: [string, (index: Uint8Array) => void][] = [];
  const set = (i: number, at: number, value: number) => (index: Uint8Array) =>
    new DataView(index.buffer).setUint32(16 * i + at, value, true);
  // The one that the walk would begin at.
  for (const off of [-64, -1, 1, 64, 16 * KIB, -16 * KIB]) {
    cases.push([
      `position ${off} off`,
      set(believed - 1, 4, believed * 16 * KIB + off),
    ]);
  }
  cases.push(["position 0", set(believed - 1, 4, 0)]);
  cases.push(["number", set(believed - 1, 0, 5)]);
  cases.push(["all positions", (index) => {
    for (let i = 0; i < 2816; i++) set(i, 4, 16 * KIB * i + 9000)(index);
  }]);
  cases.push(["positions of others", (index) => {
    for (let i = 0; i < 1700; i++) set(i, 4, 16 * KIB * (i + 2))(index);
  }]);
  cases.push(["zeros in the middle", (index) => index.fill(0, 8000, 16_000)]);
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
      assertEquals([report.end, report.kept], [BIG_END, false], name);
      assertEquals(place.names(), [INDEX, LOG], name);
      withLog(place, (log) => {
        for (const from of [0, 900, 1791, 1792, 2815]) {
          const [first] = drainSync(log, { from, count: 1 });
          assertEquals(first!.offset, from, name);
        }
      });
    });
  }
});

Deno.test("Opening, rule 1: an entry behind the end of a long log does not make the last 16 MiB believed", () => {
  const index = joined(BIG.index, indexOf([[2816, BIG_END + 64 * MIB, 1]]));
  const disk = withIndex(index);
  disk.flipBit(`/log/${LOG}`, BIG_END - 1000, 3);
  return on(disk, (place) => {
    withLog(place, (log) => {
      const [report] = log.stats().opening.recovered;
      assertEquals(report!.walkedBytes, 16 * MIB - 16 * KIB);
      assertEquals(log.nextOffset, BIG_LENGTHS.length - 1);
    });
  });
});

Deno.test("Opening, rule 1: a crash during recovery does not make the next walk longer", async () => {
  const disk = withIndex(BIG.index.slice(0, (BIG_END - 16 * MIB) / KIB));
  await eachCrash(
    disk,
    (place) => openLogSync(place),
    ["none", "all"],
    (left, what) => {
      const log = openLogSync(placeOn(left));
      const [report] = log.stats().opening.recovered;
      assert(
        report!.walkedBytes <= 32 * MIB,
        `${what}: ${report!.walkedBytes} walked`,
      );
      log.closeSync();
    },
  );
});

Deno.test("Opening, rule 1: a log that ends long before what its index says was synced is CorruptSegment, nothing is changed", async () => {
  // 100 MiB in the index, entry by entry, and 10 MiB in the log.
  const disk = withIndex(
    indexOf(Array.from({ length: 6400 }, (_, i) => [i, (i + 1) * 16 * KIB, 1])),
  );
  disk.removeSync(`/log/${LOG}`);
  disk.poke(`/log/${LOG}`, 0, BIG.log.subarray(0, 10 * MIB + 5));
  await on(disk, (place) => {
    const before = disk.hash();
    const error = assertThrows(() => openLogSync(place), CorruptSegment);
    assertEquals([error.kind, error.position, error.offset], [
      "index",
      10 * MIB + 5,
      640,
    ]);
    assertEquals(disk.hash(), before);
  });
});

Deno.test("Opening, rule 1: both versions read the same", () =>
  on(BIG_DISK.crashState("none"), async (place) => {
    const other = new SimulatedPlace(BIG_DISK.crashState("none"));
    await (await openLog(place)).close();
    openLogSync(other).closeSync();
    const told = (disk: SimulatedDisk) =>
      disk.trace.map(({ kind, path, position, length }) =>
        [kind, path, position, length].join()
      );
    assertEquals(told(place.storage), told(other.storage));
    assertEquals(place.storage.hash(), other.storage.hash());
    other.pool.close();
    const log = await openLog(place);
    assertMade(await drain(log, { from: 2000 }), 2000, BIG_LENGTHS.slice(2000));
    await log.close();
  }));
