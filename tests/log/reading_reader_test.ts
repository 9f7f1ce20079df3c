/**
 * `LogReader` beside a writer: whole messages, in order, or an error where there is damage:
 * docs/format.md#read-whole-batches, docs/format.md#read-range.
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Log, LogReader } from "../../lib/log/mod.ts";
import { CorruptSegment } from "../../lib/segment/mod.ts";
import { Locked } from "../../lib/storage/mod.ts";
import { SeededRandom, SimulatedDisk } from "@basalt/io/testing";
import {
  appendSome,
  drain,
  drainSync,
  HEADER,
  KIB,
  MIB,
  onEachPlace,
  openLog,
  openLogSync,
  payload,
  type Place,
  segment,
} from "./support.ts";
import { PassingStorage } from "./passing_storage.ts";
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
  on,
  OWNER,
  placeOn,
} from "./recovery_support.ts";

function readerOf(place: Pick<Place, "dir" | "storage" | "pool">): LogReader {
  const { storage, pool } = place;
  return new LogReader(place.dir, { storage, pool });
}

onEachPlace(
  "LogReader: in the same process it reads what was written, before and after closing",
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
  },
);

Deno.test("LogReader: a place without a log is NotFound that says what a log looks like", () =>
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

/** Appends, flushes, rolls and truncates at random, several flushes in flight, until it has done enough; then closes. */
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

Deno.test("LogReader: beside a writer, whatever is in flight, it reads a prefix and never finds damage", async () => {
  for (let seed = 0; seed < 25; seed++) {
    const random = new SeededRandom(seed);
    const disk = new SimulatedDisk({ seed });
    // Everything takes its time, each time another.
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
        // Truncated meanwhile; anything else is wrong.
        if ((error as Error).name !== "OffsetOutOfRange") {
          throw new Error(`seed ${seed}`, { cause: error });
        }
        assert(log.firstOffset > offset);
        continue;
      }
      // Only forwards.
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

Deno.test("LogReader: what a writer writes and closes between a read and the look for it is read, not judged", () => {
  // The reader meets zeros, asks who is writing, and by then there is more and nobody.
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
    let lists = 0;
    disk.onOperation(({ kind }) => {
      // The second look is for the segments behind, the third for the mark.
      if (kind !== "list" || ++lists !== 3) return;
      appendSome(log, 3, 1000);
      log.closeSync();
    });
    const read = drainSync(readerOf(place));
    assert(lists >= 3);
    assertEquals(read.length, 6);
  }
});

Deno.test("LogReader: a message half written when it is read is read again", async () => {
  // Half of its bytes are there, then all of them: as on a disk that moves blocks one by one.
  const made = make(0, [100, 9000, 50]);
  for (let seed = 0; seed < 10; seed++) {
    const disk = diskWith({
      [`${segment(0)}.log`]: joined(
        made.log.slice(0, 5000),
        new Uint8Array(60_000),
      ),
      [`${segment(0)}.index`]: new Uint8Array(0),
      ...OWNER,
    });
    const place = placeOn(disk);
    // The lock is a writer's.
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

/** Reads all there is and what it ends with. */
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
    // It changes nothing, whatever it finds.
    assertEquals(disk.hash(), before);
  }
}

const LENGTHS = [100, 3000, 5000, 10];
const MADE = make(0, LENGTHS);
const { starts } = MADE;

function damagedAt(position: number, log = MADE.log): Files {
  return {
    ...filesOf(MADE),
    [`${segment(0)}.log`]: flipped(log, position),
    ...OWNER,
  };
}

/** The error, which must be damage at this message. */
function assertDamage(error: Error | undefined, message: number): void {
  assert(error instanceof CorruptSegment, String(error));
  const { position, offset, path } = error as CorruptSegment;
  assertEquals([position, offset], [starts[message], message]);
  assertEquals(path, `${DIR}/${segment(0)}.log`);
}

Deno.test("LogReader: a bad message with valid ones behind it is damage, with a writer and without", () => {
  for (const locked of [false, true]) {
    for (const bad of [0, 1, 2]) {
      const { count, error } = outcome(damagedAt(starts[bad]! + 70), locked);
      assertEquals(count, bad);
      assertDamage(error, bad);
    }
  }
});

Deno.test("LogReader: a bad message behind which nothing is valid is not yet there while a writer holds the lock, and damage without one", () => {
  assertEquals(outcome(damagedAt(starts[3]! + 70), true), {
    count: 3,
    error: undefined,
  });
  const { count, error } = outcome(damagedAt(starts[3]! + 70), false);
  assertEquals(count, 3);
  assertDamage(error, 3);
});

Deno.test("LogReader: zeros or half a message at the end are the end, writer or not; with a valid message behind them they are damage without one", () => {
  const name = `${segment(0)}.log`;
  for (const locked of [false, true]) {
    for (const zeros of [1, 64, 100_000]) {
      const files = {
        ...filesOf(MADE),
        [name]: joined(MADE.log, new Uint8Array(zeros)),
        ...OWNER,
      };
      assertEquals(outcome(files, locked), { count: 4, error: undefined });
    }
    for (let length = starts[3]! + 1; length < starts[4]!; length++) {
      const files = {
        ...filesOf(MADE),
        [name]: MADE.log.slice(0, length),
        ...OWNER,
      };
      assertEquals(outcome(files, locked), { count: 3, error: undefined });
    }
    const hole = MADE.log.slice().fill(0, starts[1], starts[2]);
    const { count, error } = outcome({
      ...filesOf(MADE),
      [name]: hole,
      ...OWNER,
    }, locked);
    assertEquals(count, 1);
    // A writer fills holes: its later blocks may come first.
    if (locked) assertEquals(error, undefined);
    else assertDamage(error, 1);
  }
});

Deno.test("LogReader: a large valid message behind a bad one is noticed", () => {
  for (const length of [MIB - HEADER + 1, 3 * MIB, 20 * MIB]) {
    const made = make(0, [100, 0, length]);
    const files = {
      ...filesOf(made),
      [`${segment(0)}.log`]: flipped(made.log, made.starts[1]! + 40),
      ...OWNER,
    };
    const { count, error } = outcome(files, true);
    assertEquals(count, 1);
    assert(error instanceof CorruptSegment, `${length}: ${error}`);
  }
});

Deno.test("LogReader: a damaged sealed segment is damage, with a writer and without", () => {
  const last = make(4, LENGTHS);
  for (const locked of [false, true]) {
    for (const bad of [0, 1, 2, 3]) {
      const files = { ...damagedAt(starts[bad]! + 70), ...filesOf(last) };
      files[`${segment(0)}.log`] = flipped(MADE.log, starts[bad]! + 70);
      const { count, error } = outcome(files, locked);
      assertEquals(count, bad);
      assertDamage(error, bad);
    }
  }
});

Deno.test("LogReader: looking for a writer does not keep one away", async () => {
  // A dead writer's mark and a torn tail: every reading asks for the lock for a moment.
  const place = placeOn(diskWith(damagedAt(starts[3]! + 70)));
  await assertRejects(() => drain(readerOf(place)), CorruptSegment);
  const log = openLogSync(place);
  assertEquals(log.nextOffset, 3);
  log.closeSync();
  assertEquals(drainSync(readerOf(place)).length, 3);
});

Deno.test("Log.openSync() outlasts the instant for which a reader has the lock, and no more than that", () => {
  /** A disk whose lock is given back after so many milliseconds. */
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
  assertThrows(() => Log.openSync(DIR, { storage: writer, pool }), Locked);
  assertEquals(writer.leftMs, 997);
  writer.held.release();
});
