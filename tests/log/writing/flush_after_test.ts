/** Messages that are not flushed otherwise are flushed after `flushAfterMs`. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { NoSpaceError, PoisonedError } from "@basalt/io";
import type { SimulatedDisk } from "@basalt/io/testing";
import { FILES } from "../../permissions.ts";
import {
  appendSome,
  at,
  DiskPlace,
  drain,
  faultsOfClosed,
  KIB,
  lines,
  openLog,
  openLogSync,
  quiet,
  SimulatedPlace,
} from "../_support.ts";

/** Advances the clock of a disk, and runs the timers that are due. */
async function pass(disk: SimulatedDisk, ms: number): Promise<void> {
  await disk.delay(ms);
  await quiet(disk);
}

/** Creates a place whose clock stands still unless it is advanced. */
function still(): SimulatedPlace {
  return new SimulatedPlace({ timeStepMicros: 0 });
}

Deno.test("LogOptions.flushAfterMs makes messages durable after that time without a flush", async () => {
  for (const flushAfterMs of [1, 50, undefined]) {
    await at(still(), async (place) => {
      const disk = place.storage;
      const log = await openLog(
        place,
        flushAfterMs === undefined ? {} : { flushAfterMs },
      );
      const time = flushAfterMs ?? 1000;
      appendSome(log, 1, 100);
      await pass(disk, 0.9 * time);
      // The first message counts, not the last one.
      appendSome(log, 1, 100);
      assertEquals(log.durableOffset, 0);
      await pass(disk, 0.1 * time);
      assertEquals(log.durableOffset, 2);
      assertEquals(log.stats().flushes, 1);
      // The next message starts the timer again.
      await pass(disk, 2 * time);
      assertEquals(log.stats().flushes, 1);
      appendSome(log, 1, 100);
      await pass(disk, 2 * time);
      assertEquals([log.durableOffset, log.stats().flushes], [3, 2]);
      await log.close();
    });
  }
});

Deno.test("LogOptions.flushAfterMs makes durable what a flush only wrote", async () => {
  await at(still(), async (place) => {
    const log = await openLog(place, { flushAfterMs: 100 });
    appendSome(log, 2, 100);
    await log.flush({ durability: "none" });
    assertEquals([log.writtenOffset, log.durableOffset], [2, 0]);
    await pass(place.storage, 200);
    assertEquals(log.durableOffset, 2);
    // The same with a whole block, which is written without a flush.
    appendSome(log, 30, 1000);
    await pass(place.storage, 200);
    assertEquals(log.durableOffset, 32);
    await log.close();
    assertEquals(faultsOfClosed(place), []);
  });
});

Deno.test("LogOptions.flushAfterMs of 0 flushes nothing", async () => {
  await at(still(), async (place) => {
    const log = await openLog(place, { flushAfterMs: 0 });
    appendSome(log, 2, 100);
    await pass(place.storage, 1_000_000);
    assertEquals([log.durableOffset, log.stats().flushes], [0, 0]);
    await log.close();
  });
});

for (
  const [what, end] of [["flush", 2], ["flushSync", 2], ["close", 2], [
    "closeSync",
    2,
  ]] as const
) {
  Deno.test(`LogOptions.flushAfterMs: ${what}() clears the timer`, async () => {
    await at(still(), async (place) => {
      const log = await openLog(place, { flushAfterMs: 100 });
      appendSome(log, 2, 100);
      await log[what]();
      const { length } = place.storage.trace;
      await pass(place.storage, 10_000);
      // Except for the durable offset, which is published later.
      const others = lines(place.storage, length)
        .filter((line) => !line.includes("/writer"));
      assertEquals(others, []);
      assertEquals([log.durableOffset, log.stats().flushes], [
        end,
        what.startsWith("flush") ? 1 : 0,
      ]);
      await log.close();
    });
  });
}

Deno.test("LogOptions.flushAfterMs: poisoning clears the timer", async () => {
  await at(still(), async (place) => {
    const disk = place.storage;
    const log = await openLog(place, { flushAfterMs: 100 });
    appendSome(log, 2, 100);
    disk.onOperation(({ kind }) =>
      kind === "write" ? { error: "EIO" } : undefined
    );
    await assertRejects(() => log.flush(), PoisonedError);
    const { length } = disk.trace;
    const { flushes } = log.stats();
    await pass(disk, 10_000);
    assertEquals(lines(disk, length), []);
    assertEquals(log.stats().flushes, flushes);
    await assertRejects(() => log.close(), PoisonedError);
  });
});

Deno.test("LogOptions.flushAfterMs: the next append reports a failed flush, once, and nothing is lost", async () => {
  await at(still(), async (place) => {
    const disk = place.storage;
    const log = await openLog(place, { flushAfterMs: 100 });
    const heal = disk.onOperation(({ kind }) =>
      kind === "write" ? { error: "ENOSPC" } : undefined
    );
    appendSome(log, 2, 100);
    await pass(disk, 200);
    assertEquals([log.nextOffset, log.durableOffset], [2, 0]);
    const error = assertThrows(() => log.append("x"), NoSpaceError);
    assertEquals([error.durableOffset, log.nextOffset], [0, 2]);
    assertEquals(appendSome(log, 1, 100), 2);
    heal();
    // The timer does not flush again after a failure.
    await pass(disk, 10_000);
    assertEquals(log.durableOffset, 3);
    assertEquals((await drain(log)).length, 3);
    await log.close();
    assertEquals(faultsOfClosed(place), []);
  });
});

Deno.test("LogOptions.flushAfterMs: a flush that poisons makes every later call fail, and leaves no unhandled rejection", async () => {
  await at(still(), async (place) => {
    const disk = place.storage;
    const log = await openLog(place, { flushAfterMs: 100 });
    disk.onOperation(({ kind }) =>
      kind === "write" ? { error: "EIO" } : undefined
    );
    appendSome(log, 2, 100);
    await pass(disk, 200);
    for (let i = 0; i < 3; i++) {
      assertThrows(() => log.append("x"), PoisonedError);
      assertThrows(() => log.appendBatch(["x"]), PoisonedError);
    }
    await assertRejects(() => log.close(), PoisonedError);
  });
});

Deno.test({
  name: "LogOptions.flushAfterMs: `using log` leaves no timer and no operation",
  ignore: !FILES,
  sanitizeOps: true,
  sanitizeResources: true,
  sanitizeExit: true,
  fn: async () => {
    await at(new DiskPlace(), async (place) => {
      {
        using log = openLogSync(place, { blockBytes: 64 * KIB });
        appendSome(log, 10, 1000);
      }
      {
        await using log = await openLog(place);
        appendSome(log, 10, 1000);
        // One flush by the timer, before closing.
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      {
        await using log = await openLog(place, { flushAfterMs: 5 });
        appendSome(log, 10, 1000);
        for (let i = 0; i < 400 && log.durableOffset < 30; i++) {
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
        assertEquals(log.durableOffset, 30);
      }
      assert(faultsOfClosed(place).length === 0);
    });
  },
});
