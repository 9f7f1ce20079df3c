/**
 * How opening creates and classifies the owner file and `meta` of a log:
 * docs/format.md#owner-create, docs/format.md#owner-generation, docs/format.md#owner-remove,
 * docs/format.md#owner-invalid, docs/format.md#owner-other-log, docs/format.md#meta-create,
 * docs/format.md#meta-newest, docs/format.md#meta-turns, docs/format.md#meta-larger-block,
 * docs/format.md#meta-version, docs/format.md#meta-damaged, docs/format.md#meta-missing.
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { formatUuid, parseUuid } from "../../../lib/codec/mod.ts";
import {
  inspectLogSync,
  Log,
  LogReader,
  planRepairSync,
  repairLogSync,
  verifyLogSync,
} from "../../../lib/log/mod.ts";
import { CorruptSegmentError } from "../../../lib/segment/mod.ts";
import { LockedError } from "../../../lib/storage/mod.ts";
import { SimulatedDisk } from "@basalt/io/testing";
import { xxh3 } from "../../codec/_xxh3.ts";
import {
  assertMade,
  diskWith,
  filesOf,
  flipped,
  IDENTITY,
  LEFT_OPEN,
  make,
  metaFile,
  on,
  ownerFile,
  patched,
  reopened,
  withLog,
} from "../recovery/_support.ts";
import {
  appendSome,
  drainSync,
  faultsOfClosed,
  KIB,
  lines,
  onEachPlace,
  openLog,
  openLogSync,
  type Place,
  segment,
} from "../_support.ts";

const LENGTHS = [100, 0, 5000];
const FILES = filesOf(make(0, LENGTHS), make(3, LENGTHS));
const ALL = [...LENGTHS, ...LENGTHS];
const OTHER = "ffffffff-ffff-4fff-8fff-ffffffffffff";

/** The fields of an owner file, decoded without the library. */
function ownerOf(place: Place) {
  const bytes = place.bytes("writer");
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  assertEquals(new TextDecoder().decode(bytes.subarray(0, 8)), "BASALTWR");
  assertEquals(view.getUint32(8, true), 1);
  assertEquals(view.getUint32(12, true), 0);
  assertEquals(view.getBigUint64(64, true), xxh3(bytes.subarray(0, 64)));
  assert(bytes.subarray(72).every((byte) => byte === 0));
  const at = (position: number) => Number(view.getBigUint64(position, true));
  return {
    identity: formatUuid(bytes, 16),
    generation: at(32),
    pid: at(40),
    startedAt: at(48),
    durableOffset: at(56),
  };
}

/** The fields of a slot of `meta`, decoded without the library. */
function slotOf(place: Place, number: number) {
  const bytes = place.bytes("meta");
  const slotBytes = bytes.length / 2;
  const slot = bytes.subarray(number * slotBytes, (number + 1) * slotBytes);
  if (slot.every((byte) => byte === 0)) return undefined;
  const view = new DataView(slot.buffer, slot.byteOffset);
  assertEquals(new TextDecoder().decode(slot.subarray(0, 8)), "BASALTMT");
  assertEquals(view.getUint32(8, true), 1);
  assertEquals(view.getUint32(12, true), slotBytes);
  assertEquals(view.getBigUint64(48, true), xxh3(slot.subarray(0, 48)));
  assert(slot.subarray(56).every((byte) => byte === 0));
  return {
    sequence: Number(view.getBigUint64(16, true)),
    identity: formatUuid(slot, 24),
    firstOffset: Number(view.getBigUint64(40, true)),
  };
}

onEachPlace(
  "Log.open() creates an owner file with identity, process and time, and closing removes it",
  async (place) => {
    const before = place.storage.now();
    const log = await openLog(place);
    const { identity, generation, pid, startedAt, durableOffset } = ownerOf(
      place,
    );
    assertEquals([generation, pid, durableOffset], [1, Deno.pid, 0]);
    assert(startedAt >= before && startedAt <= place.storage.now());
    assertEquals(slotOf(place, 0), { sequence: 0, identity, firstOffset: 0 });
    assertEquals(slotOf(place, 1), undefined);
    // A random UUID v4.
    const bytes = parseUuid(identity);
    assertEquals([bytes[6]! >> 4, bytes[8]! >> 6], [4, 2]);
    const error = await assertRejects(() => openLog(place), LockedError);
    assertEquals([error.pid, error.since], [Deno.pid, startedAt]);
    appendSome(log, 3, 10);
    await log.close();
    assertEquals(faultsOfClosed(place), []);
    await (await openLog(place)).close();
    assertEquals(slotOf(place, 0)!.identity, identity);
  },
);

Deno.test("Log.open() creates a log with 4 syncs, and names appear in the order of the format", () =>
  on(new SimulatedDisk(), (place) => {
    const disk = place.storage;
    disk.makeDirectorySync("/log");
    const from = disk.trace.length;
    const log = openLogSync(place);
    // The storage syncs the name of the directory, unless it is known to be durable.
    const names = lines(disk, from, ["rename", "syncDirectory"])
      .filter((line) => line !== "syncDirectory /");
    assertEquals(names, [
      "rename 0.log.tmp 0.log",
      "rename 0.index.tmp 0.index",
      "syncDirectory /log",
      "rename /log/meta.tmp /log/meta",
      "rename /log/writer.tmp /log/writer",
      "syncDirectory /log",
    ]);
    const syncs = disk.trace.slice(from).filter(({ kind, path, durability }) =>
      path !== "/" && (kind === "sync" || kind === "syncDirectory" ||
        kind === "write" && durability !== "none")
    );
    // The last segment is empty, so none of its bytes is trusted.
    assertEquals(
      syncs.filter(({ path }) => !/\.(log|index)$/.test(path)).length,
      4,
    );
    assertEquals(disk.unsyncedUnits(), []);
    appendSome(log, 3, 10);
    log.closeSync();
    assertEquals(lines(disk).slice(-2), [
      "remove /log/writer",
      "syncDirectory /log",
    ]);
    // The owner file is removed last: a log without one is complete.
    assertEquals(disk.unsyncedUnits(), []);
  }));

Deno.test("Log.open() counts the generations of owner files, and publishes what recovery found durable", async () => {
  for (
    const [writer, generation] of [
      [ownerFile(0, { generation: 7 }), 8],
      [flipped(ownerFile(0, { generation: 7 }), 33), 1],
      [new Uint8Array(500).fill(57), 1],
      [new Uint8Array(0), 1],
    ] as const
  ) {
    await on({ ...FILES, writer }, (place) => {
      const log = openLogSync(place);
      const owner = ownerOf(place);
      assertEquals([owner.generation, owner.durableOffset], [generation, 6]);
      assertEquals(owner.identity, IDENTITY);
      assertMade(drainSync(log), 0, ALL);
      log.closeSync();
      assertEquals(faultsOfClosed(place), []);
    });
  }
});

Deno.test("Log.open() refuses a log that ends below its published durable offset, and changes nothing", async () => {
  await on({ ...FILES, writer: ownerFile(6) }, (place) => {
    assertMade(reopened(place), 0, ALL);
  });
  for (const writer of [ownerFile(7), ownerFile(1000)]) {
    await on({ ...FILES, writer }, (place) => {
      const before = place.storage.hash();
      assertThrows(() => openLogSync(place), CorruptSegmentError);
      const options = { storage: place.storage, pool: place.pool };
      const faults = [...verifyLogSync(place.dir, options)];
      assertEquals(faults.map(({ kind, offset }) => [kind, offset]), [
        ["gap", 6],
      ]);
      const plan = planRepairSync(place.dir, options);
      assertEquals(place.storage.hash(), before);
      assertEquals([plan.needed, plan.nextOffset], [true, 6]);
      repairLogSync(place.dir, plan, options);
      assertMade(reopened(place), 0, ALL);
    });
  }
});

Deno.test("Log.open() refuses the owner file of another log by name", () =>
  on({ ...FILES, writer: ownerFile(6, { identity: OTHER }) }, (place) => {
    const before = place.storage.hash();
    assertThrows(
      () => openLogSync(place),
      Deno.errors.InvalidData,
      "'/log/writer' is the owner file of another log",
    );
    assertEquals(place.storage.hash(), before);
    const options = { storage: place.storage, pool: place.pool };
    const [fault] = verifyLogSync(place.dir, options);
    assertEquals(fault!.kind, "owner");
  }));

/** Returns a record with another version and the right checksum. */
function ofVersion(record: Uint8Array, checksumAt: number): Uint8Array {
  const bytes = patched(record, 8, new Uint8Array([2]));
  const view = new DataView(bytes.buffer);
  view.setBigUint64(checksumAt, xxh3(bytes.subarray(0, checksumAt)), true);
  return bytes;
}

Deno.test("Log.open() and readers refuse files of a later version by name", async () => {
  for (
    const [name, bytes] of [
      ["writer", ofVersion(ownerFile(6), 64)],
      ["meta", ofVersion(metaFile(0), 48)],
    ] as const
  ) {
    await on({ ...FILES, ...LEFT_OPEN, [name]: bytes }, (place) => {
      const before = place.storage.hash();
      const said = `'/log/${name}': it has version 2`;
      assertThrows(() => openLogSync(place), Deno.errors.NotSupported, said);
      assertEquals(place.storage.hash(), before);
      const options = { storage: place.storage, pool: place.pool };
      const [fault] = verifyLogSync(place.dir, options);
      assertEquals(fault!.path, `/log/${name}`);
      if (name === "writer") return;
      assertThrows(
        () => drainSync(new LogReader(place.dir, options)),
        Deno.errors.NotSupported,
        said,
      );
    });
  }
});

/** Makes a `meta` with both slots. */
function twoSlots(
  first: { sequence: number; firstOffset: number },
  second: { sequence: number; firstOffset: number },
): Uint8Array {
  const bytes = metaFile(0, {});
  bytes.fill(0);
  for (const { sequence, firstOffset } of [first, second]) {
    const slot = metaFile(firstOffset, { sequence });
    const at = sequence % 2 * 4096;
    bytes.set(slot.subarray(at, at + 4096), at);
  }
  return bytes;
}

Deno.test("Log.open() takes the newest valid slot of meta", async () => {
  const meta = twoSlots(
    { sequence: 4, firstOffset: 0 },
    { sequence: 5, firstOffset: 3 },
  );
  const cases: [Uint8Array, firstOffset: number][] = [
    [meta, 3],
    [
      twoSlots({ sequence: 6, firstOffset: 0 }, {
        sequence: 5,
        firstOffset: 3,
      }),
      0,
    ],
    // A power cut within the write of slot 1.
    [flipped(meta, 4096 + 30), 0],
    [patched(meta, 4096, new Uint8Array(4096)), 0],
    [flipped(meta, 41), 3],
    [patched(meta, 0, new Uint8Array(4096)), 3],
  ];
  for (const [bytes, firstOffset] of cases) {
    await on({ ...FILES, meta: bytes }, (place) => {
      withLog(place, (log) => assertEquals(log.firstOffset, firstOffset));
      const options = { storage: place.storage, pool: place.pool };
      assertEquals(inspectLogSync(place.dir, options).firstOffset, firstOffset);
    });
  }
});

Deno.test("Log.open() refuses a damaged meta, and repair creates it again", async () => {
  const valid = metaFile(0);
  const cases = [
    flipped(valid, 0),
    flipped(valid, 12),
    flipped(valid, 24),
    flipped(valid, 40),
    flipped(valid, 48),
    valid.subarray(0, 4096),
    valid.subarray(0, 8191),
    new Uint8Array(0),
    new Uint8Array(8192),
    patched(valid, 8192, new Uint8Array(8192)),
  ];
  for (const [i, meta] of cases.entries()) {
    await on({ ...FILES, meta }, (place) => {
      const before = place.storage.hash();
      const options = { storage: place.storage, pool: place.pool };
      const error = assertThrows(() => openLogSync(place), CorruptSegmentError);
      assertEquals([error.kind, error.path], ["meta", "/log/meta"], String(i));
      assertThrows(
        () => drainSync(new LogReader(place.dir, options)),
        CorruptSegmentError,
      );
      assertEquals(
        [...verifyLogSync(place.dir, options)].map(({ kind }) => kind),
        ["meta"],
      );
      const { identity, opening } = inspectLogSync(place.dir, options);
      assertEquals([identity, opening.possible], [undefined, false]);
      const plan = planRepairSync(place.dir, options);
      assertEquals(place.storage.hash(), before);
      assertEquals(plan.steps, [
        { action: "replaceMeta", path: "/log/meta", firstOffset: 0 },
      ]);
      assertEquals([plan.lostMessages, plan.nextOffset], [0, 6]);
      repairLogSync(place.dir, plan, options);
      assertMade(reopened(place), 0, ALL);
      assertEquals([...verifyLogSync(place.dir, options)], []);
    });
  }
});

Deno.test("Log.open() replaces a meta whose slots are smaller than a physical block", () => {
  const disk = diskWith(FILES, {
    memoryAlignment: 512,
    offsetAlignment: 4096,
    readOffsetAlignment: 4096,
    logicalBlock: 4096,
    physicalBlock: 16_384,
  });
  return on(disk, (place) => {
    withLog(place, (log) => {
      assertEquals(log.firstOffset, 0);
      log.truncateBeforeSync(3);
    });
    assertEquals(place.bytes("meta").length, 2 * 16_384);
    const identity = IDENTITY;
    assertEquals(slotOf(place, 0), { sequence: 0, identity, firstOffset: 0 });
    assertEquals(slotOf(place, 1), { sequence: 1, identity, firstOffset: 3 });
    assertMade(reopened(place), 3, LENGTHS);
  });
});

Deno.test("Log.open() gives an imported log an identity and its first offset", () => {
  const files = filesOf(make(3, LENGTHS), make(6, LENGTHS));
  delete files["meta"];
  return on(files, (place) => {
    const options = { storage: place.storage, pool: place.pool };
    assertMade(drainSync(new LogReader(place.dir, options)), 3, ALL);
    assertEquals([...verifyLogSync(place.dir, options)], []);
    assertEquals(planRepairSync(place.dir, options).needed, false);
    assertEquals(inspectLogSync(place.dir, options).identity, undefined);
    assertMade(reopened(place), 3, ALL);
    assertEquals(slotOf(place, 0)!.firstOffset, 3);
  });
});

Deno.test("Log.open() refuses a directory whose first .log is not Basalt's, and says what it is", async () => {
  const kafka = new Uint8Array(200);
  kafka[16] = 2;
  kafka[11] = 100;
  const iggy = Uint8Array.fromHex(
    "b77a21d43666c849" + "01000000000000000000000000000000" +
      "0000000000000000" + "00401e18240a0600" + "ff3f1e18240a0600" +
      "00000000" + "05000000" + "0000000000000000" + "68656c6c6f",
  );
  const text = new TextEncoder().encode("This is no log. ".repeat(50));
  for (
    const [log, said] of [
      [kafka, "Kafka"],
      [iggy, "Iggy up to 0.8"],
      [text, "54686973206973206e6f206c6f672e20"],
    ] as const
  ) {
    await on({ [`${segment(0)}.log`]: log }, (place) => {
      const before = place.storage.hash();
      assertThrows(
        () => openLogSync(place),
        Deno.errors.InvalidData,
        said,
      );
      assertEquals(place.storage.hash(), before);
    });
  }
});

Deno.test("Log.truncateBefore() writes meta durably before it removes anything, and syncs the directory once", () =>
  on(FILES, (place) => {
    withLog(place, (log) => {
      const disk = place.storage;
      const from = disk.trace.length;
      assertEquals(log.truncateBeforeSync(5), 3);
      assertEquals(
        lines(disk, from, ["write", "sync", "remove", "syncDirectory"]),
        [
          "write /log/meta 4096+4096 data",
          "remove 0.log",
          "remove 0.index",
          "syncDirectory /log",
        ],
      );
      assertEquals(slotOf(place, 1)!.firstOffset, 3);
    });
  }));

Deno.test("Log.truncateBefore() removes nothing if meta cannot be written, and writes the same slot again", () =>
  on(FILES, (place) => {
    withLog(place, (log) => {
      const disk = place.storage;
      const stop = disk.onOperation(({ kind, path }) =>
        kind === "write" && path.endsWith("meta") ? { error: "EIO" } : undefined
      );
      assertThrows(() => log.truncateBeforeSync(5), Error, "EIO");
      assert(place.names().includes(`${segment(0)}.log`));
      stop();
    });
    assertMade(reopened(place), 0, ALL);
    withLog(place, (log) => log.truncateBeforeSync(5));
    assertEquals(slotOf(place, 1)!.sequence, 1);
    assertMade(reopened(place), 3, LENGTHS);
  }));

Deno.test("Log: the owner file's record survives a power cut at any moment of publishing", () =>
  on({}, (place) => {
    const disk = place.storage;
    const log = openLogSync(place, { blockBytes: 4 * KIB });
    appendSome(log, 3, 10);
    log.flushSync();
    for (const choice of ["none", "all"] as const) {
      const left = disk.crashState(choice);
      const again = Log.openSync("/log", { storage: left, pool: place.pool });
      assertEquals(again.nextOffset, 3);
      again.closeSync();
    }
    log.closeSync();
  }));
