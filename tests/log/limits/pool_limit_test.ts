/**
 * A pool at its limit: any mix of logs, producers, tails and readers makes progress on any pool
 * that holds one block for each.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  BackpressureError,
  type BufferPool,
  type Log,
  PoolLimitError,
} from "@basalt/io";
import fc from "fast-check";
import {
  at,
  faultsOfClosed,
  KIB,
  openLog,
  openLogSync,
  payload,
  type Place,
  SimulatedPlace,
  testPool,
} from "../_support.ts";

/** What each log and each reader may need besides what an open log holds, in bytes. */
const BLOCK_BYTES = 128 * KIB;

type Producing = "appendDurable" | "ready" | "flush";
type Reading = "tail" | "durable tail" | "read";

/** The actors on one log. */
interface Actors {
  producers: Producing[];
  readers: Reading[];
}

/** The log of a run, and the number of its messages. */
interface Run {
  log: Log;
  total: number;
}

const PER_PRODUCER = 12;

async function append(log: Log, bytes: number): Promise<void> {
  for (;;) {
    try {
      log.append(payload(0, bytes));
      return;
    } catch (error) {
      if (!(error instanceof BackpressureError)) throw error;
      await log.ready();
    }
  }
}

async function produce({ log }: Run, how: Producing): Promise<void> {
  for (let i = 0; i < PER_PRODUCER; i++) {
    const bytes = (i * 977) % 1500;
    if (how === "appendDurable") await log.appendDurable(payload(0, bytes));
    else await append(log, bytes);
    if (how === "flush" && i % 4 === 3) await log.flush();
  }
  await log.flush();
}

/** Reads until all messages of the run were seen. */
async function consume({ log, total }: Run, how: Reading): Promise<void> {
  if (how !== "read") {
    let seen = 0;
    const durable = how === "durable tail";
    for await (using batch of log.tail({ from: 0, count: total, durable })) {
      seen += batch.count;
    }
    assertEquals(seen, total);
    return;
  }
  for (let seen = 0; seen < total;) {
    seen = 0;
    for await (using batch of log.read({ from: 0 })) seen += batch.count;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Writes a log and closes it, with memory of another pool. */
async function fill(place: Place, bytes: number): Promise<void> {
  await using log = await openLog(place);
  for (let written = 0; written < bytes; written += 3000) {
    await append(log, 3000);
  }
}

/** Takes all that is left of a pool, and returns it block by block. */
async function hog(pool: BufferPool): Promise<void> {
  const held = [];
  try {
    for (;;) held.push(pool.acquireSync(4 * KIB));
  } catch { /* At the limit. */ }
  for (const each of held) {
    await new Promise((resolve) => setTimeout(resolve, 0));
    each.drop();
  }
}

/** Waits for all. Fails if they do not end within 20 s. */
async function ended(
  all: Promise<unknown>[],
  what: () => string,
): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`no progress: ${what()}`)),
      20_000,
    );
  });
  try {
    await Promise.race([Promise.all(all), late]);
  } finally {
    clearTimeout(timer);
  }
}

const actors = fc.record({
  producers: fc.array(
    fc.constantFrom<Producing>("appendDurable", "ready", "flush"),
    { minLength: 1, maxLength: 3 },
  ),
  readers: fc.array(
    fc.constantFrom<Reading>("tail", "durable tail", "read"),
    { maxLength: 3 },
  ),
});

/** Returns how many bytes a log holds while it is open. */
async function heldBytes(): Promise<number> {
  return await at(new SimulatedPlace(), async (place) => {
    await using _ = await openLog(place);
    return place.pool.stats().inUseBytes;
  });
}

async function run(
  logs: Actors[],
  options: {
    tailBytes: number;
    bufferBytes: number;
    segmentBytes: number;
    hogs: boolean;
    beforeBytes: number;
  },
): Promise<void> {
  const { hogs, beforeBytes, ...logOptions } = options;
  const count = logs.reduce(
    (sum, each) => sum + each.readers.length,
    logs.length,
  );
  const place = new SimulatedPlace();
  const limitBytes = logs.length * await heldBytes() + count * BLOCK_BYTES;
  const pool = testPool({ limitBytes });
  try {
    const places: Place[] = logs.map((_, i) =>
      Object.create(place, { dir: { value: `/log${i}` } })
    );
    for (const each of places) await fill(each, beforeBytes);
    const opening: Promise<void>[] = [];
    const opened: Run[] = [];
    // Openings wait at the limit, too.
    if (hogs) opening.push(hog(pool));
    for (const [i, { producers }] of logs.entries()) {
      opening.push((async () => {
        const log = await openLog(places[i]!, { pool, ...logOptions });
        const total = log.nextOffset + producers.length * PER_PRODUCER;
        opened[i] = { log, total };
      })());
    }
    await ended(opening, () => pool.report());
    const work = logs.flatMap(({ producers, readers }, i) => [
      ...producers.map((how) => produce(opened[i]!, how)),
      ...readers.map((how) => consume(opened[i]!, how)),
    ]);
    if (hogs) work.push(hog(pool));
    await ended(work, () => pool.report());
    for (const { log } of opened) await log.close();
    assertEquals(pool.stats().inUseBytes, 0);
  } finally {
    pool.close();
    place.pool.close();
  }
}

Deno.test("Log with a pool at its limit: any mix of logs, producers, tails and readers makes progress", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(actors, { minLength: 1, maxLength: 4 }),
      fc.record({
        tailBytes: fc.constantFrom(0, 64 * KIB, 8192 * KIB),
        bufferBytes: fc.constantFrom(4 * KIB, 64 * KIB),
        segmentBytes: fc.constantFrom(16 * KIB, 1024 * KIB),
        hogs: fc.boolean(),
        beforeBytes: fc.constantFrom(0, 200 * KIB, 700 * KIB),
      }),
      run,
    ),
    { numRuns: 40 },
  );
});

for (const state of ["new", "closed", "not closed"]) {
  Deno.test(`Log.open() of a log that is ${state} waits for memory at the pool's limit, openSync() throws and holds nothing`, async () => {
    await at(new SimulatedPlace(), async (place) => {
      if (state !== "new") await fill(place, 20_000);
      if (state === "not closed") {
        const dir = `${place.dir}/writer`;
        place.storage.openSync(dir, { write: true, create: true }).closeSync();
      }
      using pool = testPool({ limitBytes: 1024 * KIB });
      const held = [];
      try {
        for (;;) held.push(pool.acquireSync(4 * KIB));
      } catch (error) {
        assert(error instanceof PoolLimitError);
      }
      assertThrows(() => openLogSync(place, { pool }), PoolLimitError);
      let log: Log | undefined;
      const opening = openLog(place, { pool }).then((opened) => log = opened);
      // Frees one more block at a time. Wherever the opening stopped for lack of memory, it
      // continues.
      for (const each of held) {
        assertEquals(log, undefined);
        each.drop();
        for (let i = 0; i < 50; i++) await new Promise((r) => setTimeout(r, 0));
        if (log !== undefined) break;
        assertThrows(() => openLogSync(place, { pool }));
      }
      for (const each of held) each.drop();
      await ended([opening], () => pool.report());
      await log!.close();
      assertEquals(pool.stats().inUseBytes, 0);
      assertEquals(faultsOfClosed(place), []);
    });
  });
}
