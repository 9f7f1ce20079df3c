/** `truncateBefore` removes whole segments, oldest first: docs/format.md#write-remove. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type CrashChoice, SimulatedDisk } from "@basalt/io/testing";
import { type Log, OffsetOutOfRangeError } from "@basalt/io";
import {
  appendSome,
  at,
  drain,
  faultsOfClosed,
  KIB,
  lines,
  onEachPlace,
  openLog,
  openLogSync,
  payload,
  type Place,
  segment,
  SimulatedPlace,
} from "../_support.ts";

/**
 * Makes a log with segments that begin at 0, 3, 6, … and hold 3 messages each, except for the last.
 */
async function logOf(place: Place, count: number): Promise<Log> {
  const log = await openLog(place, { segmentBytes: 4 * KIB });
  appendSome(log, count, 1000);
  await log.flush();
  return log;
}

for (const mode of ["async", "sync"]) {
  Deno.test(`write-remove: the first offset is written, then segments are removed from the oldest, with one sync of the directory, ${mode}`, async () => {
    await at(new SimulatedPlace(), async (place) => {
      const log = await logOf(place, 11);
      const start = place.storage.trace.length;
      const first = mode === "sync"
        ? log.truncateBeforeSync(8)
        : await log.truncateBefore(8);
      assertEquals(first, 6);
      assertEquals(lines(place.storage, start), [
        "open /log/meta",
        "write /log/meta 4096+4096 data",
        "remove 0.log",
        "remove 0.index",
        "remove 3.log",
        "remove 3.index",
        "syncDirectory /log",
      ]);
      await log.close();
      assertEquals(faultsOfClosed(place), []);
    });
  });

  onEachPlace(
    `write-remove: truncation keeps messages from the offset on, and the active segment, ${mode}`,
    async (place) => {
      const log = await logOf(place, 11);
      const truncate = async (offset: number) =>
        mode === "sync"
          ? log.truncateBeforeSync(offset)
          : await log.truncateBefore(offset);
      // Messages that are only in memory do not count.
      appendSome(log, 2, 10);
      for (
        const [offset, first] of [
          [0, 0],
          [2, 0],
          [3, 3],
          [5, 3],
          [1, 3],
          [8, 6],
          [13, 9],
          [13, 9],
        ] as const
      ) {
        assertEquals(await truncate(offset), first);
        assertEquals(log.firstOffset, first);
        const found = await drain(log);
        assertEquals(
          found.map((each) => each.offset),
          Array.from({ length: 11 - first }, (_, i) => first + i),
        );
      }
      await assertRejects(() => drain(log, { from: 8 }), OffsetOutOfRangeError);
      await log.flush();
      assertEquals((await drain(log)).length, 4);
      await log.close();
      assertEquals(faultsOfClosed(place), []);
      const again = await openLog(place);
      assertEquals([again.firstOffset, again.nextOffset], [9, 13]);
      assertEquals((await drain(again))[0]!.payload, payload(9, 1000));
      await again.close();
    },
  );
}

Deno.test("write-remove: offsets outside the log are refused", async () => {
  await at(new SimulatedPlace(), async (place) => {
    const log = await logOf(place, 7);
    const before = place.names();
    for (const wrong of [-1, 8, 1.5, NaN, Infinity]) {
      await assertRejects(() => log.truncateBefore(wrong), RangeError);
      assertThrows(() => log.truncateBeforeSync(wrong), RangeError);
    }
    assertEquals(place.names(), before);
    await log.close();
    await assertRejects(
      () => log.truncateBefore(3),
      Deno.errors.BadResource,
    );
    assertThrows(() => log.truncateBeforeSync(3), Deno.errors.BadResource);
  });
});

const CHOICES: CrashChoice[] = ["none", "all", "random", "random", "random"];

for (const mode of ["async", "sync"]) {
  Deno.test(`write-remove: a crash before every operation of a truncation leaves a gapless log, ${mode}`, async () => {
    let operations = 0;
    for (let number = 1;; number++) {
      const disk = new SimulatedDisk({ seed: number });
      await at(new SimulatedPlace(disk), async (place) => {
        const log = await logOf(place, 11);
        disk.failAt(disk.trace.length + number, { crash: true });
        try {
          if (mode === "sync") log.truncateBeforeSync(9);
          else await log.truncateBefore(9);
        } catch { /* The crash. */ }
        await log.close().catch(() => {});
      });
      if (!disk.crashed) break;
      operations = number;
      for (const choice of CHOICES) {
        const label = `crash before operation ${number}, ${choice}`;
        await at(new SimulatedPlace(disk.crash(choice)), async (place) => {
          const log = mode === "sync"
            ? openLogSync(place)
            : await openLog(place);
          assert([0, 3, 6, 9].includes(log.firstOffset), label);
          assertEquals(log.nextOffset, 11, label);
          const found = await drain(log);
          assertEquals(
            found.map(({ offset, payload }) => [offset, payload]),
            Array.from({ length: 11 - log.firstOffset }, (_, i) => {
              const offset = log.firstOffset + i;
              return [offset, payload(offset, 1000)];
            }),
            label,
          );
          // Once more, to the end.
          assertEquals(await log.truncateBefore(9), 9);
          await log.close();
          assertEquals(faultsOfClosed(place), [], label);
        });
      }
    }
    // Three segments, then closing, which removes the owner file last.
    assert(operations > 9, `${operations}`);
  });
}

Deno.test("write-remove: a truncation that fails half-way can be repeated, and no reader sees removed messages", async () => {
  for (let number = 1; number <= 6; number++) {
    for (const error of ["EIO", "EBUSY"]) {
      await at(new SimulatedPlace(), async (place) => {
        const disk = place.storage;
        const log = await logOf(place, 11);
        disk.failAt(disk.trace.length + number, { error });
        await assertRejects(() => log.truncateBefore(8), Error, error);
        const { firstOffset } = log;
        const found = await drain(log);
        assertEquals(found[0]!.offset, firstOffset);
        assertEquals(found.length, 11 - firstOffset);
        assertEquals(await log.truncateBefore(8), 6);
        appendSome(log, 1, 1000);
        await log.close();
        const again = await openLog(place);
        assertEquals([again.firstOffset, again.nextOffset], [6, 12]);
        await again.close();
        assertEquals(faultsOfClosed(place), []);
      });
    }
  }
});

Deno.test("write-remove: a truncation and flushes run concurrently", async () => {
  for (let seed = 0; seed < 10; seed++) {
    await at(new SimulatedPlace({ seed }), async (place) => {
      const log = await logOf(place, 11);
      appendSome(log, 6, 1000);
      const flushed = log.flush();
      const truncated = log.truncateBefore(9);
      appendSome(log, 1, 1000);
      const durable = log.whenDurable(17);
      const start = place.storage.trace.length;
      assertEquals(await truncated, 9);
      await Promise.all([flushed, durable]);
      const removed = lines(place.storage, start, ["remove"]);
      assertEquals(
        removed,
        [0, 3, 6].flatMap((first) =>
          ["log", "index"].map((kind) => `remove ${first}.${kind}`)
        ),
      );
      assertEquals((await drain(log)).length, 9);
      await log.close();
      assertEquals(faultsOfClosed(place), []);
    });
  }
});

Deno.test("write-remove: closing during a truncation completes calls that wait for durability", async () => {
  await at(new SimulatedPlace(), async (place) => {
    const log = await logOf(place, 11);
    const truncated = log.truncateBefore(9);
    const offset = appendSome(log, 1, 1000);
    const durable = log.whenDurable(offset);
    const flushed = log.flush();
    const closed = log.close();
    assertEquals(await truncated, 9);
    await Promise.all([durable, flushed, closed]);
    assertEquals(log.durableOffset, 12);
    assertEquals(faultsOfClosed(place), []);
    assertEquals(place.names()[0], `${segment(9)}.index`);
  });
});

Deno.test("Log.truncateBefore() gets its turn between flushes of appenders that never stop", async () => {
  await at(new SimulatedPlace(), async (place) => {
    const log = await logOf(place, 11);
    let isOver = false;
    const appending = [1, 2].map(async () => {
      while (!isOver) await log.appendDurable(payload(0, 10));
    });
    assertEquals(await log.truncateBefore(8), 6);
    isOver = true;
    await Promise.all(appending);
    await log.close();
    assertEquals(faultsOfClosed(place), []);
  });
});
