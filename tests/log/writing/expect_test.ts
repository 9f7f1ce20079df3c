/**
 * Appending only at an expected offset, and one `appendBatch` is one batch:
 * docs/format.md#batch-atomic, docs/format.md#batch-size.
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type Log, OffsetConflictError } from "@basalt/io";
import type { BufferPool } from "../../../lib/pool/mod.ts";
import {
  appendSome,
  at,
  BATCH,
  batchesOf,
  drain,
  faultsOfClosed,
  FRAME,
  KIB,
  LOG,
  MIB,
  onEachPlace,
  openLog,
  payload,
  SimulatedPlace,
} from "../_support.ts";

/** Returns the state that a refused append must leave unchanged. */
function state(log: Log, pool: BufferPool): unknown {
  return [log.nextOffset, log.stats(), pool.stats().inUseBytes];
}

onEachPlace(
  "Log.append({ expect }) appends at that offset only, and changes nothing otherwise",
  async (place) => {
    const log = await openLog(place);
    assertEquals(log.append("a", { expect: 0 }), 0);
    assertEquals(log.appendBatch(["b", "c"], { expect: 1 }), 1);
    assertEquals(await log.appendDurable("d", { expect: 3 }), 3);
    const { flushes } = log.stats();
    for (const open of [false, true]) {
      // Also where a block is open, to which the fast path would append.
      if (open) appendSome(log, 1, 10);
      const { nextOffset } = log;
      for (const expect of [0, nextOffset - 1, nextOffset + 1, 2 ** 53 - 1]) {
        const before = state(log, place.pool);
        const errors = [
          assertThrows(() => log.append("x", { expect }), OffsetConflictError),
          assertThrows(
            () => log.appendBatch(["x", "y"], { expect }),
            OffsetConflictError,
          ),
          assertThrows(
            () =>
              log.appendBatch({ bytes: new Uint8Array(2), lengths: [1, 1] }, {
                expect,
              }),
            OffsetConflictError,
          ),
          await assertRejects(
            () => log.appendDurable("x", { expect }),
            OffsetConflictError,
          ),
        ] as OffsetConflictError[];
        for (const error of errors) {
          assertEquals([error.expected, error.nextOffset, error.name], [
            expect,
            nextOffset,
            "OffsetConflictError",
          ]);
        }
        assertEquals(state(log, place.pool), before);
      }
      for (const expect of [-1, 0.5, NaN, "4" as unknown as number]) {
        const before = state(log, place.pool);
        assertThrows(() => log.append("x", { expect }), RangeError, "'expect'");
        assertThrows(() => log.appendBatch(["x"], { expect }), RangeError);
        await assertRejects(
          () => log.appendDurable("x", { expect }),
          RangeError,
        );
        assertEquals(state(log, place.pool), before);
      }
    }
    assertEquals(log.stats().flushes, flushes);
    await log.close();
    assertEquals(faultsOfClosed(place), []);
  },
);

Deno.test("Log.append({ expect }) of racing writers succeeds for one, and the others get the next offset", async () => {
  await at(new SimulatedPlace(), async (place) => {
    const log = await openLog(place);
    let conflicts = 0;
    const increment = async (): Promise<void> => {
      for (;;) {
        const expect = log.nextOffset;
        await new Promise((resolve) => setTimeout(resolve, 0));
        try {
          await log.appendDurable(String(expect), { expect });
          return;
        } catch (error) {
          if (!(error instanceof OffsetConflictError)) throw error;
          conflicts++;
          assertEquals(error.expected, expect);
        }
      }
    };
    await Promise.all(Array.from({ length: 10 }, increment));
    assert(conflicts >= 9);
    const found = await drain(log);
    assertEquals(found.length, 10);
    for (const { offset, payload } of found) {
      assertEquals(new TextDecoder().decode(payload), String(offset));
    }
    await log.close();
  });
});

onEachPlace(
  "Log.appendBatch() is one batch, whatever its size and form",
  async (place) => {
    const log = await openLog(place, {
      blockBytes: 8 * KIB,
      segmentBytes: MIB,
    });
    const sizes = [[1], [2000, 3000], [10, 20, 30, 9000, 40], [700_000, 5]];
    const firsts: number[] = [];
    for (const lengths of sizes) {
      log.append("between");
      const list = lengths.map((length, i) => payload(i, length));
      firsts.push(log.appendBatch(list));
      const bytes = new Uint8Array(
        lengths.reduce((sum, each) => sum + each, 0),
      );
      firsts.push(log.appendBatch({ bytes, lengths }));
      firsts.push(log.appendBatch(lengths.map((length) => "x".repeat(length))));
    }
    await log.close();
    const batches = place.names().filter((name) => name.endsWith(".log"))
      .flatMap((name) => batchesOf(place.bytes(name)));
    for (const [i, first] of firsts.entries()) {
      const lengths = sizes[Math.floor(i / 3)]!;
      const batch = batches.find(({ offset }) => offset === first)!;
      assertEquals(batch.count, lengths.length);
      const total = lengths.reduce((sum, each) => sum + FRAME + each, BATCH);
      assertEquals(batch.end - batch.position, total);
    }
    assertEquals(faultsOfClosed(place), []);
  },
);

Deno.test("Log.append() gathers at most 1 MiB in a batch, and gives a larger message a batch of its own", async () => {
  await at(new SimulatedPlace(), async (place) => {
    const log = await openLog(place, { blockBytes: 8 * MIB });
    // 1008 of these fill a batch exactly.
    const size = (MIB - BATCH) / 1008 - FRAME;
    for (let i = 0; i < 20_000; i++) log.append(payload(i, size));
    log.append(payload(0, 3 * MIB));
    log.append("after");
    await log.close();
    const batches = batchesOf(place.bytes(LOG));
    const above = batches.filter(({ position, end }) => end - position > MIB);
    assertEquals(above.map(({ offset, count }) => [offset, count]), [
      [20_000, 1],
    ]);
    const full = batches.filter(({ position, end }) => end - position === MIB);
    assert(full.length >= 10, `${full.length} of ${batches.length} are full`);
    assertEquals(faultsOfClosed(place), []);
  });
});

Deno.test("Log.append() begins another batch where origin times are too far apart, and appendBatch() is refused above 64 MiB", async () => {
  await at(new SimulatedPlace(), async (place) => {
    const log = await openLog(place, { bufferBytes: 256 * MIB });
    const span = 2 ** 32 - 1;
    const times = [5, 5 + span, 6 + span, 4, undefined, undefined, 7];
    for (const originTimestamp of times) {
      if (originTimestamp === undefined) log.append("x");
      else log.append("x", { originTimestamp });
    }
    const half = new Uint8Array(32 * MIB);
    const before = state(log, place.pool);
    assertThrows(() => log.appendBatch([half, half]), RangeError, "67108864");
    assertEquals(state(log, place.pool), before);
    // Exactly the limit.
    const most = 64 * MIB - BATCH - 2 * FRAME - half.length;
    assertEquals(
      log.appendBatch([half, new Uint8Array(most)]),
      times.length,
    );
    assertThrows(
      () => log.appendBatch([half, new Uint8Array(most + 1)]),
      RangeError,
    );
    await log.flush();
    const read = await drain(log, { count: times.length });
    read.forEach(({ originTimestamp, timestamp }, i) =>
      assertEquals(originTimestamp, times[i] ?? timestamp)
    );
    await log.close();
    const counts = batchesOf(place.bytes(LOG)).map(({ count }) => count);
    assertEquals(counts, [2, 1, 1, 2, 1, 2]);
    assertEquals(faultsOfClosed(place), []);
  });
});
