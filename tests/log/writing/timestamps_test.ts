/** Timestamps never decrease, and a batch has one: docs/format.md#write-timestamps. */
import { assert, assertEquals } from "@std/assert";
import {
  appendSome,
  at,
  batchesOf,
  drain,
  faultsOfClosed,
  KIB,
  onEachPlace,
  openLog,
  openLogSync,
  payload,
  segment,
  SimulatedPlace,
} from "../_support.ts";

const NOON = 1_700_000_000_000_000;

/** Fails when a time is earlier than the one before it. */
function assertAscending(times: readonly number[]): void {
  times.forEach((time, i) => assert(i === 0 || time >= times[i - 1]!, `${i}`));
}

Deno.test("write-timestamps: while the clock is behind the last message, the last time is used again", async () => {
  await at(new SimulatedPlace({ timeStepMicros: 0 }), async (place) => {
    const disk = place.storage;
    const log = await openLog(place);
    const seen: number[] = [];
    for (const time of [100, 50, 60, 99, 101, 0, 102]) {
      disk.timeMicros = NOON + time;
      await log.appendDurable("x");
      seen.push((await drain(log)).at(-1)!.timestamp - NOON);
    }
    assertEquals(seen, [100, 100, 100, 100, 101, 101, 102]);
    await log.close();
  });
});

Deno.test("write-timestamps: times do not go back across segments and reopening, whatever the clock says", async () => {
  await at(new SimulatedPlace({ timeStepMicros: 0 }), async (place) => {
    const disk = place.storage;
    let hours = 12;
    for (let session = 0; session < 4; session++) {
      const log = session % 2
        ? openLogSync(place, { segmentBytes: 4 * KIB })
        : await openLog(place, { segmentBytes: 4 * KIB });
      for (let i = 0; i < 5; i++) {
        disk.timeMicros = NOON + --hours * 3_600_000_000;
        appendSome(log, 2, 1000);
        await log.flush();
      }
      await log.close();
    }
    const log = await openLog(place);
    const times = (await drain(log)).map(({ timestamp }) => timestamp);
    assertEquals(times.length, 40);
    assertEquals(new Set(times), new Set([NOON + 11 * 3_600_000_000]));
    assertEquals(log.stats().segments > 8, true);
    await log.close();
  });
});

Deno.test("write-timestamps: an empty last segment after a crash in a roll continues from the time of the one before", async () => {
  for (const mode of ["async", "sync"]) {
    await at(new SimulatedPlace(), async (first) => {
      const disk = first.storage;
      const log = await openLog(first, { segmentBytes: 4 * KIB });
      appendSome(log, 3, 1000);
      await log.flush();
      appendSome(log, 1, 1000);
      // The new segment exists, and the power is cut at the first write to it.
      disk.onOperation(({ kind, path }) => {
        return { crash: kind === "write" && path.endsWith("3.log") };
      });
      await log.flush().catch(() => {});
      await log.close().catch(() => {});
      await at(new SimulatedPlace(disk.crash("none")), async (place) => {
        assertEquals(place.bytes(`${segment(3)}.log`).length, 0);
        place.storage.timeMicros = NOON - 1_000_000;
        const log = mode === "async"
          ? await openLog(place)
          : openLogSync(place);
        assertEquals(log.nextOffset, 3);
        await log.appendDurable("later");
        const times = (await drain(log)).map(({ timestamp }) => timestamp);
        assertEquals(times.length, 4);
        assertAscending(times);
        assert(times[3]! >= NOON);
        await log.close();
      });
    });
  }
});

Deno.test("write-timestamps: an empty last segment after a clean close continues from the time of the one before", async () => {
  await at(new SimulatedPlace(), async (place) => {
    const log = await openLog(place, { segmentBytes: 4 * KIB });
    appendSome(log, 3, 1000);
    await log.flush();
    appendSome(log, 1, 1000);
    const disk = place.storage;
    disk.onOperation(({ kind, path }) => {
      return { crash: kind === "write" && path.endsWith("3.log") };
    });
    await log.flush().catch(() => {});
    await log.close().catch(() => {});
    await at(new SimulatedPlace(disk.crash("none")), async (place) => {
      await (await openLog(place)).close();
      place.storage.timeMicros = NOON - 1_000_000;
      const log = await openLog(place);
      await log.appendDurable("later");
      assertAscending((await drain(log)).map(({ timestamp }) => timestamp));
      await log.close();
    });
  });
});

onEachPlace(
  "write-timestamps: a batch of gathered messages has one time, and the next flush a later one",
  async (place) => {
    const log = await openLog(place);
    for (let flush = 0; flush < 3; flush++) {
      // Sleeps, so that the clock of a disk advances.
      await new Promise((resolve) => setTimeout(resolve, 2));
      for (let i = 0; i < 20; i++) log.append(payload(i, 1500));
      await log.flush();
    }
    const times = (await drain(log)).map(({ timestamp }) => timestamp);
    assertEquals(times.length, 60);
    assertAscending(times);
    assert(times[19]! < times[20]! && times[39]! < times[40]!);
    await log.close();
    const batches = batchesOf(place.bytes(`${segment(0)}.log`));
    assert(batches.length < 60 && batches.length > 3, `${batches.length}`);
    for (const { offset, count, timestamp } of batches) {
      const own = new Set(times.slice(offset, offset + count));
      assertEquals(own, new Set([timestamp]));
    }
  },
);

Deno.test("write-timestamps: appendBatch() has one time among flushes in flight, whatever its size", async () => {
  for (let seed = 0; seed < 30; seed++) {
    await at(new SimulatedPlace({ seed }), async (place) => {
      const log = await openLog(place, { segmentBytes: 20 * KIB });
      const batches: [number, number][] = [];
      for (let n = 0; n < 8; n++) {
        appendSome(log, n % 3, 3000);
        const count = 1 + (seed * 31 + n * 7) % 40;
        const first = log.appendBatch(
          Array.from({ length: count }, (_, i) => payload(i, 1000)),
        );
        batches.push([first, count]);
        if (n % 2) log.flush().catch(() => {});
        for (let turn = seed % 7; turn > 0; turn--) {
          await new Promise((resolve) => setTimeout(resolve, 0));
        }
      }
      await log.flush();
      const times = (await drain(log)).map(({ timestamp }) => timestamp);
      assertAscending(times);
      for (const [first, count] of batches) {
        const own = new Set(times.slice(first, first + count));
        assertEquals(own.size, 1, `batch at ${first} of ${count}`);
      }
      await log.close();
      assertEquals(faultsOfClosed(place), []);
    });
  }
});

onEachPlace(
  "write-timestamps: the index has the times of the messages",
  async (place) => {
    const log = await openLog(place);
    for (let i = 0; i < 5; i++) {
      appendSome(log, 3, 100);
      await log.flush();
    }
    await log.close();
    // Compares the entries with the headers.
    assertEquals(faultsOfClosed(place), []);
    assertEquals(batchesOf(place.bytes(`${segment(0)}.log`)).length, 5);
  },
);

Deno.test("Log.stats() reports how far message times are ahead of the clock", async () => {
  await at(new SimulatedPlace({ timeStepMicros: 0 }), async (place) => {
    const disk = place.storage;
    const behind: number[] = [];
    let log = await openLog(place);
    for (const time of [100, 110, 5000, 120, 130, 6000]) {
      disk.timeMicros = NOON + time;
      await log.appendDurable("x");
      behind.push(log.stats().clockBehindMicros);
      await log.close();
      log = await openLog(place);
      assertEquals(log.stats().clockBehindMicros, behind.at(-1));
    }
    assertEquals(behind, [0, 0, 0, 4880, 4870, 0]);
    await log.close();
  });
});
