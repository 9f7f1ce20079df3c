/**
 * `LogReader` beside a writer gives whole batches in order, or an error where there is damage:
 * docs/format.md#read-whole-batches, docs/format.md#read-not-yet, docs/format.md#read-classify,
 * docs/format.md#read-range, docs/format.md#read-replaced, docs/format.md#read-owner-retry.
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  Log,
  LogReader,
  OffsetOutOfRangeError,
  verifyLog,
} from "../../../lib/log/mod.ts";
import { CorruptSegmentError } from "../../../lib/segment/mod.ts";
import { LockedError } from "../../../lib/storage/mod.ts";
import { SeededRandom, SimulatedDisk } from "@basalt/io/testing";
import {
  appendSome,
  drain,
  drainSync,
  KIB,
  MIB,
  onEachPlace,
  openLog,
  openLogSync,
  payload,
  type Place,
  segment,
} from "../_support.ts";
import { PassingStorage } from "../_passing_storage.ts";
import {
  assertBytes,
  assertMade,
  DIR,
  diskWith,
  type Files,
  filesOf,
  flipped,
  joined,
  LEFT_OPEN,
  make,
  metaFile,
  on,
  ownerFile,
  placeOn,
} from "../recovery/_support.ts";

function readerOf(place: Pick<Place, "dir" | "storage" | "pool">): LogReader {
  const { storage, pool } = place;
  return new LogReader(place.dir, { storage, pool });
}

onEachPlace(
  "LogReader reads what was written in the same process, before and after closing",
  async (place) => {
    const log = await openLog(place, {
      segmentBytes: 20 * KIB,
      prepareBytes: 100 * KIB,
    });
    const reader = readerOf(place);
    assertEquals(await drain(reader), []);
    appendSome(log, 1, 1000);
    assertEquals(await drain(reader), []);
    appendSome(log, 49, 1000);
    await log.flush();
    const lengths = Array.from({ length: 50 }, () => 1000);
    assertMade(await drain(reader), 0, lengths);
    assertMade(drainSync(reader, { from: 30 }), 30, lengths.slice(30));
    await log.close();
    assertMade(await drain(reader), 0, lengths);
    assertEquals(await drain(reader, { from: 50 }), []);
    const error = await assertRejects(
      () => drain(reader, { from: 51 }),
      OffsetOutOfRangeError,
    );
    assertEquals([error.firstOffset, error.nextOffset], [0, 50]);
  },
);

Deno.test("LogReader of a directory without a log is NotFound that says what a log looks like", () =>
  on({ "notes.txt": payload(1, 5) }, async (place) => {
    await assertRejects(
      () => drain(readerOf(place)),
      Deno.errors.NotFound,
      "00000000000000000000.log",
    );
    const reader = new LogReader("/nowhere", {
      storage: place.storage,
      pool: place.pool,
    });
    assertThrows(() => drainSync(reader), Deno.errors.NotFound);
  }));

/**
 * Appends, flushes, rolls and truncates at random with several flushes in flight, and closes after
 * a number of steps.
 */
async function write(
  log: Log,
  random: SeededRandom,
  rounds: number,
): Promise<void> {
  const pending: Promise<unknown>[] = [];
  for (let round = 0; round < rounds; round++) {
    for (let i = random.below(8); i >= 0; i--) {
      const offset = log.nextOffset;
      log.append(payload(offset, (offset * 997) % 5000));
    }
    const work = log.flush({
      durability: random.chance(0.5) ? "none" : "data",
    });
    if (random.chance(0.5)) await work;
    else pending.push(work);
    if (random.chance(0.05)) {
      pending.push(log.truncateBefore(random.below(log.nextOffset)));
    }
  }
  await Promise.all(pending);
  await log.close();
}

Deno.test("LogReader beside a writer reads a prefix and never finds damage, whatever is in flight", async () => {
  for (let seed = 0; seed < 25; seed++) {
    const random = new SeededRandom(seed);
    const disk = new SimulatedDisk({ seed });
    // Every operation takes a different time.
    disk.onOperation(({ kind }) => ({
      latencyMs: random.below(kind === "write" ? 20 : 3),
    }));
    const place = placeOn(disk);
    const log = await openLog(place, {
      segmentBytes: 60 * KIB,
      blockBytes: 8 * KIB,
      prepareBytes: [0, 16 * KIB, MIB][seed % 3]!,
    });
    const reader = readerOf(place);
    let over = false;
    const writing = write(log, random, 40).then(() => over = true);
    let end = 0;
    let reads = 0;
    while (!over) {
      const from = Math.max(log.firstOffset, random.below(end + 1));
      let offset = from;
      try {
        for await (using batch of reader.read({ from })) {
          for (let i = 0; i < batch.count; i++, offset++) {
            assertEquals(batch.offset(i), offset);
            const expected = payload(offset, (offset * 997) % 5000);
            assertBytes(batch.payload(i), expected, `offset ${offset}`);
          }
        }
      } catch (error) {
        // The message was truncated meanwhile. Any other error is wrong.
        if (!(error instanceof OffsetOutOfRangeError)) {
          throw new Error(`seed ${seed}`, { cause: error });
        }
        assert(log.firstOffset > offset);
        continue;
      }
      // The end only moves forwards.
      if (from <= end) assert(offset >= end || log.firstOffset > from);
      end = Math.max(end, offset);
      reads++;
    }
    await writing;
    assert(reads > 5, `seed ${seed}: ${reads} reads`);
    const first = log.firstOffset;
    assertEquals((await drain(reader)).length, log.nextOffset - first);
  }
});

Deno.test("LogReader reads what a writer writes between a read and the check for the writer, also if it closes", () => {
  // The reader meets zeros and checks for a writer. By then there is more data and no writer.
  for (const prepared of [false, true]) {
    const disk = new SimulatedDisk();
    const place = placeOn(disk);
    const log = openLogSync(place);
    appendSome(log, 3, 1000);
    log.flushSync();
    const path = `${DIR}/${segment(0)}.log`;
    if (prepared) {
      const file = disk.openSync(path, { write: true });
      file.truncateSync(MIB);
      file.closeSync();
    }
    let looks = 0;
    disk.onOperation(({ kind, path }) => {
      if (kind !== "open" || path !== `${DIR}/writer` || ++looks > 1) return;
      appendSome(log, 3, 1000);
      log.closeSync();
    });
    const read = drainSync(readerOf(place));
    assert(looks >= 1);
    assertEquals(read.length, 6);
  }
});

Deno.test("LogReader reads a half-written message again", async () => {
  // Half of its bytes are there, then all of them, as on a disk that writes blocks one by one.
  const made = make(0, [100, 9000, 50]);
  for (let seed = 0; seed < 10; seed++) {
    const disk = diskWith({
      [`${segment(0)}.log`]: joined(
        made.log.slice(0, 5000),
        new Uint8Array(60_000),
      ),
      [`${segment(0)}.index`]: new Uint8Array(0),
      ...LEFT_OPEN,
    });
    const place = placeOn(disk);
    // The lock is held as by a writer.
    const lock = disk.lock(DIR)!;
    let reads = 0;
    disk.onOperation(({ kind, path }) => {
      if (kind !== "read" || !path.endsWith(".log")) return;
      if (++reads === 2 + seed % 4) {
        disk.poke(`${DIR}/${segment(0)}.log`, 0, made.log);
      }
    });
    assertMade(await drain(readerOf(place)), 0, [100, 9000, 50]);
    lock.release();
  }
});

/** Reads everything, and returns it with the final error. */
function outcome(
  files: Files,
  locked: boolean,
): { count: number; error: Error | undefined } {
  const disk = diskWith(files);
  const place = placeOn(disk);
  const lock = locked ? disk.lock(DIR) : undefined;
  const before = disk.hash();
  let count = 0;
  try {
    for (using batch of readerOf(place).readSync()) count += batch.count;
    return { count, error: undefined };
  } catch (error) {
    return { count, error: error as Error };
  } finally {
    lock?.release();
    // Reading changes nothing, whatever it finds.
    assertEquals(disk.hash(), before);
  }
}

const OTHER = "ffffffff-ffff-4fff-8fff-ffffffffffff";
const LENGTHS = [100, 3000, 5000, 10];
const MADE = make(0, LENGTHS);
const { starts } = MADE;

const NAME = `${segment(0)}.log`;

function damagedAt(position: number, log = MADE.log): Files {
  return { ...filesOf(MADE), ...LEFT_OPEN, [NAME]: flipped(log, position) };
}

/** Fails unless the error is damage at this message. */
function assertDamage(
  error: Error | undefined,
  message: number,
  what = "",
): void {
  assert(error instanceof CorruptSegmentError, `${what}: ${error}`);
  const { position, offset, path } = error as CorruptSegmentError;
  assertEquals([position, offset], [starts[message], message], what);
  assertEquals(path, `${DIR}/${NAME}`, what);
}

Deno.test("LogReader reports a bad batch below the durable offset as damage, and takes one above it for unwritten", () => {
  for (const isLocked of [false, true]) {
    for (let durable = 0; durable <= 4; durable++) {
      for (let bad = 0; bad < 4; bad++) {
        const files = {
          ...damagedAt(starts[bad]! + 310),
          writer: ownerFile(durable),
        };
        const what = `${isLocked}, durable ${durable}, bad ${bad}`;
        const { count, error } = outcome(files, isLocked);
        assertEquals(count, bad, what);
        // Without a writer the index is evidence as well: here of the first batch.
        const isVouched = bad < durable || !isLocked && bad === 0;
        if (isVouched) assertDamage(error, bad, what);
        else assertEquals(error, undefined, what);
      }
    }
  }
});

Deno.test("LogReader reports a bad batch of a closed log as damage", () => {
  for (let bad = 0; bad < 4; bad++) {
    const files = { ...filesOf(MADE), ...damagedAt(starts[bad]! + 310) };
    delete files["writer"];
    const { count, error } = outcome(files, false);
    assertEquals(count, bad);
    assertDamage(error, bad);
  }
  for (const zeros of [1, 256, 100_000]) {
    const log = joined(MADE.log, new Uint8Array(zeros));
    const { count, error } = outcome({ ...filesOf(MADE), [NAME]: log }, false);
    assertEquals(count, 4);
    assertDamage(error, 4);
  }
});

Deno.test("LogReader takes zeros or half a batch at the end for the end, with and without a writer", () => {
  for (const isLocked of [false, true]) {
    for (const zeros of [1, 64, 100_000]) {
      const files = {
        ...filesOf(MADE),
        ...LEFT_OPEN,
        [NAME]: joined(MADE.log, new Uint8Array(zeros)),
      };
      assertEquals(outcome(files, isLocked), { count: 4, error: undefined });
    }
    for (let length = starts[3]! + 1; length < starts[4]!; length++) {
      const files = {
        ...filesOf(MADE),
        ...LEFT_OPEN,
        [NAME]: MADE.log.slice(0, length),
      };
      assertEquals(outcome(files, isLocked), { count: 3, error: undefined });
    }
    // A writer fills holes, and opening cuts them.
    const hole = MADE.log.slice().fill(0, starts[1], starts[2]);
    const files = { ...filesOf(MADE), ...LEFT_OPEN, [NAME]: hole };
    assertEquals(outcome(files, isLocked), { count: 1, error: undefined });
  }
});

Deno.test("LogReader reports a bad batch that a dead writer cannot have left as damage", () => {
  const made = make(0, [100, 17 * MIB, 10]);
  const log = flipped(made.log, made.starts[1]! + 400);
  const files = { ...filesOf(made), ...LEFT_OPEN, [NAME]: log };
  assertEquals(outcome(files, true), { count: 1, error: undefined });
  const { count, error } = outcome(files, false);
  assertEquals(count, 1);
  assert(error instanceof CorruptSegmentError);
});

Deno.test("LogReader reads an owner file in transition again", () => {
  const place = placeOn(diskWith({
    ...damagedAt(starts[1]! + 310),
    writer: flipped(ownerFile(4), 56),
  }));
  const disk = place.storage;
  const lock = disk.lock(DIR)!;
  let looks = 0;
  disk.onOperation(({ kind, path }) => {
    if (kind !== "open" || path !== `${DIR}/writer` || ++looks !== 2) return;
    disk.poke(`${DIR}/writer`, 0, ownerFile(4));
  });
  assertThrows(() => drainSync(readerOf(place)), CorruptSegmentError);
  assert(looks >= 2);
  lock.release();
});

Deno.test("LogReader reads with 'durable' up to the published durable offset", async () => {
  for (let durable = 0; durable <= 4; durable++) {
    for (const from of [undefined, 0, 2, 4]) {
      for (const isLocked of [false, true]) {
        const place = placeOn(
          diskWith({ ...filesOf(MADE), writer: ownerFile(durable) }),
        );
        const lock = isLocked ? place.storage.lock(DIR) : undefined;
        const reader = readerOf(place);
        const options = { durable: true, ...from !== undefined && { from } };
        const wanted = LENGTHS.slice(from ?? 0, durable);
        assertMade(drainSync(reader, options), from ?? 0, wanted);
        assertMade(await drain(reader, options), from ?? 0, wanted);
        const few = drainSync(reader, { ...options, count: 2 });
        assertMade(few, from ?? 0, wanted.slice(0, 2));
        lock?.release();
      }
    }
  }
  // A closed log is durable to its end.
  const closed = readerOf(placeOn(diskWith(filesOf(MADE))));
  assertMade(drainSync(closed, { durable: true }), 0, LENGTHS);
});

Deno.test("LogReader.tail() with 'durable' follows what the writer publishes, across its close and the next opening", async () => {
  const place = placeOn(new SimulatedDisk());
  const first = await openLog(place);
  const tail = readerOf(place).tail({ durable: true });
  const seen: number[] = [];
  const take = async (count: number) => {
    while (seen.length < count) {
      using batch = (await tail.next()).value!;
      for (let i = 0; i < batch.count; i++) seen.push(batch.offset(i));
    }
  };
  appendSome(first, 3, 100);
  await first.close();
  await take(3);
  const second = await openLog(place, { flushAfterMs: 0 });
  appendSome(second, 2, 100);
  await second.flush({ durability: "none" });
  let isOver = false;
  const more = take(5).then(() => isOver = true);
  for (let i = 0; i < 300; i++) {
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  assertEquals([isOver, seen], [false, [0, 1, 2]]);
  await second.flush();
  await more;
  assertEquals(seen, [0, 1, 2, 3, 4]);
  await second.close();
  await tail.return!();
});

Deno.test("LogReader treats unpaired files and segments below the first offset as the format says", () => {
  const second = make(4, LENGTHS);
  const all = { ...filesOf(MADE, second) };
  const log = (first: number) => `${segment(first)}.log`;
  const index = (first: number) => `${segment(first)}.index`;
  const empty = new Uint8Array(0);
  const without = (...names: string[]): Files =>
    Object.fromEntries(
      Object.entries(all).filter(([name]) => !names.includes(name)),
    );
  type Kind = CorruptSegmentError["kind"];
  /** Files, messages, the kind of the error, and that of a closed log where it differs. */
  const cases: [Files, number, (Kind | undefined)?, Kind?][] = [
    [all, 8],
    [without("meta"), 8],
    [without(index(0)), 8],
    [without(index(0), index(4)), 8],
    [without(index(4)), 8],
    [{ ...all, [log(8)]: empty }, 8],
    [{ ...all, [index(8)]: empty }, 8, undefined, "missing"],
    [{ ...all, [log(8)]: empty, [index(8)]: empty }, 8],
    [{ ...all, [index(8)]: second.index }, 8, "missing"],
    [without(log(4)), 4, "missing"],
    [without(log(0)), 0, "missing"],
    [{ ...all, [log(0)]: empty }, 0, "gap"],
    [filesOf(MADE, make(5, LENGTHS)), 4, "gap"],
    [{ ...filesOf(second), meta: all["meta"]! }, 0, "gap"],
    [{ meta: all["meta"]! }, 0, "missing"],
    [{ ...all, meta: metaFile(4) }, 4],
    [{ ...without(log(0)), meta: metaFile(4) }, 4],
    [{ ...without(index(0)), meta: metaFile(4) }, 4],
    [{ ...all, [`${log(8)}.tmp`]: empty, [`${segment(4)}.0.0.cut`]: empty }, 8],
  ];
  for (const [i, [files, expected, kind, closed]] of cases.entries()) {
    for (const writer of [undefined, ownerFile()]) {
      const { count, error } = outcome(
        { ...files, ...writer && { writer } },
        false,
      );
      const what = `case ${i}: ${error}`;
      assertEquals(count, expected, what);
      assertEquals(
        (error as CorruptSegmentError | undefined)?.kind,
        writer === undefined ? closed ?? kind : kind,
        what,
      );
    }
  }
});

Deno.test("LogReader.tail() ends with an error when another log takes its place, or its file loses its name", async () => {
  const cases: ((disk: SimulatedDisk) => void)[] = [
    (disk) => disk.poke(`${DIR}/meta`, 0, metaFile(0, { identity: OTHER })),
    (disk) => {
      disk.removeSync(`${DIR}/${NAME}`);
      disk.removeSync(`${DIR}/${segment(0)}.index`);
    },
    (disk) => disk.removeSync(`${DIR}/meta`),
  ];
  for (const change of cases) {
    await on({ ...filesOf(MADE), ...LEFT_OPEN }, async (place) => {
      const lock = place.storage.lock(DIR)!;
      const tail = readerOf(place).tail();
      for (let seen = 0; seen < 4;) {
        using batch = (await tail.next()).value!;
        seen += batch.count;
      }
      const next = tail.next();
      change(place.storage);
      const before = place.storage.now();
      await assertRejects(() => next);
      assert(place.storage.now() - before < 5_000_000);
      lock.release();
    });
  }
});

Deno.test("LogReader reports a damaged sealed segment, with and without a writer", () => {
  const last = make(4, LENGTHS);
  for (const locked of [false, true]) {
    for (const bad of [0, 1, 2, 3]) {
      const files = { ...filesOf(last), ...damagedAt(starts[bad]! + 310) };
      const { count, error } = outcome(files, locked);
      assertEquals(count, bad);
      assertDamage(error, bad);
    }
  }
});

Deno.test("LogReader does not lock out a writer by checking for one", async () => {
  // The owner file of a dead writer and a torn tail: every reader asks for the lock for a moment.
  const place = placeOn(diskWith(damagedAt(starts[3]! + 310)));
  assertEquals((await drain(readerOf(place))).length, 3);
  const log = openLogSync(place);
  assertEquals(log.nextOffset, 3);
  log.closeSync();
  assertEquals(drainSync(readerOf(place)).length, 3);
});

Deno.test("Log.openSync() waits for the instant in which a reader has the lock, and no longer", () => {
  /** A disk whose lock is released after this many milliseconds. */
  class Looked extends PassingStorage {
    leftMs = 2;
    readonly held = this.inner.lock(DIR)!;
    override delaySync(durationMs: number): void {
      super.delaySync(durationMs);
      this.leftMs -= durationMs;
      if (this.leftMs === 0) this.held.release();
    }
  }
  const place = placeOn(diskWith({}));
  place.storage.makeDirectorySync(DIR);
  const looked = new Looked(place.storage);
  const { pool } = place;
  Log.openSync(DIR, { storage: looked, pool }).closeSync();
  const writer = new Looked(place.storage);
  writer.leftMs = 1000;
  assertThrows(() => Log.openSync(DIR, { storage: writer, pool }), LockedError);
  assertEquals(writer.leftMs, 997);
  writer.held.release();
});

onEachPlace(
  "LogReader and verifyLog() treat a log without its owner file as being written while its writer lives",
  async (place) => {
    const log = await openLog(place, { prepareBytes: MIB, flushAfterMs: 0 });
    for (let i = 0; i < 3; i++) {
      appendSome(log, 1, 1000);
      await log.flush();
    }
    place.storage.removeSync(`${place.dir}/writer`);
    const reader = readerOf(place);
    assertEquals((await drain(reader)).length, 3);
    assertEquals(drainSync(reader).length, 3);
    assertEquals(await Array.fromAsync(verifyLog(place.dir, place)), []);
    for (const durable of [reader.read, reader.tail]) {
      const reading = durable.call(reader, { durable: true });
      await assertRejects(
        () => reading.next(),
        Deno.errors.BadResource,
        `'${place.dir}/writer' is missing`,
      );
    }
    const tail = reader.tail();
    for (let next = 0; next < 3;) next = (await tail.next()).value!.nextOffset;
    const later = tail.next();
    await new Promise((resolve) => setTimeout(resolve, 300));
    appendSome(log, 1, 1000);
    await log.flush();
    assertEquals((await later).value!.firstOffset, 3);
    await tail.return!();
    await log.close();
  },
);
