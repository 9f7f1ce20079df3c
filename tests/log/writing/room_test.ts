/**
 * Calls that wait for room: `appendDurable` and `ready()` in turn, with little memory and a pool at
 * its limit.
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { BackpressureError, type Log } from "@basalt/io";
import {
  at,
  drain,
  faultsOfClosed,
  KIB,
  MIB,
  openLog,
  payload,
  SimulatedPlace,
  testPool,
} from "../_support.ts";

/**
 * Waits for the work. Fails if it takes more than a few seconds, or if timers do not run meanwhile.
 */
async function withTimers<T>(work: Promise<T>): Promise<T> {
  let ticks = 0;
  const began = performance.now();
  const timer = setInterval(() => ticks++, 1);
  let late: ReturnType<typeof setTimeout> | undefined;
  try {
    const deadline = new Promise<never>((_, reject) => {
      late = setTimeout(() => reject(new Error("no progress")), 20_000);
    });
    const result = await Promise.race([work, deadline]);
    const took = performance.now() - began;
    assert(took < 20 || ticks > 1, `${ticks} ticks in ${took} ms`);
    return result;
  } finally {
    clearInterval(timer);
    clearTimeout(late);
  }
}

for (const atLimit of ["wait", "fail"] as const) {
  for (const tailBytes of [0, 8 * MIB]) {
    Deno.test(`Log.appendDurable() of many producers makes progress in order with a tiny buffer and a tiny pool, atLimit "${atLimit}", tailBytes ${tailBytes}`, async () => {
      const place = new SimulatedPlace();
      const pool = testPool({ limitBytes: 96 * KIB, atLimit });
      try {
        const log = await openLog(place, {
          pool,
          tailBytes,
          bufferBytes: 4 * KIB,
        });
        const asked: number[] = [];
        const got: number[] = [];
        const producer = async (number: number) => {
          for (let i = 0; i < 8; i++) {
            const turn = asked.push(number) - 1;
            const size = (number * 331 + i * 977) % 3000;
            const offset = await log.appendDurable(
              payload(1000 * number + i, size),
            );
            assert(log.durableOffset > offset);
            got[turn] = offset;
          }
        };
        await withTimers(
          Promise.all(Array.from({ length: 40 }, (_, n) => producer(n))),
        );
        // The order of the calls is the order of the offsets.
        assertEquals(got, Array.from({ length: 320 }, (_, i) => i));
        await log.close();
        assertEquals(pool.stats().inUseBytes, 0);
        assertEquals(faultsOfClosed(place), []);
      } finally {
        pool.close();
      }
      const again = await openLog(place);
      assertEquals((await drain(again)).length, 320);
      await again.close();
      place.pool.close();
    });
  }
}

Deno.test("Log.appendDurable() waits where append() throws BackpressureError, rejects when its signal aborts, and the others continue in order", async () => {
  await at(new SimulatedPlace({ manual: true }), async (place) => {
    const disk = place.storage;
    const opening = openLog(place, { bufferBytes: 4 * KIB });
    let log: Log | undefined;
    void opening.then((opened) => log = opened);
    const complete = async (until: () => boolean) => {
      for (let turn = 0; turn < 5000 && !until(); turn++) {
        disk.completeAll();
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
      assert(until(), "no progress");
    };
    await complete(() => log !== undefined);
    const first = log!.appendDurable(payload(0, 3500));
    assertThrows(() => log!.append(payload(1, 3500)), BackpressureError);
    const controller = new AbortController();
    const { signal } = controller;
    const order: number[] = [];
    const waiting = [1, 2, 3, 4].map((number) =>
      log!.appendDurable(payload(number, 3500), number === 2 ? { signal } : {})
        .then((offset) => order.push(number) && offset)
    );
    const aborted = assertRejects(() => waiting[1]!, Error, "enough");
    controller.abort(new Error("enough"));
    await aborted;
    assertEquals(log!.nextOffset, 1);
    await complete(() => order.length === 3);
    assertEquals(order, [1, 3, 4]);
    assertEquals(await Promise.all([first, waiting[0], waiting[2]]), [0, 1, 2]);
    let isClosed = false;
    void log!.close().then(() => isClosed = true);
    await complete(() => isClosed);
    assertEquals(faultsOfClosed(place), []);
  });
});

Deno.test("Log.appendDurable() that waits for room is rejected when the log is closed or poisoned", async () => {
  for (const how of ["close", "poison"]) {
    await at(new SimulatedPlace(), async (place) => {
      const log = await openLog(place, { bufferBytes: 4 * KIB });
      if (how === "poison") {
        place.storage.onOperation(({ kind }) =>
          kind === "write" ? { error: "EIO" } : undefined
        );
      }
      const all = Array.from(
        { length: 5 },
        (_, i) => log.appendDurable(payload(i, 3500)),
      );
      const outcomes = Promise.allSettled(all);
      const closed = log.close();
      await closed.catch(() => {});
      const settled = await withTimers(outcomes);
      const done = settled.filter(({ status }) => status === "fulfilled");
      assertEquals(done.length, how === "poison" ? 0 : log.nextOffset);
      assertEquals(log.durableOffset, done.length);
    });
  }
});

Deno.test("Log.ready() with a pool at its limit does not spin: timers run, and it resolves when there is memory", async () => {
  const place = new SimulatedPlace();
  const pool = testPool({ limitBytes: 64 * KIB });
  try {
    const log = await openLog(place, { pool, tailBytes: 0 });
    const { inUseBytes } = pool.stats();
    using other = pool.acquireSync(32 * KIB);
    const rest = [];
    try {
      for (;;) rest.push(pool.acquireSync(4 * KIB));
    } catch { /* Nothing is left. */ }
    assertThrows(() => log.append("x"), BackpressureError);
    let ready = false;
    const waiting = log.ready().then(() => ready = true);
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    await new Promise((resolve) => setTimeout(resolve, 100));
    clearInterval(timer);
    assert(ticks > 20, `${ticks} ticks in 100 ms`);
    assertEquals(ready, false);
    other.drop();
    await withTimers(waiting);
    // The memory that was waited for is there, also if others ask the pool meanwhile.
    log.append("x");
    for (const each of rest) each.drop();
    await log.flush();
    await log.close();
    assertEquals(pool.stats().inUseBytes, 0);
    assert(inUseBytes < 64 * KIB);
  } finally {
    pool.close();
    place.pool.close();
  }
});

/** Appends with `append` and `ready` until there are this many messages. */
async function produce(log: Log, count: number, size: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    for (;;) {
      try {
        log.append(payload(i, size));
        break;
      } catch (error) {
        if (!(error instanceof BackpressureError)) throw error;
        await log.ready();
      }
    }
  }
}

for (const atLimit of ["wait", "fail"] as const) {
  Deno.test(`Log.ready() serves two producers of one log with room for one block, atLimit "${atLimit}"`, async () => {
    const place = new SimulatedPlace();
    const pool = testPool({ limitBytes: 72 * KIB, atLimit });
    try {
      const log = await openLog(place, { pool, bufferBytes: 8 * KIB });
      await withTimers(
        Promise.all([produce(log, 200, 1100), produce(log, 200, 2100)]),
      );
      await log.flush();
      assertEquals(log.durableOffset, 400);
      await log.close();
      assertEquals(pool.stats().inUseBytes, 0);
    } finally {
      pool.close();
      place.pool.close();
    }
  });
}

Deno.test("Log.ready() serves 8 logs on a pool that holds a block for each, and then for fewer", async () => {
  // What a log holds while it is open: a block for its index and its owner file.
  const held = await at(new SimulatedPlace(), async (place) => {
    await using _ = await openLog(place);
    return place.pool.stats().inUseBytes;
  });
  for (const blocks of [8, 3, 2]) {
    const place = new SimulatedPlace();
    // A message needs 8 KiB, as it begins in the last physical block of the one before.
    const pool = testPool({ limitBytes: 8 * held + blocks * 8 * KIB });
    try {
      const logs: Log[] = [];
      for (let i = 0; i < 8; i++) {
        const own = Object.create(place, { dir: { value: `/log${i}` } });
        logs.push(await openLog(own, { pool, bufferBytes: 64 * KIB }));
      }
      // A log whose producer has finished holds a block until it is flushed.
      await withTimers(
        Promise.all(logs.map(async (log) => {
          await produce(log, 60, 1500);
          await log.flush();
        })),
      );
      for (const log of logs) assertEquals(log.durableOffset, 60);
      await Promise.all(logs.map((log) => log.close()));
      assertEquals(pool.stats().inUseBytes, 0);
    } finally {
      pool.close();
      place.pool.close();
    }
  }
});
