/**
 * A lone durable append is written on the program's thread where the device is fast:
 * lib/segment/write/in_place.ts.
 */
import { assert, assertEquals } from "@std/assert";
import type { Log } from "@basalt/io";
import {
  at,
  faultsOfClosed,
  openLog,
  payload,
  SimulatedPlace,
} from "../_support.ts";

/**
 * A place whose device takes this long for each write of the log, and which lets the thread wait.
 */
class TimedPlace extends SimulatedPlace {
  latencyMs: number;

  constructor(latencyMs: number) {
    super({ timeStepMicros: 0 });
    this.latencyMs = latencyMs;
    this.storage.onOperation(({ kind, path }) =>
      kind === "write" && path.endsWith(".log")
        ? { latencyMs: this.latencyMs }
        : undefined
    );
  }
}

/** Runs a part of a test with a log on a device. */
function on(
  latencyMs: number,
  test: (log: Log, place: TimedPlace) => Promise<void>,
): Promise<void> {
  return at(new TimedPlace(latencyMs), async (place) => {
    const log = await openLog(place);
    await test(log, place);
    await log.close();
    assertEquals(faultsOfClosed(place), []);
  });
}

/** Appends messages and awaits each. Returns how many flushes were made in place. */
async function appendLone(log: Log, count: number): Promise<number> {
  const { inPlaceFlushes } = log.stats();
  for (let i = 0; i < count; i++) await log.appendDurable(payload(i, 100));
  return log.stats().inPlaceFlushes - inPlaceFlushes;
}

Deno.test("Log.appendDurable() of a lone appender is written in place on a fast device, after the first ones", () =>
  on(0.1, async (log, place) => {
    assertEquals(await appendLone(log, 32), 0);
    const inPlace = await appendLone(log, 300);
    assert(inPlace > 200, `${inPlace} of 300`);
    const blocking = place.storage.trace.filter((each) =>
      each.kind === "write" && each.path.endsWith(".log") && each.blocking
    );
    assertEquals(blocking.length, log.stats().inPlaceFlushes);
    assertEquals(log.durableOffset, 332);
  }));

Deno.test("Log.appendDurable() never blocks the thread on a slow device", () =>
  on(3, async (log, place) => {
    assertEquals(await appendLone(log, 300), 0);
    const { trace } = place.storage;
    assertEquals(
      trace.filter((each) => each.kind === "write" && each.blocking),
      [],
    );
  }));

Deno.test("Log.appendDurable() notices after one write that the device became slow, and writes in place again later", () =>
  on(0.1, async (log, place) => {
    assert(await appendLone(log, 200) > 100);
    place.latencyMs = 5;
    assert(await appendLone(log, 100) <= 1);
    place.latencyMs = 0.1;
    assertEquals(await appendLone(log, 20), 0);
    assert(await appendLone(log, 400) > 100);
  }));

Deno.test("Log.appendDurable() is written in place when all waiting callers are back, and not when others join", async () => {
  await on(0.1, async (log) => {
    for (let round = 0; round < 150; round++) {
      await Promise.all(
        [1, 2, 3].map((i) => log.appendDurable(payload(i, 50))),
      );
    }
    assert(log.stats().inPlaceFlushes > 50);
  });
  await on(0.1, async (log) => {
    for (let round = 0; round < 150; round++) {
      // A different number of appenders each time.
      await Promise.all(
        Array.from(
          { length: 1 + round % 3 },
          (_, i) => log.appendDurable(payload(i, 50)),
        ),
      );
    }
    assertEquals(log.stats().inPlaceFlushes, 0);
  });
});

Deno.test("Log.appendDurable() is not written in place where the storage does not let the thread wait", () =>
  on(0.1, async (log, place) => {
    place.storage.mayWaitInPlace = false;
    assertEquals(await appendLone(log, 300), 0);
    place.storage.mayWaitInPlace = true;
    assert(await appendLone(log, 300) > 100);
  }));
