import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Task } from "../../lib/base/mod.ts";
import type { IndexEntry } from "../../lib/codec/mod.ts";
import {
  type BatchPlace,
  CorruptSegmentError,
  MessageBatch,
  type ScanStop,
  seek,
  SegmentReader,
  SegmentScan,
  Selection,
} from "../../lib/segment/mod.ts";
import type { CheckedStart } from "../../lib/segment/read/read_options.ts";
import { SeededRandom } from "../../lib/testing/mod.ts";
import {
  concat,
  indexOf,
  KIB,
  type Made,
  make,
  MIB,
  place,
  type Placed,
  TIME,
  ways,
  zeros,
} from "./_made_segment.ts";

interface SeekTest {
  start?: CheckedStart;
  bound?: number;
  hint?: BatchPlace;
}

function* readAll(
  { files, pool }: Placed,
  firstOffset: number,
  { start = {}, bound, hint }: SeekTest,
): Task<{ offsets: number[]; stop: ScanStop }> {
  const found = yield* seek({ ...files, firstOffset }, start, { bound, hint });
  const scan = new SegmentScan(files.log, pool, found);
  const selection = new Selection(start);
  const end = bound ?? (yield* files.log.size());
  const offsets: number[] = [];
  try {
    for (;;) {
      const next = yield* scan.next(end);
      if (!(next instanceof MessageBatch)) return { offsets, stop: next };
      using batch = selection.select(next);
      if (batch === undefined) continue;
      for (let i = 0; i < batch.count; i++) {
        offsets.push(batch.offset(i));
        assertEquals(batch.message(i).offset, batch.offset(i));
      }
    }
  } finally {
    yield* scan.close();
  }
}

/** Makes batches of up to 7 messages, each with a time. Some times are equal. */
function randomSegment(random: SeededRandom, bytes: number): Made {
  const inits = [];
  let timestamp = TIME;
  for (let total = 0; total < bytes; total += 20 * KIB) {
    const count = 1 + random.below(7);
    timestamp += 10 * random.below(2);
    const payloads = Array.from(
      { length: count },
      () => random.below(10 * KIB),
    );
    inits.push({ payloads, timestamp });
  }
  return make(random.below(50), inits);
}

function wanted(made: Made, { from = 0, since = 0 }: CheckedStart): number[] {
  return made.batches.flatMap(({ offset, count, timestamp }) =>
    Array.from({ length: count }, (_, i) => offset + i)
      .filter((each) => each >= from && timestamp >= since)
  );
}

Deno.test("seek() and SegmentScan begin at the requested message, with any index", async () => {
  for (let seed = 0; seed < 12; seed++) {
    const random = new SeededRandom(seed);
    const made = randomSegment(random, 2 * MIB);
    const { batches } = made;
    const chosen = batches.filter(() =>
      random.chance([0.1, 0.5, 1][seed % 3]!)
    );
    const wrong = (entry: IndexEntry): IndexEntry => {
      if (!random.chance(0.3)) return entry;
      const fields = ["offset", "timestamp", "position"] as const;
      const field = fields[random.below(3)]!;
      return {
        ...entry,
        [field]: Math.max(0, entry[field] + random.below(2000) - 1000),
      };
    };
    const indexes = [
      indexOf(chosen),
      indexOf(chosen.map(wrong)),
      concat([indexOf(chosen), zeros(900)]),
      zeros(0),
    ];
    for (const index of indexes) {
      await place({ log: made.log, index }, async (placed) => {
        for (let round = 0; round < 10; round++) {
          const batch = batches[random.below(batches.length)]!;
          const start: CheckedStart = {};
          if (random.chance(0.7)) {
            start.from = batch.offset + random.below(batch.count + 1);
          }
          if (random.chance(0.5)) {
            start.since = batch.timestamp + random.below(3) - 1;
          }
          const test: SeekTest = { start, bound: made.log.length };
          if (random.chance(0.3)) {
            test.hint = batches[random.below(batches.length)]!;
          }
          for (const { name, run } of ways) {
            const { offsets, stop } = await run(
              readAll(placed, made.firstOffset, test),
            );
            const what = `${name}, seed ${seed}, ${JSON.stringify(start)}`;
            assertEquals(offsets, wanted(made, start), what);
            assertEquals(stop.reason, "end");
            assertEquals(stop.offset, made.nextOffset);
          }
        }
      });
    }
  }
});

Deno.test("seek() reads little of a segment to find its end", async () => {
  const made = randomSegment(new SeededRandom(1), 12 * MIB);
  const index = indexOf(made.batches.filter((_, i) => i % 5 === 0));
  const last = made.batches.at(-3)!;
  const starts: CheckedStart[] = [
    { from: last.offset + 1 },
    { since: last.timestamp },
    { from: made.nextOffset },
    { from: last.offset, since: last.timestamp },
  ];
  for (const start of starts) {
    await place({ log: made.log, index }, async (placed) => {
      const test = { start, bound: made.log.length };
      const { offsets } = await ways[1]!.run(
        readAll(placed, made.firstOffset, test),
      );
      assertEquals(offsets, wanted(made, start));
      const read = placed.disk.trace.reduce(
        (sum, { kind, length }) => kind === "read" ? sum + (length ?? 0) : sum,
        0,
      );
      assert(read < 600 * KIB, `${read}`);
    });
  }
});

Deno.test("seek() ignores entries at or after its bound", async () => {
  const made = randomSegment(new SeededRandom(4), 4 * MIB);
  const bound = made.batches.at(-10)!;
  await place({ log: made.log, index: made.index() }, async (placed) => {
    const test = { start: { from: made.nextOffset }, bound: bound.position };
    const { stop } = await ways[1]!.run(
      readAll(placed, made.firstOffset, test),
    );
    const { position, offset } = bound;
    assertEquals(stop, { reason: "end", position, offset });
    const reads = placed.disk.trace.filter(({ kind }) => kind === "read");
    const read = reads.reduce((sum, { length }) => sum + (length ?? 0), 0);
    assert(read < 400 * KIB, `${read}`);
  });
});

Deno.test("SegmentReader reports an incomplete batch as damage", async () => {
  const made = randomSegment(new SeededRandom(2), MIB);
  const { length } = made.log;
  const last = made.batches.at(-1)!;
  const spoilt = made.log.slice();
  spoilt[last.position + 10] = 77;
  const cases: [log: Uint8Array, reason: string, position: number][] = [
    [concat([made.log, zeros(9000)]), "zeros", length],
    [made.log.slice(0, -5), "partial", last.position],
    [spoilt, "offset", last.position],
  ];
  for (const [log, reason, position] of cases) {
    for (const { run } of ways) {
      await place({ log, index: zeros(0) }, async (placed) => {
        const { firstOffset } = made;
        const { stop } = await run(readAll(placed, firstOffset, {}));
        assertEquals([stop.reason, stop.position], [reason, position]);
        const { disk, pool } = placed;
        const reader = new SegmentReader({
          log: disk.openSync("/0.log"),
          index: disk.openSync("/0.index"),
          firstOffset,
          pool,
        });
        const error = await assertRejects(
          async () => {
            for await (const _ of reader.read());
          },
          CorruptSegmentError,
        );
        assertEquals(error.position, position);
      });
    }
  }
});

Deno.test("SegmentScan uses an entry only if there is a batch with its offset and time", async () => {
  const made = randomSegment(new SeededRandom(3), MIB);
  const [entry] = made.batches.slice(20);
  const { offset, timestamp, position } = entry!;
  const from = made.batches[30]!.offset;
  for (
    const wrong of [
      { offset: offset + 1, timestamp, position },
      { offset, timestamp: timestamp + 1, position },
      { offset, timestamp: timestamp - 1, position },
      { offset, timestamp, position: position + 1 },
      { offset, timestamp, position: made.log.length + 1 },
    ]
  ) {
    await place({ log: made.log, index: indexOf([wrong]) }, async (placed) => {
      for (const { run } of ways) {
        const test = { start: { from }, bound: made.log.length };
        const { offsets } = await run(readAll(placed, made.firstOffset, test));
        assertEquals(offsets, wanted(made, { from }));
      }
    });
  }
});
