/** Cursors of a log as consumer offsets of a partition, and the way back. */
import { assertEquals, assertRejects } from "@std/assert";
import { SimulatedDisk } from "@basalt/io/testing";
import fc from "fast-check";
import {
  exportToIggy,
  exportToIggySync,
  importFromIggy,
  importFromIggySync,
} from "../../lib/iggy/mod.ts";
import { offsetChecksum } from "../../lib/iggy/_offset_checksum.ts";
import { Log } from "../../lib/log/mod.ts";
import { eachCrash, makeSimpleLog, putAll, testPool } from "./_support.ts";

/** Makes a closed log from an offset, with cursors at offsets. */
async function logWith(
  cursors: Record<string, number>,
  firstOffset = 0,
  count = 40,
): Promise<{ storage: SimulatedDisk; pool: ReturnType<typeof testPool> }> {
  const place = { storage: new SimulatedDisk(), pool: testPool() };
  putAll(place.storage, "/log", makeSimpleLog(count, { firstOffset }));
  await using log = await Log.open("/log", place);
  for (const [name, from] of Object.entries(cursors)) {
    await using _cursor = await log.cursor(name, { from });
  }
  return place;
}

/** Returns the files of consumer offsets, in hexadecimal digits. */
function offsetFiles(storage: SimulatedDisk, partition = "/p") {
  const dir = `${partition}/offsets/`;
  return Object.fromEntries(
    [...storage.snapshot()].filter(([path]) => path.startsWith(dir))
      .map(([path, bytes]) => [path.slice(dir.length), bytes.toHex()]),
  );
}

async function cursorsOf(
  place: { storage: SimulatedDisk; pool: ReturnType<typeof testPool> },
  dir: string,
): Promise<Record<string, number>> {
  await using log = await Log.open(dir, { ...place, create: false });
  const cursors = await log.cursors();
  return Object.fromEntries(
    cursors.map(({ name, position }) => [name, position]),
  );
}

/** Encodes an offset as 16 bytes. */
function stored(offset: number | bigint): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(offset), true);
  view.setBigUint64(8, offsetChecksum(bytes.subarray(0, 8)), true);
  return bytes;
}

/** Calculated with the library of XXH3's author. */
const CHECKSUMS: readonly [offset: bigint, checksum: string][] = [
  [0n, "c77b3abb6f87acd9"],
  [1n, "2fbc593564db792e"],
  [114n, "f4d7d6b8ed18f825"],
  [2n ** 32n - 1n, "f0229c562a278d89"],
  [2n ** 32n, "eeab51d59cf4ca5b"],
  [2n ** 53n - 1n, "7c21423830c24a1b"],
  [2n ** 64n - 1n, "5111c7e47d784413"],
  [0x0123456789abcdefn, "b78df414284277a6"],
];

Deno.test("offsetChecksum() is the XXH3-64 of 8 bytes", () => {
  for (const [offset, checksum] of CHECKSUMS) {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, offset, true);
    const found = offsetChecksum(bytes).toString(16).padStart(16, "0");
    assertEquals(found, checksum, `${offset}`);
  }
});

Deno.test("exportToIggy() writes cursors as consumer offsets of 16 bytes, and of 8 for Iggy 0.8", async () => {
  const place = await logWith({ billing: 15, audit: 40, fresh: 0, other: 3 });
  const { storage } = place;
  const options = {
    ...place,
    consumers: { 1: "billing", 4294967295: "audit", 2: "fresh" },
    groups: { 1: "billing" },
  };
  const plan = await exportToIggy("/log", "/p", { ...options, dryRun: true });
  assertEquals(offsetFiles(storage), {});
  const report = await exportToIggy("/log", "/p", options);
  assertEquals(plan.cursors, report.cursors);
  assertEquals(report.leaves, ["cursors/other"]);
  assertEquals(
    report.cursors.map(({ cursor, kind, id, position, wasThere }) =>
      [cursor, kind, id, position, wasThere].join()
    ),
    [
      "billing,consumer,1,15,false",
      "fresh,consumer,2,0,false",
      "audit,consumer,4294967295,40,false",
      "billing,group,1,15,false",
    ],
  );
  // A consumer that has processed nothing has no file.
  const expected = {
    "consumers/1": stored(14).toHex(),
    "consumers/4294967295": stored(39).toHex(),
    "groups/1": stored(14).toHex(),
  };
  assertEquals(offsetFiles(storage), expected);
  const again = await exportToIggy("/log", "/p", options);
  assertEquals(
    again.cursors.map(({ wasThere }) => wasThere),
    [true, false, true, true],
  );
  assertEquals(offsetFiles(storage), expected);
  await exportToIggy("/log", "/old", { ...options, format: "0.8" });
  assertEquals(
    offsetFiles(storage, "/old"),
    Object.fromEntries(
      Object.entries(expected).map(([name, hex]) => [name, hex.slice(0, 16)]),
    ),
  );
});

Deno.test("exportToIggy() writes the consumer offset of the format page", async () => {
  const place = await logWith({ c: 115 }, 100);
  await exportToIggy("/log", "/p", { ...place, consumers: { 7: "c" } });
  // docs/format.md#iggy-offsets
  assertEquals(offsetFiles(place.storage), {
    "consumers/7": "720000000000000025f818edb8d6d7f4",
  });
});

Deno.test("importFromIggy() turns consumer offsets into cursors, within the existing messages", async () => {
  const place = await logWith({}, 100);
  const { storage } = place;
  await exportToIggy("/log", "/p", place);
  const put = (name: string, bytes: Uint8Array) =>
    storage.poke(`/p/offsets/${name}`, 0, bytes);
  put("consumers/7", stored(114));
  put("consumers/10", stored(3).subarray(0, 8));
  put("groups/2", stored(139));
  put("groups/3", stored(500));
  put("groups/notes", new Uint8Array(3));
  const plan = await importFromIggy("/p", "/log2", { ...place, dryRun: true });
  const report = await importFromIggy("/p", "/log2", place);
  assertEquals(plan.cursors, report.cursors);
  assertEquals(
    report.cursors.map(({ cursor, sourcePosition, position }) =>
      [cursor, sourcePosition, position].join()
    ),
    [
      "consumer-7,115,115",
      "consumer-10,4,100",
      "group-2,140,140",
      "group-3,501,140",
    ],
  );
  assertEquals(await cursorsOf(place, "/log2"), {
    "consumer-7": 115,
    "consumer-10": 100,
    "group-2": 140,
    "group-3": 140,
  });
});

Deno.test("importFromIggy() leaves cursors that moved since the first import", async () => {
  const place = await logWith({ c: 5 });
  await exportToIggy("/log", "/p", { ...place, consumers: { 1: "c" } });
  await importFromIggy("/p", "/taken", place);
  {
    await using log = await Log.open("/taken", place);
    await using cursor = await log.cursor("consumer-1");
    await cursor.commit(9);
  }
  const { cursors } = await importFromIggy("/p", "/taken", place);
  assertEquals(cursors.map(({ position, wasThere }) => [position, wasThere]), [
    [9, true],
  ]);
  assertEquals(await cursorsOf(place, "/taken"), { "consumer-1": 9 });
});

function prefixed(
  positions: Record<string, number>,
  letter: string,
): [string, number][] {
  return Object.entries(positions).map(([id, at]) => [letter + id, at]);
}

Deno.test("exportToIggy() and importFromIggy() of either format keep the positions of cursors", async () => {
  const pool = testPool();
  const ids = fc.nat({ max: 2 ** 32 - 1 });
  const positions = fc.dictionary(ids.map(String), fc.nat({ max: 40 }), {
    maxKeys: 4,
  });
  await fc.assert(
    fc.asyncProperty(
      positions,
      positions,
      fc.nat({ max: 1000 }),
      fc.constantFrom("0.9", "0.8"),
      async (consumers, groups, first, format) => {
        const cursors = Object.fromEntries([
          ...prefixed(consumers, "c"),
          ...prefixed(groups, "g"),
        ].map(([name, at]): [string, number] => [name, first + at]));
        const { storage } = await logWith(cursors, first);
        const place = { storage, pool };
        const names = (of: object, letter: string) =>
          Object.fromEntries(Object.keys(of).map((id) => [id, letter + id]));
        exportToIggySync("/log", "/p", {
          ...place,
          format: format as "0.8",
          consumers: names(consumers, "c"),
          groups: names(groups, "g"),
        });
        importFromIggySync("/p", "/taken", place);
        const expected = Object.entries(cursors)
          .filter(([, position]) => position > 0)
          .map(([name, position]) => [
            name.replace("c", "consumer-").replace("g", "group-"),
            position,
          ]);
        assertEquals(
          await cursorsOf(place, "/taken"),
          Object.fromEntries(expected),
        );
      },
    ),
    { numRuns: 20 },
  );
  pool.close();
});

Deno.test("exportToIggy() refuses missing cursors, ids out of range and other offsets, and changes nothing", async () => {
  const place = await logWith({ billing: 15 });
  const { storage } = place;
  storage.poke("/p/offsets/consumers/1", 0, stored(3));
  const before = storage.hash();
  for (
    const [options, error, text] of [
      [{ consumers: { 1: "bill" } }, Deno.errors.NotFound, "are 'billing'"],
      [{ groups: { [2 ** 32]: "billing" } }, RangeError, "'groups' must be"],
      [
        { consumers: { x: "billing" } as Record<number, string> },
        RangeError,
        'received "x"',
      ],
      [
        { consumers: { 1: "billing" } },
        Deno.errors.AlreadyExists,
        "it stores offset 3 for consumer 1, and cursor 'billing' would store 14",
      ],
    ] as const
  ) {
    for (const dryRun of [true, false]) {
      await assertRejects(
        () => exportToIggy("/log", "/p", { ...place, ...options, dryRun }),
        error,
        text,
      );
    }
  }
  assertEquals(storage.hash(), before);
});

Deno.test("importFromIggy() refuses a damaged consumer offset and a different cursor, and says what to do", async () => {
  const place = await logWith({});
  const { storage } = place;
  await exportToIggy("/log", "/p", place);
  const path = "/p/offsets/groups/4";
  const damage = (at: number) => {
    const bytes = stored(7);
    bytes[at]! ^= 1;
    return bytes;
  };
  for (
    const [bytes, text] of [
      [new Uint8Array(0), "it has 0 bytes"],
      [stored(7).subarray(0, 15), "it has 15 bytes"],
      [damage(0), "the checksum at byte 8 does not match"],
      [damage(15), "the checksum at byte 8 does not match"],
      [stored(2n ** 63n), "above 2^53 - 1"],
    ] as const
  ) {
    storage.poke(path, 0, bytes);
    const before = storage.hash();
    const refused = await assertRejects(
      () => importFromIggy("/p", "/taken", place),
      Deno.errors.InvalidData,
      text,
    );
    assertEquals(refused.message.includes(`'${path}'`), true);
    assertEquals(refused.message.includes("Remove the file"), true);
    assertEquals(storage.hash(), before);
    storage.removeSync(path);
  }
  storage.poke(path, 0, stored(7));
  await importFromIggy("/p", "/taken", place);
  storage.poke(path, 0, stored(8));
  await assertRejects(
    () => importFromIggy("/p", "/taken", place),
    Deno.errors.AlreadyExists,
    "cursor 'group-4' is at 8, and group 4 of the partition at 9",
  );
});

Deno.test("exportToIggy() and importFromIggy() leave consumers only beside all messages, after a crash at every operation", async () => {
  const place = await logWith({ c: 3, g: 4 }, 0, 4);
  const wanted = { consumers: { 1: "c" }, groups: { 2: "g" } };
  const whole = place.storage.crashState("none");
  const before = await exportToIggy("/log", "/p", {
    ...place,
    ...wanted,
    storage: whole,
  });
  const last = before.files.at(-1)!.name;
  const expected = offsetFiles(whole);
  assertEquals(Object.keys(expected).length, 2);
  const { pool } = place;
  await eachCrash(
    place.storage,
    (storage, pool) => exportToIggy("/log", "/p", { storage, pool, ...wanted }),
    async (left, what) => {
      const paths = [...left.snapshot().keys()];
      if (paths.includes(`/p/${last}`)) {
        assertEquals(offsetFiles(left), expected, what);
      }
      await exportToIggy("/log", "/p", { storage: left, pool, ...wanted });
      assertEquals(offsetFiles(left), expected, what);
    },
  );
  await eachCrash(
    whole,
    (storage, pool) => importFromIggy("/p", "/taken", { storage, pool }),
    async (left, what) => {
      const paths = [...left.snapshot().keys()];
      const names = ["/taken/cursors/consumer-1", "/taken/cursors/group-2"];
      if (paths.includes(`/taken/${last}`)) {
        assertEquals(names.filter((name) => !paths.includes(name)), [], what);
      }
      await importFromIggy("/p", "/taken", { storage: left, pool });
      assertEquals(
        await cursorsOf({ storage: left, pool }, "/taken"),
        { "consumer-1": 3, "group-2": 4 },
        what,
      );
    },
  );
  pool.close();
});
