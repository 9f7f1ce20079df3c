/**
 * Exports and imports without a server: what they do and report, round trips, and the largest
 * shapes.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { SimulatedDisk } from "@basalt/io/testing";
import fc from "fast-check";
import {
  exportToIggy,
  exportToIggySync,
  importFromIggy,
  importFromIggySync,
} from "../../lib/iggy/mod.ts";
import { dataDirectory, putFiles } from "./_data_directory.ts";
import {
  concat,
  fieldsOf,
  type Files,
  KIB,
  logNames,
  type MadeBatch,
  makeLog,
  makeSimpleLog,
  MIB,
  payload,
  putAll,
  readBatches,
  readLegacy,
  segmentFiles,
  testPool,
  TIME,
} from "./_support.ts";
import { written } from "../codec/legacy/_naive.ts";

const PARTITION = "/server/streams/0/topics/0/partitions/0";
const COUNT = 60;
const LOG = makeSimpleLog(COUNT);
const PARTITION_BYTES = [...LOG.values()]
  .reduce((sum, { length }) => sum + length, 0);

function place(version: string, log: Files = LOG) {
  const storage = new SimulatedDisk();
  putAll(storage, "/log", log);
  putFiles(storage, "/server", dataDirectory(version));
  return { storage, pool: testPool() };
}

const COMMON = {
  splits: { batchesByLength: 0, batchesByTime: 0, segments: 0 },
  producersRemoved: 0,
  zerosCut: 0,
  tornBytesCut: 0,
};

for (
  const [name, run] of [
    ["exportToIggy", exportToIggy],
    ["exportToIggySync", exportToIggySync],
  ] as const
) {
  Deno.test(`${name}() fills the empty partition, reports it before in a dry run, and leaves the log`, async () => {
    const options = place("0.9");
    const { storage } = options;
    const before = storage.hash();
    const plan = await run("/log", PARTITION, { ...options, dryRun: true });
    assertEquals(storage.hash(), before);
    assertEquals(plan, {
      ...COMMON,
      isDone: false,
      from: "/log",
      to: PARTITION,
      format: "0.9",
      partition: 0,
      firstOffset: 0,
      nextOffset: COUNT,
      messages: COUNT,
      batches: COUNT / 4,
      segments: 3,
      bytesRead: logNames(LOG).reduce(
        (n, each) => n + LOG.get(each)!.length,
        0,
      ),
      bytesWritten: PARTITION_BYTES,
      files: [],
      replaces: ["00000000000000000000.index", "00000000000000000000.log"],
      leaves: [],
      cursors: [],
      consumerOffsets: [{ kind: "consumer", id: 7, offset: 3 }],
    });
    const done = await run("/log", PARTITION, options);
    assertEquals(done, {
      ...plan,
      isDone: true,
      files: [...LOG].map(([name, { length }]) => ({
        name,
        byteLength: length,
        wasThere: false,
      })),
    });
    assertEquals(segmentFiles(storage, PARTITION), LOG);
    assertEquals(segmentFiles(storage, "/log"), LOG);
    // Once more: everything is there.
    const again = await run("/log", PARTITION, options);
    assertEquals(again.files.every(({ wasThere }) => wasThere), true);
    assertEquals(again.replaces, []);
    assertEquals(segmentFiles(storage, PARTITION), LOG);
  });
}

Deno.test("exportToIggy() finds a partition of Iggy 0.8 by names, of 0.9 by numbers", async () => {
  const old = place("0.8.1");
  const address = { dataDirectory: "/server", stream: "s", topic: "t" };
  const { to } = await exportToIggy("/log", address, { ...old, format: "0.8" });
  assertEquals(to, PARTITION);
  const recent = place("0.9");
  const numbers = { dataDirectory: "/server", stream: 0, topic: 0 };
  assertEquals((await exportToIggy("/log", numbers, recent)).to, PARTITION);
  const taken = await importFromIggy(numbers, "/taken", recent);
  assertEquals([taken.format, taken.messages], ["0.9", COUNT]);
});

Deno.test("exportToIggy() writes the partition's number into every batch, and importFromIggy() writes 0", async () => {
  const options = place("0.9");
  const { storage } = options;
  for (const number of [0, 7, 2 ** 32 - 1]) {
    const report = await exportToIggy("/log", `/p${number}`, {
      ...options,
      partition: number,
    });
    assertEquals(report.partition, number);
    const files = segmentFiles(storage, `/p${number}`);
    for (const name of logNames(files)) {
      const view = new DataView(files.get(name)!.buffer);
      assertEquals(view.getBigUint64(0, true), BigInt(number));
    }
    assertEquals(
      readBatches(files).map(fieldsOf),
      readBatches(LOG).map(fieldsOf),
    );
    await importFromIggy(`/p${number}`, `/taken${number}`, options);
    assertEquals(segmentFiles(storage, `/taken${number}`), LOG);
  }
  const { partition } = await exportToIggy("/log", "/x/partitions/3", options);
  assertEquals(partition, 3);
});

Deno.test("exportToIggy() removes producer sections, and importFromIggy() keeps them", async () => {
  const log = new Map(LOG);
  const name = logNames(log)[0]!;
  const bytes = Uint8Array.from(log.get(name)!);
  // A producer section needs another checksum, which restamping while keeping it calculates.
  bytes.set([1, 0, 0, 0, 9], 52);
  const { restamp } = await import("../../lib/codec/mod.ts");
  restamp(bytes, 0, 0, { keepsProducers: true });
  log.set(name, bytes);
  const options = place("0.9", log);
  const taken = await importFromIggy("/log", "/taken", options);
  assertEquals(taken.producersRemoved, 0);
  assertEquals(segmentFiles(options.storage, "/taken"), log);
  const report = await exportToIggy("/log", PARTITION, options);
  assertEquals(report.producersRemoved, 1);
  assertEquals(segmentFiles(options.storage, PARTITION), LOG);
});

Deno.test("exportToIggy() cuts zeros after the data", async () => {
  const options = place("0.9");
  const { storage } = options;
  const last = logNames(LOG).at(-1)!;
  const length = LOG.get(last)!.length;
  for (const more of [1, 255, 256, 5 * MIB]) {
    storage.poke(`/log/${last}`, length, new Uint8Array(more));
    const report = await exportToIggy("/log", `/p${more}`, options);
    assertEquals(report.zerosCut, more);
    assertEquals(segmentFiles(storage, `/p${more}`), LOG);
  }
});

Deno.test("exportToIggy() and importFromIggy() keep an empty last segment, and a first offset", async () => {
  const log = makeSimpleLog(20, { firstOffset: 1000 });
  log.set("00000000000000001020.log", new Uint8Array(0));
  log.set("00000000000000001020.index", new Uint8Array(0));
  const options = place("0.9", log);
  const { storage } = options;
  for (const format of ["0.9", "0.8"] as const) {
    const report = await exportToIggy("/log", `/p${format}`, {
      ...options,
      format,
    });
    assertEquals([report.firstOffset, report.nextOffset], [1000, 1020]);
    const taken = await importFromIggy(`/p${format}`, `/t${format}`, options);
    assertEquals([taken.format, taken.firstOffset], [format, 1000]);
    assertEquals(segmentFiles(storage, `/t${format}`), log);
  }
});

Deno.test("importFromIggy() of a partition without messages makes an empty log", async () => {
  const options = place("0.9");
  const report = await importFromIggy(PARTITION, "/taken", options);
  assertEquals([report.format, report.messages], [undefined, 0]);
  const files = segmentFiles(options.storage, "/taken");
  assertEquals([...files.values()].map(({ length }) => length), [0, 0]);
});

Deno.test("exportToIggy() splits a segment that would be too long for Iggy 0.8 between two batches", async () => {
  const options = place("0.9");
  const report = await exportToIggy("/log", "/p", {
    ...options,
    format: "0.8",
    segmentBytes: 4000,
  });
  const files = segmentFiles(options.storage, "/p");
  const messages = readLegacy(files);
  assertEquals(messages.map(fieldsOf), readBatches(LOG).map(fieldsOf));
  assertEquals(report.segments, logNames(files).length);
  assertEquals(report.splits.segments, report.segments - 3);
  assert(report.splits.segments > 2);
  for (const name of logNames(files).slice(0, -1)) {
    assert(files.get(name)!.length < 4000 + 4 * 464, name);
  }
  const back = await importFromIggy("/p", "/taken", options);
  assertEquals(back.batches, report.batches);
  assertEquals(
    readBatches(segmentFiles(options.storage, "/taken")).map(fieldsOf),
    messages.map(fieldsOf),
  );
});

Deno.test("importFromIggy() gathers equal times into batches of at most 1 MiB and 71 minutes, and reports which it split", async () => {
  const parts: Uint8Array[] = [];
  const add = (bytes: number, timestamp: number, origin: number) =>
    parts.push(written({
      id: new Uint8Array(16).fill(1),
      offset: BigInt(parts.length),
      timestamp: BigInt(timestamp),
      origin: BigInt(origin),
      payload: payload(parts.length, bytes),
      headers: new Uint8Array(0),
    }));
  for (let i = 0; i < 5; i++) add(300 * KIB, TIME, TIME);
  add(10, TIME + 1, TIME);
  add(10, TIME + 1, TIME - 2 ** 32);
  add(2 * MIB, TIME + 2, TIME);
  const options = place("0.9", new Map());
  putAll(
    options.storage,
    "/p",
    new Map([["00000000000000000000.log", concat(parts)]]),
  );
  const report = await importFromIggy("/p", "/taken", options);
  assertEquals(report.batches, 5);
  assertEquals(report.splits, {
    batchesByLength: 1,
    batchesByTime: 1,
    segments: 0,
  });
  const files = segmentFiles(options.storage, "/taken");
  const messages = readBatches(files);
  assertEquals(
    messages.map(({ timestamp }) => timestamp - TIME),
    [0, 0, 0, 0, 0, 1, 1, 2],
  );
  assertEquals(messages[6]!.originTimestamp, TIME - 2 ** 32);
  const target = "/back";
  await exportToIggy("/taken", target, { ...options, format: "0.8" });
  const back = segmentFiles(options.storage, target);
  assertEquals(back.get("00000000000000000000.log"), concat(parts));
});

Deno.test("exportToIggy() and importFromIggy() take batches and messages longer than a block", async () => {
  const batches: MadeBatch[] = [
    { step: 1, messages: [{ payload: payload(0, 100) }] },
    { step: 1, messages: [{ payload: payload(1, 7 * MIB) }] },
    {
      step: 1,
      messages: Array.from(
        { length: 9 },
        (_, i) => ({ payload: payload(2 + i, MIB + i) }),
      ),
    },
    { step: 1, messages: [{ payload: new Uint8Array(0) }] },
  ];
  const log = makeLog([batches]);
  const options = place("0.9", log);
  const { storage } = options;
  await exportToIggy("/log", "/p", options);
  assertEquals(same(segmentFiles(storage, "/p"), log), true);
  await exportToIggy("/log", "/old", { ...options, format: "0.8" });
  const old = segmentFiles(storage, "/old");
  assertEquals(readLegacy(old).length, 12);
  const report = await importFromIggy("/old", "/taken", options);
  assertEquals(report.splits.batchesByLength, 8);
  await exportToIggy("/taken", "/again", { ...options, format: "0.8" });
  assertEquals(same(segmentFiles(storage, "/again"), old), true);
});

function same(a: Files, b: Files): boolean {
  return a.size === b.size && [...a].every(([name, bytes]) => {
    const other = b.get(name);
    return other?.length === bytes.length &&
      bytes.every((byte, i) => byte === other[i]);
  });
}

const message = fc.record({
  payload: fc.uint8Array({ maxLength: 300 }),
  headers: fc.dictionary(
    fc.string({ minLength: 1, maxLength: 5, unit: "grapheme-ascii" }),
    fc.oneof(
      fc.string({ minLength: 1, maxLength: 9 }),
      fc.double(),
      fc.boolean(),
    ),
    { maxKeys: 3 },
  ).map((headers) => Object.fromEntries(Object.entries(headers))),
  id: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  origin: fc.integer({ min: TIME - 2 ** 31, max: TIME + 2 ** 31 - 1 }),
});
const segments = fc.array(
  fc.array(
    fc.record({
      step: fc.nat({ max: 2 }),
      messages: fc.array(message, { minLength: 1, maxLength: 6 }),
    }),
    { minLength: 1, maxLength: 8 },
  ),
  { minLength: 1, maxLength: 4 },
);

Deno.test("exportToIggy() and importFromIggy() preserve bytes through Iggy 0.9, and messages through Iggy 0.8", async () => {
  const pool = testPool();
  await fc.assert(
    fc.asyncProperty(
      segments,
      fc.nat({ max: 2 ** 40 }),
      fc.nat({ max: 9 }),
      fc.integer({ min: 1, max: 5000 }),
      async (made, firstOffset, partition, segmentBytes) => {
        const log = makeLog(made, { firstOffset });
        const storage = new SimulatedDisk();
        const options = { storage, pool };
        putAll(storage, "/log", log);
        exportToIggySync("/log", "/new", { ...options, partition });
        importFromIggySync("/new", "/taken", options);
        assertEquals(segmentFiles(storage, "/taken"), log);
        exportToIggySync("/log", "/old", {
          ...options,
          format: "0.8",
          segmentBytes,
        });
        const expected = readBatches(log).map(fieldsOf);
        const old = segmentFiles(storage, "/old");
        assertEquals(readLegacy(old).map(fieldsOf), expected);
        importFromIggySync("/old", "/gathered", options);
        const gathered = segmentFiles(storage, "/gathered");
        assertEquals(readBatches(gathered).map(fieldsOf), expected);
        exportToIggySync("/gathered", "/back", { ...options, format: "0.8" });
        const back = segmentFiles(storage, "/back");
        assertEquals(concatLogs(back), concatLogs(old));
        await Promise.resolve();
      },
    ),
    { numRuns: 60 },
  );
  pool.close();
});

function concatLogs(files: Files): Uint8Array {
  return concat(logNames(files).map((name) => files.get(name)!));
}

Deno.test("exportToIggy() reports progress", async () => {
  const options = place("0.9");
  const seen: [number, number][] = [];
  const { bytesRead } = await exportToIggy("/log", PARTITION, {
    ...options,
    onProgress: ({ bytes, totalBytes }) => seen.push([bytes, totalBytes]),
  });
  assertEquals(seen.at(-1), [bytesRead, bytesRead]);
  assertEquals(seen.length, 3);
});

Deno.test("exportToIggy() and importFromIggy() refuse arguments out of range by name", async () => {
  const options = place("0.9");
  const bad = async (run: Promise<unknown>, text: string) => {
    await assertRejects(() => run, Error, text);
  };
  await bad(
    exportToIggy("/log", "/p", { ...options, format: "0.7" as "0.8" }),
    "'format' must be",
  );
  await bad(
    exportToIggy("/log", "/p", { ...options, segmentBytes: 2 ** 31 }),
    "'segmentBytes'",
  );
  await bad(
    exportToIggy("/log", "/p", { ...options, partition: -1 }),
    "'partition'",
  );
  await bad(
    exportToIggy("/log", "/x/partitions/3", { ...options, partition: 4 }),
    "must be 3",
  );
  const small = testPool({ limitBytes: 16 * MIB });
  await bad(
    exportToIggy("/log", "/p", { ...options, pool: small }),
    "'pool' must have a limit of at least",
  );
  await bad(
    importFromIggy("/p", "/t", { ...options, tornTail: "no" as "cut" }),
    "'tornTail' must be",
  );
});
