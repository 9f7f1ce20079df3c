/** Retention: what a log removes by size and by age, and that it keeps what a cursor needs. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { SimulatedDisk } from "@basalt/io/testing";
import {
  type Log,
  LogReader,
  OffsetOutOfRangeError,
} from "../../../lib/log/mod.ts";
import type { LogOptions } from "../../../lib/log/mod.ts";
import {
  appendSome,
  at,
  drain,
  onEachPlace,
  openLog,
  openLogSync,
  type Place,
  quiet,
  segment,
  SimulatedPlace,
} from "../_support.ts";

/** Segment size in bytes at which three messages of 1000 bytes fill a segment. */
const SEGMENT_BYTES = 4096;
/** Size of a segment with three of them in bytes, each a batch of its own. */
const FULL_BYTES = 3 * (256 + 48 + 1000);
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/** Makes a log of `count` messages of 1000 bytes, three in a segment. */
async function logOf(
  place: Place,
  count: number,
  options: LogOptions = {},
): Promise<Log> {
  const log = await openLog(place, { segmentBytes: SEGMENT_BYTES, ...options });
  await append(log, count);
  return log;
}

async function append(log: Log, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    appendSome(log, 1, 1000);
    await log.flush();
  }
}

/** Lets time pass on the disk, and runs what is due by then. */
async function pass(disk: SimulatedDisk, milliseconds: number): Promise<void> {
  for (let left = milliseconds; left > 0; left -= MINUTE_MS) {
    await disk.delay(Math.min(left, MINUTE_MS));
    await quiet(disk);
  }
}

onEachPlace(
  "Log.retain() removes leading segments while the log is too large",
  async (place) => {
    await using log = await logOf(place, 20);
    assertEquals(log.stats().segments, 7);
    const none = await log.retain();
    assertEquals(none.removedSegments, 0);
    const report = await log.retain({ bytes: 4 * FULL_BYTES });
    assertEquals(report, {
      firstOffset: 9,
      removedSegments: 3,
      removedBytes: 3 * FULL_BYTES,
      passedCursors: [],
    });
    assertEquals(log.firstOffset, 9);
    assertEquals(place.names()[0], `${segment(9)}.index`);
    assertEquals((await drain(log)).map(({ offset }) => offset).at(0), 9);
    // The active segment is never removed.
    assertEquals(log.retainSync({ bytes: 0 }).firstOffset, 18);
    assertEquals(log.stats().segments, 1);
    const { retention } = log.stats();
    assertEquals(retention.removedSegments, 6);
    assertEquals(retention.removedBytes, 6 * FULL_BYTES);
    assertEquals([retention.failures, retention.passedCursors], [0, 0]);
  },
);

onEachPlace(
  "Log.retain() keeps what a cursor needs, also one of another opening",
  async (place) => {
    await using log = await logOf(place, 20);
    const reader = new LogReader(place.dir, place);
    await using mine = await log.cursor("mine", { from: 13 });
    {
      await using _others = await log.cursor("others", { from: 7 });
    }
    assertEquals(log.retainSync({ bytes: 0 }).firstOffset, 6);
    {
      await using others = await reader.cursor("others");
      assertEquals(others.position, 7);
      assertEquals((await log.retain({ bytes: 0 })).firstOffset, 6);
    }
    {
      await using others = await log.cursor("others");
      await others.commit(8);
      // Offset 8 lies in the middle of a segment. A commit at the end of the segment releases it.
      assertEquals((await log.retain({ bytes: 0 })).firstOffset, 6);
      await others.commit(9);
      assertEquals((await log.retain({ bytes: 0 })).firstOffset, 9);
    }
    await log.deleteCursor("others");
    assertEquals((await log.retain({ bytes: 0 })).firstOffset, 12);
    await mine.commit(20);
    assertEquals((await log.retain({ bytes: 0 })).firstOffset, 18);
    assertEquals(log.stats().retention.passedCursors, 0);
  },
);

onEachPlace(
  "Log.retain() passes a cursor above hardBytes only, and the cursor reports it",
  async (place) => {
    await using log = await logOf(place, 20);
    await using cursor = await log.cursor("slow", { from: 1 });
    await using _other = await log.cursor("fast", { from: 12 });
    const hardBytes = 5 * FULL_BYTES;
    const report = await log.retain({ bytes: FULL_BYTES, hardBytes });
    assertEquals(report.firstOffset, 6);
    assertEquals(report.passedCursors, ["slow"]);
    assertEquals(log.stats().retention.passedCursors, 1);
    assertEquals(cursor.position, 1);
    const read = async () => {
      const offsets: number[] = [];
      for await (using batch of cursor.batches({ follow: false })) {
        for (const { offset } of batch) offsets.push(offset);
      }
      return offsets;
    };
    const error = await assertRejects(read, OffsetOutOfRangeError);
    assertEquals([error.offset, error.firstOffset], [1, 6]);
    // A cursor that was passed holds nothing any more.
    assertEquals((await log.retain({ bytes: 0 })).firstOffset, 12);
    await cursor.seek("first");
    assertEquals((await read())[0], 12);
  },
);

Deno.test("Log.open() with retain runs after a roll, and no flush waits for it", async () => {
  await at(new SimulatedPlace({ timeStepMicros: 0 }), async (place) => {
    const bytes = 3 * FULL_BYTES;
    await using log = await logOf(place, 0, { retain: { bytes } });
    for (let i = 0; i < 40; i++) {
      await append(log, 1);
      await quiet(place.storage);
      const { segments } = log.stats();
      assert(segments <= 4, `${segments} segments`);
    }
    assert(log.firstOffset >= 27);
    assertEquals((await drain(log))[0]!.offset, log.firstOffset);
  });
});

Deno.test("Log.open() with retain removes by age once a minute", async () => {
  await at(new SimulatedPlace({ timeStepMicros: 0 }), async (place) => {
    const { storage } = place;
    const ageMs = 7 * DAY_MS;
    await using log = await logOf(place, 6, { retain: { ageMs } });
    await storage.delay(3 * DAY_MS);
    await append(log, 6);
    await storage.delay(4 * DAY_MS - MINUTE_MS);
    await quiet(storage);
    assertEquals(log.firstOffset, 0);
    await pass(storage, 3 * MINUTE_MS);
    // The last message of the second segment is as old as that of the first.
    assertEquals(log.firstOffset, 6);
    await pass(storage, MINUTE_MS);
    await storage.delay(3 * DAY_MS);
    await quiet(storage);
    await pass(storage, 2 * MINUTE_MS);
    assertEquals(log.firstOffset, 9, "the active segment stays");
  });
});

Deno.test("Log.open() with rollMs rolls an old segment, so that retention by age works for slow logs", async () => {
  await at(new SimulatedPlace({ timeStepMicros: 0 }), async (place) => {
    const { storage } = place;
    await using log = await openLog(place, {
      rollMs: DAY_MS,
      retain: { ageMs: 2 * DAY_MS },
    });
    await append(log, 2);
    await pass(storage, DAY_MS - 2 * MINUTE_MS);
    assertEquals(log.stats().segments, 1);
    await pass(storage, 4 * MINUTE_MS);
    assertEquals([log.stats().segments, log.stats().rolls], [2, 1]);
    assertEquals(place.names().filter((name) => name.endsWith(".log")), [
      `${segment(0)}.log`,
      `${segment(2)}.log`,
    ]);
    // An empty segment is not rolled.
    await storage.delay(DAY_MS);
    await pass(storage, 3 * MINUTE_MS);
    assertEquals([log.firstOffset, log.stats().rolls], [2, 1]);
    await append(log, 1);
    assertEquals((await drain(log)).map(({ offset }) => offset), [2]);
    assertEquals(log.nextOffset, 3);
  });
});

Deno.test("Log.open() with rollMs includes messages in memory and those appended meanwhile", async () => {
  for (let seed = 0; seed < 20; seed++) {
    await at(new SimulatedPlace({ seed, timeStepMicros: 0 }), async (place) => {
      const { storage } = place;
      const log = await openLog(place, { rollMs: 1000, flushAfterMs: 0 });
      await append(log, 1);
      const waiting: Promise<void>[] = [];
      for (let i = 0; i < 12; i++) {
        appendSome(log, 1, 300);
        await storage.delay(300);
        appendSome(log, 1, 300);
        if (i % 3 === seed % 3) {
          waiting.push(log.whenDurable(log.nextOffset - 1));
        }
        await new Promise((resolve) => setImmediate(resolve));
        appendSome(log, 1, 300);
      }
      await Promise.all(waiting);
      await log.close();
      assert(log.stats().rolls >= 2, `${log.stats().rolls} rolls`);
      await using again = await openLog(place);
      const offsets = (await drain(again)).map(({ offset }) => offset);
      assertEquals(offsets, Array.from({ length: 37 }, (_, i) => i));
    });
  }
});

Deno.test("Log.open() with retain keeps a message with a time in the future until that time has passed", async () => {
  await at(new SimulatedPlace({ timeStepMicros: 0 }), async (place) => {
    const { storage } = place;
    const ageMs = DAY_MS;
    const log = await logOf(place, 6, { retain: { ageMs } });
    const right = storage.timeMicros;
    // For a moment the clock is a month ahead.
    storage.timeMicros = right + 30 * DAY_MS * 1000;
    appendSome(log, 1, 1000);
    await log.flush();
    storage.timeMicros = right;
    await append(log, 5);
    await storage.delay(2 * DAY_MS);
    await quiet(storage);
    await pass(storage, 2 * MINUTE_MS);
    // What was written before is removed. All later times are those of that moment.
    assertEquals(log.firstOffset, 6);
    await storage.delay(14 * DAY_MS);
    await storage.delay(13 * DAY_MS);
    await pass(storage, 2 * MINUTE_MS);
    assertEquals(log.firstOffset, 6);
    // Retention by size and by offset still works.
    assertEquals((await log.retain({ before: 9 })).firstOffset, 9);
    await append(log, 3);
    assertEquals((await log.retain({ bytes: 0 })).firstOffset, 12);
    await log.close();
  });
});

for (const code of ["EROFS", "EACCES", "EIO"] as const) {
  Deno.test(`Log.retain() removes nothing when it fails with ${code}`, async () => {
    await at(new SimulatedPlace(), async (place) => {
      const { storage } = place;
      const log = await logOf(place, 12);
      {
        await using _cursor = await log.cursor("a", { from: 12 });
      }
      const names = place.names();
      let failures = 0;
      for (const kind of ["list", "open", "read", "write", "remove"] as const) {
        const stop = storage.onOperation((operation) =>
          operation.kind === kind && !operation.path.endsWith(".index")
            ? { error: code }
            : undefined
        );
        const error = await assertRejects(
          () => log.retain({ bytes: 0, hardBytes: 1 }),
        ) as { code?: string };
        stop();
        assertEquals(error.code, code, kind);
        assertEquals(place.names(), names, kind);
        assertEquals(log.firstOffset, 0, kind);
        assertEquals((await drain(log)).length, 12, kind);
        const { retention } = log.stats();
        assertEquals(retention.failures, ++failures, kind);
        assertEquals(retention.failure, error as Error);
        assertEquals(retention.removedSegments, 0);
        // Nothing is missing at the next opening either, whatever reached the disk.
        const left = storage.crashState("all");
        const other = new LogReader(place.dir, {
          storage: left,
          pool: place.pool,
        });
        if (kind !== "write") {
          assertEquals((await drain(other)).length, 12, kind);
        }
      }
      assertEquals((await log.retain({ bytes: 0 })).firstOffset, 9);
      assertEquals(log.stats().retention.failure, undefined);
      await log.close();
    });
  });
}

Deno.test("Log.retain() continues where an earlier removal failed", async () => {
  await at(new SimulatedPlace(), async (place) => {
    const log = await logOf(place, 12);
    let count = 0;
    const stop = place.storage.onOperation(({ kind }) =>
      kind === "remove" && ++count === 3 ? { error: "EIO" } : undefined
    );
    await assertRejects(() => log.retain({ bytes: 0 }), Error, "EIO");
    stop();
    assertEquals(log.firstOffset, 9);
    assert(place.names().includes(`${segment(3)}.log`));
    await log.retain();
    assertEquals(place.names()[0], `${segment(9)}.index`);
    await log.close();
  });
});

/** docs/format.md#cursor-damaged */
Deno.test("Log.retain() removes nothing while a cursor's file cannot be read", async () => {
  await at(new SimulatedPlace(), async (place) => {
    await using log = await logOf(place, 12);
    (await log.cursor("a", { from: 12 })).closeSync();
    place.storage.poke(`${place.dir}/cursors/a`, 0, new Uint8Array(8192));
    await assertRejects(
      () => log.retain({ bytes: 0, hardBytes: 0 }),
      Deno.errors.InvalidData,
      "cursors/a",
    );
    assertEquals(log.firstOffset, 0);
    assertEquals(log.stats().retention.failures, 1);
    await log.deleteCursor("a");
    assertEquals((await log.retain({ bytes: 0 })).firstOffset, 9);
  });
});

/** docs/format.md#cursor-first */
Deno.test("Log.retain() and a new cursor or a seek: one of them sees the other", async () => {
  let isKept = 0;
  let isRefused = 0;
  for (let seed = 0; seed < 200; seed++) {
    await at(new SimulatedPlace({ seed }), async (place) => {
      const log = await logOf(place, 12);
      const reader = new LogReader(place.dir, place);
      const old = await log.cursor("old", { from: 12 });
      const turns = seed % 9;
      const making = (async () => {
        for (let i = 0; i < turns; i++) {
          await new Promise((resolve) => setImmediate(resolve));
        }
        if (seed % 3 === 0) return await old.seek(4).then(() => old);
        const from = seed % 3 === 1 ? 4 : "first";
        return await (seed % 2 ? log : reader).cursor("new", { from });
      })();
      const outcomes = await Promise.allSettled([
        making,
        log.retain({ bytes: 0 }),
      ]);
      const [made, retained] = outcomes;
      assertEquals(retained.status, "fulfilled");
      if (made.status === "fulfilled") {
        const { position } = made.value;
        assert(position >= log.firstOffset, `seed ${seed}: ${position}`);
        if (position < 9) isKept++;
        await made.value.close();
        await using reading = await log.cursor(made.value.name);
        const offsets: number[] = [];
        for await (const message of reading.messages({ follow: false })) {
          offsets.push(message.offset);
        }
        assertEquals(offsets[0] ?? 12, position, `seed ${seed}`);
      } else {
        isRefused++;
        assert(made.reason instanceof OffsetOutOfRangeError, `${made.reason}`);
        const cursors = await log.cursors();
        assertEquals(cursors.map(({ position }) => position), [12]);
      }
      await old.close();
      await log.close();
    });
  }
  assert(isKept > 5 && isRefused > 5, `${isKept} kept, ${isRefused} refused`);
});

Deno.test("Log.retain() lets readers finish a removed segment, then closes its files", async () => {
  await at(new SimulatedPlace(), async (place) => {
    const log = await logOf(place, 12, { tailBytes: 0 });
    const before = place.storage.openFiles;
    const readers = [log, new LogReader(place.dir, place)];
    const readings = readers.map((each) =>
      each.read({ from: 0, readAheadBytes: 0 })
    );
    for (const reading of readings) {
      using batch = (await reading.next()).value!;
      assertEquals(batch.firstOffset, 0);
    }
    await log.retain({ bytes: 0 });
    for (const reading of readings) {
      const offsets: number[] = [];
      const error = await assertRejects(async () => {
        for await (using batch of reading) {
          for (const { offset } of batch) offsets.push(offset);
        }
      }, OffsetOutOfRangeError);
      assertEquals(error.firstOffset, 9);
      assert(offsets.every((offset) => offset < 3), `${offsets}`);
    }
    assertEquals(place.storage.openFiles, before);
    await log.close();
  });
});

Deno.test("Log.close() and closeSync() end a running retention", async () => {
  for (let seed = 0; seed < 60; seed++) {
    await at(new SimulatedPlace({ seed }), async (place) => {
      const log = await logOf(place, 12);
      (await log.cursor("a", { from: 4 })).closeSync();
      const retained = log.retain({ bytes: 0 }).catch((error) => error);
      const queued = log.retain({ bytes: 0 }).catch((error) => error);
      for (let i = 0; i < seed % 20; i++) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      if (seed % 2) log.closeSync();
      else await log.close();
      const names = place.names();
      for (const each of await Promise.all([retained, queued])) {
        const isDone = each.firstOffset === 3;
        assert(isDone || each instanceof Deno.errors.BadResource, `${each}`);
      }
      await quiet(place.storage);
      assertEquals(place.names(), names, "nothing changes after closing");
      await using again = await openLog(place);
      assert([0, 3].includes(again.firstOffset));
      assertEquals((await drain(again)).at(-1)!.offset, 11);
    });
  }
});

Deno.test("Log.open() checks the option retain", () => {
  const place = new SimulatedPlace();
  for (const name of ["bytes", "ageMs", "hardBytes"] as const) {
    for (const value of [-1, 1.5, NaN]) {
      assertThrows(
        () => openLogSync(place, { retain: { [name]: value } }),
        RangeError,
        `'${name}' must be an integer of at least 0, at most 2^53 - 1: received ${value}`,
      );
    }
    assertThrows(
      () => openLogSync(place, { retain: { [name]: "1" as never } }),
      TypeError,
      `'${name}' must be a number: received string`,
    );
  }
  assertThrows(() => openLogSync(place, { rollMs: -1 }), RangeError, "rollMs");
  place.pool.close();
});
