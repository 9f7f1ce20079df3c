/** Reading compared with a naive model: a list of all messages. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { microsOf } from "../../../lib/base/mod.ts";
import { LogReader, OffsetOutOfRangeError } from "../../../lib/log/mod.ts";
import {
  CorruptSegmentError,
  type ReadOptions,
  SegmentReader,
} from "../../../lib/segment/mod.ts";
import type {
  StorageFile,
  StorageOpenOptions,
} from "../../../lib/storage/mod.ts";
import { SeededRandom } from "@basalt/io/testing";
import { PassingStorage } from "../_passing_storage.ts";
import {
  appendSome,
  at,
  batchesOf,
  drain,
  drainSync,
  FRAME,
  HEADER,
  KIB,
  MIB,
  onEachPlace,
  openLog,
  openLogSync,
  payload,
  type Read,
  type Readable,
  segment,
  SimulatedPlace,
} from "../_support.ts";
import {
  assertBytes,
  assertMade,
  DIR,
  diskWith,
  filesOf,
  make,
  on,
  placeOn,
  TIME,
} from "../recovery/_support.ts";

/** A message as the list holds it. */
interface Model {
  offset: number;
  length: number;
  timestamp: number;
}

// Several messages share a time, also across segments.
const timeOf = (offset: number) => TIME + 10 * Math.floor(offset / 7);
const LENGTHS = Array.from({ length: 240 }, (_, i) => (i * 37) % 500);
const FIRST = 20;
const SEGMENTS = [0, 60, 120, 200].map((from, i, all) =>
  make(FIRST + from, LENGTHS.slice(from, all[i + 1] ?? 240), timeOf)
);
const ALL: Model[] = LENGTHS.map((length, i) => ({
  offset: FIRST + i,
  length,
  timestamp: timeOf(FIRST + i),
}));
const END = FIRST + ALL.length;

/** Returns what reading the list with these options gives. */
function wanted(all: readonly Model[], options: ReadOptions): Model[] {
  const { from = 0, count = Infinity, maxBytes = Infinity } = options;
  const since = microsOf("read", "since", options.since ?? 0);
  const result: Model[] = [];
  let bytes = 0;
  for (const message of all) {
    if (message.offset < from || message.timestamp < since) continue;
    bytes += FRAME + message.length;
    if (result.length >= count) break;
    if (result.length > 0 && bytes > maxBytes) break;
    result.push(message);
  }
  return result;
}

function assertModel(
  read: readonly Read[],
  model: readonly Model[],
  what: string,
): void {
  assertEquals(
    read.map(({ offset, timestamp }) => [offset, timestamp]),
    model.map(({ offset, timestamp }) => [offset, timestamp]),
    what,
  );
  read.forEach((message, i) =>
    assertBytes(
      message.payload,
      payload(message.offset, model[i]!.length),
      `${what}: payload of ${message.offset}`,
    )
  );
}

/** Returns random options that sometimes hit an edge or just miss it. */
function randomOptions(
  random: SeededRandom,
  first: number,
  end: number,
): ReadOptions {
  const options: ReadOptions = {};
  if (random.chance(0.6)) options.from = first + random.below(end - first + 1);
  if (random.chance(0.4)) {
    options.since = timeOf(first + random.below(end - first + 10)) +
      random.below(3) - 1;
  }
  if (random.chance(0.4)) options.count = random.below(150);
  if (random.chance(0.4)) {
    // Exactly the size of some messages, or a byte less.
    const messages = random.below(100);
    const bytes = LENGTHS.slice((options.from ?? FIRST) - FIRST)
      .slice(0, messages).reduce((sum, length) => sum + FRAME + length, 0);
    options.maxBytes = Math.max(0, bytes - random.below(2));
  }
  return options;
}

Deno.test("Log.read() and readSync() give what a list gives, across several segments", () =>
  on(filesOf(...SEGMENTS), async (place) => {
    const log = openLogSync(place);
    const reader = new LogReader(DIR, {
      storage: place.storage,
      pool: place.pool,
    });
    const random = new SeededRandom(1);
    for (let round = 0; round < 300; round++) {
      const options = randomOptions(random, FIRST, END);
      const model = wanted(ALL, options);
      const what = JSON.stringify(options);
      assertModel(drainSync(log, options), model, `readSync ${what}`);
      assertModel(drainSync(reader, options), model, `reader ${what}`);
      if (round % 4 > 0) continue;
      assertModel(await drain(log, options), model, `read ${what}`);
      assertModel(await drain(reader, options), model, `async reader ${what}`);
    }
    log.closeSync();
  }));

Deno.test("Log.read() gives what a list gives of batches with many messages", () =>
  at(new SimulatedPlace(), async (place) => {
    const random = new SeededRandom(7);
    const log = openLogSync(place, { segmentBytes: 300 * KIB });
    const lengths: number[] = [];
    while (lengths.length < 2000) {
      const count = 1 + random.below(60);
      const own = Array.from({ length: count }, () => random.below(2000));
      const first = lengths.length;
      const batch = own.map((length, i) => payload(first + i, length));
      if (random.chance(0.5)) log.appendBatch(batch);
      else for (const each of batch) log.append(each);
      lengths.push(...own);
      if (random.chance(0.5)) log.flushSync();
    }
    log.flushSync();
    const reader = new LogReader(place.dir, place);
    const all = drainSync(log).map(({ offset, timestamp }): Model => ({
      offset,
      length: lengths[offset]!,
      timestamp,
    }));
    assertEquals(all.length, lengths.length);
    for (let round = 0; round < 200; round++) {
      const from = random.below(lengths.length + 1);
      const options: ReadOptions = { from, count: random.below(100) };
      if (round % 3 === 0) options.maxBytes = random.below(50_000);
      if (round % 4 === 0) {
        options.since = all[random.below(all.length)]!.timestamp +
          random.below(3) - 1;
      }
      const what = JSON.stringify(options);
      assertModel(drainSync(log, options), wanted(all, options), what);
      assertModel(await drain(reader, options), wanted(all, options), what);
    }
    log.closeSync();
  }));

Deno.test("Log.read() gives what a list gives whatever the index of a sealed segment says", () =>
  on(filesOf(...SEGMENTS), (place) => {
    const log = openLogSync(place);
    const reader = new LogReader(DIR, {
      storage: place.storage,
      pool: place.pool,
    });
    const random = new SeededRandom(2);
    for (let round = 0; round < 300; round++) {
      const { firstOffset, index } = SEGMENTS[random.below(4)]!;
      const spoiled = index.slice();
      switch (random.below(5)) {
        case 0:
          random.fill(spoiled);
          break;
        case 4: {
          // Right except for the times.
          const view = new DataView(spoiled.buffer);
          const time = timeOf(FIRST + random.below(240));
          for (let at = 0; at < spoiled.length; at += 24) {
            view.setBigUint64(at + 8, BigInt(time), true);
          }
          break;
        }
        case 1:
          spoiled.copyWithin(random.below(24), random.below(24));
          break;
        case 2: {
          // Right numbers, wrong positions and times.
          const view = new DataView(spoiled.buffer);
          for (let at = 0; at < spoiled.length; at += 24) {
            view.setBigUint64(at + 16, BigInt(random.below(30_000)), true);
            if (round % 2 === 0) {
              view.setBigUint64(at + 8, BigInt(TIME + random.below(600)), true);
            }
          }
          break;
        }
        default:
          for (let i = 0; i < 20; i++) {
            spoiled[random.below(spoiled.length)] = random.next();
          }
      }
      const path = `${DIR}/${segment(firstOffset)}.index`;
      place.storage.poke(path, 0, spoiled);
      const options = randomOptions(random, FIRST, END);
      const what = `round ${round}: ${JSON.stringify(options)}`;
      assertModel(drainSync(log, options), wanted(ALL, options), what);
      assertModel(drainSync(reader, options), wanted(ALL, options), what);
      place.storage.poke(path, 0, index);
    }
    log.closeSync();
  }));

Deno.test("SegmentReader gives what a list gives", () =>
  on(filesOf(...SEGMENTS), async (place) => {
    const made = SEGMENTS[2]!;
    const path = `${DIR}/${segment(made.firstOffset)}`;
    const reader = new SegmentReader({
      log: place.storage.openSync(`${path}.log`),
      index: place.storage.openSync(`${path}.index`),
      firstOffset: made.firstOffset,
      pool: place.pool,
    });
    const all = ALL.filter(({ offset }) =>
      offset >= made.firstOffset && offset < SEGMENTS[3]!.firstOffset
    );
    const random = new SeededRandom(3);
    for (let round = 0; round < 100; round++) {
      const options = randomOptions(
        random,
        made.firstOffset,
        made.firstOffset + 80,
      );
      const what = JSON.stringify(options);
      assertModel(drainSync(reader, options), wanted(all, options), what);
      assertModel(await drain(reader, options), wanted(all, options), what);
    }
    reader.closeSync();
  }));

onEachPlace(
  "Log.read() gives what was written while the log is open, and no more",
  async (place) => {
    const log = await openLog(place, {
      segmentBytes: 20 * KIB,
      prepareBytes: 64 * KIB,
    });
    const model: Model[] = [];
    const random = new SeededRandom(4);
    for (let round = 0; round < 40; round++) {
      for (let i = random.below(12); i >= 0; i--) {
        const length = random.below(3000);
        const offset = log.append(payload(log.nextOffset, length));
        model.push({ offset, length, timestamp: 0 });
      }
      if (round % 2 === 0) await log.flush();
      else await log.flush({ durability: "none" });
      const written = model.slice(0, log.writtenOffset);
      const from = random.below(written.length + 1);
      const expected = written.slice(from).map(({ length }) => length);
      assertMade(await drain(log, { from }), from, expected);
      assertMade(drainSync(log, { from }), from, expected);
      const reader = new LogReader(place.dir, {
        storage: place.storage,
        pool: place.pool,
      });
      assertMade(await drain(reader, { from }), from, expected);
      assertMade(drainSync(reader, { from }), from, expected);
    }
    const before = log.nextOffset;
    log.append("in memory");
    assertEquals((await drain(log)).length, log.writtenOffset);
    assertEquals(log.writtenOffset, before);
    await log.close();
  },
);

onEachPlace(
  "Log.read() and readSync() give messages across block boundaries and larger than a block",
  async (place) => {
    const lengths = [
      ...[700, 700, 700, 323, 1, 1023, 1024, 1025].map((kib) => kib * KIB),
      0,
      MIB - HEADER,
      3 * MIB + 1,
      10,
      10 * MIB,
      ...Array.from({ length: 30 }, (_, i) => 40_000 + i),
      MIB - 40,
      100,
    ];
    const log = await openLog(place, { segmentBytes: 64 * MIB });
    for (const length of lengths) {
      log.append(payload(log.nextOffset, length));
      if (log.stats().pendingBytes > 8 * MIB) await log.flush();
    }
    await log.flush();
    assertMade(await drain(log), 0, lengths);
    assertMade(drainSync(log), 0, lengths);
    for (const from of [8, 10, 12, 13, 44]) {
      assertMade(drainSync(log, { from }), from, lengths.slice(from));
    }
    await log.close();
  },
);

Deno.test("Log.read() returns to small blocks after a large message", () => {
  const lengths = [
    10,
    40 * MIB,
    ...Array.from({ length: 60 }, () => 500 * KIB),
  ];
  return on(filesOf(make(0, lengths)), (place) => {
    const log = openLogSync(place);
    const start = place.storage.trace.length;
    assertEquals(drainSync(log).length, lengths.length);
    const reads = place.storage.trace.slice(start).filter(({ kind }) =>
      kind === "read"
    );
    const large = reads.filter(({ length }) => length! > 8 * MIB);
    assertEquals(large.length, 1);
    log.closeSync();
  });
});

Deno.test("MessageBatch gives the positions of its messages; once dropped it has empty views and no messages", () =>
  on(filesOf(...SEGMENTS), (place) => {
    const log = openLogSync(place);
    const batches = log.readSync();
    const batch = batches.next().value!;
    assertEquals(batch.firstOffset, FIRST);
    assertEquals(batch.nextOffset, FIRST + batch.count);
    assertEquals(batch.starts.length, batch.count);
    const lengths = LENGTHS.slice(0, batch.count);
    assertEquals(
      batch.byteLength,
      lengths.reduce((sum, length) => sum + FRAME + length, 0),
    );
    assertEquals(batch.offset(3), FIRST + 3);
    assertEquals(batch.timestamp(3), timeOf(FIRST + 3));
    const view = batch.payload(3);
    const message = batch.message(3);
    const { bytes } = batch;
    assertEquals(view, payload(FIRST + 3, LENGTHS[3]!));
    assertEquals(message.payload, view);
    for (const i of [-1, 0.5, batch.count]) {
      assertThrows(() => batch.payload(i), RangeError, String(i));
    }
    batch.drop();
    batch.drop();
    assertEquals([view.length, bytes.length], [0, 0]);
    assertThrows(() => batch.payload(3), TypeError);
    assertThrows(() => message.offset, RangeError);
    batches.return?.();
    log.closeSync();
  }));

Deno.test("Log.read() closes its files and returns its memory when its loop is left early", () =>
  on(filesOf(...SEGMENTS), async (place) => {
    const log = openLogSync(place);
    const { inUseBytes } = place.pool.stats();
    for await (using batch of log.read()) {
      assert(batch.count > 0);
      break;
    }
    for (using each of log.readSync()) {
      assert(each.count > 0);
      break;
    }
    assertEquals(place.pool.stats().inUseBytes, inUseBytes);
    log.closeSync();
  }));

Deno.test("Log.read() refuses options out of range, by name", () =>
  on(filesOf(...SEGMENTS), (place) => {
    const log = openLogSync(place);
    for (const name of ["from", "since", "count", "maxBytes"]) {
      for (const value of [-1, 0.5, NaN, 2 ** 53]) {
        for (const call of ["read", "readSync"] as const) {
          assertThrows(
            () => log[call]({ [name]: value }),
            RangeError,
            `'${name}'`,
          );
        }
      }
    }
    log.closeSync();
  }));

/** Reads until an error, and returns it with the offsets read before. */
async function until(
  from: Readable,
  options?: ReadOptions,
): Promise<{ read: number[]; error: Error | undefined }> {
  const read: number[] = [];
  try {
    for await (using batch of from.read(options)) {
      for (let i = 0; i < batch.count; i++) read.push(batch.offset(i));
    }
  } catch (error) {
    return { read, error: error as Error };
  }
  return { read, error: undefined };
}

/** The same where the error must be damage. */
async function damaged(
  from: Readable,
  what: string,
): Promise<{ read: number[]; error: CorruptSegmentError }> {
  const { read, error } = await until(from);
  if (error instanceof CorruptSegmentError) return { read, error };
  throw new Error(`not corrupt, ${what}`, { cause: error });
}

Deno.test("Log.read() below the first or above the next offset is OffsetOutOfRangeError with both", () =>
  on(filesOf(...SEGMENTS), async (place) => {
    const log = openLogSync(place);
    for (const from of [0, FIRST - 1, END + 1, Number.MAX_SAFE_INTEGER]) {
      const error = await assertRejects(
        () => drain(log, { from }),
        OffsetOutOfRangeError,
      );
      const { path, offset, firstOffset, nextOffset } = error;
      assertEquals([path, offset, firstOffset, nextOffset], [
        DIR,
        from,
        FIRST,
        END,
      ]);
      assertThrows(() => drainSync(log, { from }), OffsetOutOfRangeError);
    }
    assertEquals(drainSync(log, { from: END }), []);
    const reader = new LogReader(DIR, {
      storage: place.storage,
      pool: place.pool,
    });
    for (const from of [0, FIRST - 1]) {
      const error = await assertRejects(
        () => drain(reader, { from }),
        OffsetOutOfRangeError,
      );
      assertEquals([error.offset, error.firstOffset], [from, FIRST]);
      // A reader does not know where the log ends.
      assertEquals([error.path, error.nextOffset], [DIR, undefined]);
    }
    log.closeSync();
  }));

/** Calls back each time before a `.log` is opened. */
class BeforeLogs extends PassingStorage {
  before = (): void => {};

  override async open(
    path: string,
    options?: StorageOpenOptions,
  ): Promise<StorageFile> {
    if (path.endsWith(".log")) this.before();
    return await super.open(path, options);
  }

  override openSync(path: string, options?: StorageOpenOptions): StorageFile {
    if (path.endsWith(".log")) this.before();
    return super.openSync(path, options);
  }
}

for (const kind of ["Log", "LogReader"] as const) {
  onEachPlace(
    `${kind}: reading since a time continues where segments are truncated before they are opened`,
    async (place) => {
      const storage = new BeforeLogs(place.storage);
      const log = await openLog(
        Object.create(place, { storage: { value: storage } }),
        { segmentBytes: 4 * KIB, tailBytes: 0 },
      );
      appendSome(log, 60, 936);
      await log.flush();
      const { pool } = place;
      const source = kind === "Log"
        ? log
        : new LogReader(place.dir, { storage, pool });
      let truncations = 0;
      storage.before = () => {
        if (truncations++ > 4) return;
        const { before } = storage;
        storage.before = () => {};
        log.truncateBeforeSync(log.firstOffset + 6);
        storage.before = before;
      };
      const found = await drain(source, { since: 1 });
      assert(log.firstOffset >= 20, "nothing was truncated");
      assertEquals(
        found.map(({ offset }) => offset),
        Array.from(
          { length: 60 - log.firstOffset },
          (_, i) => log.firstOffset + i,
        ),
      );
      // The requested start is gone.
      truncations = 0;
      const from = log.firstOffset;
      await assertRejects(
        () => drain(source, { since: 1, from }),
        OffsetOutOfRangeError,
      );
      await log.close();
    },
  );
}

for (const kind of ["Log", "LogReader"] as const) {
  onEachPlace(
    `${kind}: truncation while reading is OffsetOutOfRangeError at the first message that is gone`,
    async (place) => {
      const log = await openLog(place, { segmentBytes: 10 * KIB });
      appendSome(log, 60, 936);
      await log.flush();
      const segmentEnd = batchesOf(place.bytes(`${segment(0)}.log`))
        .reduce((sum, { count }) => sum + count, 0);
      const source = kind === "Log" ? log : new LogReader(place.dir, {
        storage: place.storage,
        pool: place.pool,
      });
      const read: number[] = [];
      const reading = async () => {
        for await (using batch of source.read()) {
          read.push(batch.offset(0), batch.nextOffset);
          if (read.length === 2) await log.truncateBefore(35);
        }
      };
      const error = await assertRejects(reading, OffsetOutOfRangeError);
      const { firstOffset } = log;
      assert(firstOffset > 20 && firstOffset <= 35);
      // The segment that is being read is read to its end.
      assertEquals([read[0], read.at(-1)], [0, segmentEnd]);
      assertEquals([error.offset, error.firstOffset], [
        segmentEnd,
        firstOffset,
      ]);
      assertEquals((await drain(source)).length, 60 - firstOffset);
      await log.close();
    },
  );
}

Deno.test("Log.read() gives everything before a flipped byte of a sealed segment, then CorruptSegmentError with its position", async () => {
  const lengths = [0, 50, 10, 200, 0, 70];
  const parts = [0, 6, 12].map((first) => make(first, lengths));
  const disk = diskWith(filesOf(...parts));
  const place = placeOn(disk);
  const log = openLogSync(place);
  const reader = new LogReader(DIR, { storage: disk, pool: place.pool });
  const made = parts[1]!;
  const path = `${DIR}/${segment(6)}.log`;
  for (let at = 0; at < made.log.length; at++) {
    disk.flipBit(path, at, at % 8);
    const bad = made.starts.findLastIndex((start) => start <= at);
    for (const source of [log, reader]) {
      const { read, error } = await damaged(source, `byte ${at}`);
      assertEquals(error.path, path);
      assertEquals([error.position, error.offset], [made.starts[bad], 6 + bad]);
      assertEquals(
        read,
        Array.from({ length: 6 + bad }, (_, i) => i),
        `byte ${at}`,
      );
      // The messages of the next segment can be read.
      const behind = await until(source, { from: 12 });
      assertEquals([behind.read.length, behind.error], [6, undefined]);
    }
    assertThrows(() => drainSync(log), CorruptSegmentError);
    disk.flipBit(path, at, at % 8);
  }
  assertEquals((await until(reader)).read.length, 18);
  log.closeSync();
});

Deno.test("Log.read() of a sealed segment that lost its end is CorruptSegmentError where the data ends", async () => {
  const lengths = [0, 50, 10, 200];
  const parts = [0, 4, 8].map((first) => make(first, lengths));
  for (let length = 0; length < parts[1]!.log.length; length += 3) {
    for (const exact of [undefined, 0, 1, 2, 3]) {
      const size = exact === undefined ? length : parts[1]!.starts[exact]!;
      if (exact !== undefined && length > 0) continue;
      const disk = diskWith(filesOf(...parts));
      const place = placeOn(disk);
      const log = openLogSync(place);
      const path = `${DIR}/${segment(4)}.log`;
      const file = disk.openSync(path, { write: true });
      file.truncateSync(size);
      file.closeSync();
      const whole = parts[1]!.starts.findLastIndex((start) => start <= size);
      for (
        const source of [
          log,
          new LogReader(DIR, { storage: disk, pool: place.pool }),
        ]
      ) {
        const { read, error } = await damaged(source, `${size} bytes`);
        assertEquals([error.position, error.offset], [
          parts[1]!.starts[whole],
          4 + whole,
        ]);
        assertEquals(read.length, 4 + whole);
      }
      log.closeSync();
    }
  }
});
