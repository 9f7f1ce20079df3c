import { assert, assertEquals } from "@std/assert";
import type { Task } from "../../lib/base/mod.ts";
import {
  IndexCheck,
  MessageBatch,
  Resync,
  type ScanStop,
  type WrongEntries,
} from "../../lib/segment/mod.ts";
import { findBatchAfter } from "../../lib/segment/recover/batch_search.ts";
import { SeededRandom } from "../../lib/testing/mod.ts";
import {
  concat,
  indexOf,
  KIB,
  type Made,
  make,
  makeBatch,
  makeSingles,
  MIB,
  place,
  type Placed,
  TIME,
  ways,
  zeros,
} from "./_made_segment.ts";

/** Yields what a resync found: offsets of messages, and stops. */
function* readAll(
  { files, pool }: Placed,
  firstOffset: number,
  bound: number,
): Task<(number | ScanStop)[]> {
  const resync = new Resync({ log: files.log, pool, firstOffset, bound });
  const found: (number | ScanStop)[] = [];
  try {
    for (;;) {
      const next = yield* resync.next();
      if (next instanceof MessageBatch) {
        using batch = next;
        for (let i = 0; i < batch.count; i++) found.push(batch.offset(i));
      } else {
        found.push(next);
        if (next.reason === "end") return found;
      }
    }
  } finally {
    yield* resync.close();
  }
}

Deno.test("Resync continues after any fault, with every valid batch", async () => {
  for (let seed = 0; seed < 30; seed++) {
    const random = new SeededRandom(seed);
    const most = [200, 20 * KIB, 2 * MIB][seed % 3]!;
    const count = 5 + random.below(40);
    const made = makeSingles(
      random.below(100),
      Array.from(
        { length: count },
        () => random.below(random.chance(0.8) ? 300 : most),
      ),
    );
    const log = made.log.slice();
    const bad = new Set<number>();
    for (let faults = 1 + random.below(4); faults > 0; faults--) {
      const at = random.below(count);
      const { position, length } = made.batches[at]!;
      bad.add(at);
      const kind = random.below(3);
      if (kind === 0) log.fill(0, position, position + length);
      else if (kind === 1) log.fill(0xff, position, position + length);
      else log[position + random.below(length)]! ^= 1 << random.below(8);
    }
    // A bit of an offset or a length is damage, too. No flip leaves a batch valid.
    const good = made.batches.filter((_, i) => !bad.has(i)).map(({ offset }) =>
      offset
    );
    for (const { name, run } of ways) {
      await place({ log, index: zeros(0) }, async (placed) => {
        const found = await run(readAll(placed, made.firstOffset, log.length));
        const what = `${name}, seed ${seed}`;
        assertEquals(
          found.filter((each) => typeof each === "number"),
          good,
          what,
        );
        const stops = found.filter((each) => typeof each !== "number");
        assertEquals(stops.at(-1)!.reason, "end", what);
        assertEquals(stops.at(-1)!.position, log.length, what);
        // Adjacent faults are one.
        const first = [...bad].filter((i) => !bad.has(i - 1)).sort((a, b) =>
          a - b
        );
        assertEquals(
          stops.slice(0, -1).map(({ position }) => position),
          first.map((i) => made.batches[i]!.position),
          what,
        );
      });
    }
  }
});

Deno.test("Resync does not count batches inside a damaged payload", async () => {
  const inner = makeBatch(12, TIME + 5, [new Uint8Array(100).fill(1)]);
  const payload = concat([inner, inner]);
  const made = make(10, [{ payloads: [50, 60] }, { payloads: [payload] }, {
    payloads: [70],
  }]);
  const log = made.log.slice();
  log[made.batches[2]!.position - 1]! ^= 1;
  for (const { run } of ways) {
    await place({ log, index: zeros(0) }, async (placed) => {
      const found = await run(readAll(placed, 10, log.length));
      assertEquals(
        found.map((each) => typeof each === "number" ? each : each.reason),
        [
          10,
          11,
          "frame checksum",
          13,
          "end",
        ],
      );
    });
  }
});

Deno.test("Resync reports a batch with an earlier time than the one before it, and reads it", async () => {
  const made = make(0, [
    { payloads: [5], timestamp: TIME },
    { payloads: [5], timestamp: TIME - 1 },
    { payloads: [5], timestamp: TIME },
  ]);
  await place({ log: made.log, index: zeros(0) }, async (placed) => {
    const found = await ways[0]!.run(readAll(placed, 0, made.log.length));
    assertEquals(
      found.map((each) => typeof each === "number" ? each : each.reason),
      [
        0,
        "timestamp",
        1,
        2,
        "end",
      ],
    );
  });
});

Deno.test("findBatchAfter() finds the first valid batch in a range", async () => {
  const made = makeSingles(0, [10, 3 * MIB, 20, 5 * MIB, 30]);
  const log = concat([zeros(1000), made.log, zeros(1000)]);
  await place({ log, index: zeros(0) }, async ({ files, pool }) => {
    for (const { run } of ways) {
      for (const [i, { position, offset }] of made.batches.entries()) {
        const at = 1000 + position;
        const search = (from: number, to: number, minOffset: number) =>
          run(findBatchAfter(files.log, pool, from, to, minOffset));
        assertEquals(await search(at, log.length, 0), { position: at, offset });
        assertEquals(await search(at - 100, at + 1, offset), {
          position: at,
          offset,
        });
        assertEquals(await search(at + 1, at + 200, 0), undefined);
        assertEquals(await search(at - 100, at, i), undefined);
        const next = made.batches[i + 1];
        const after = next &&
          { position: 1000 + next.position, offset: next.offset };
        assertEquals(await search(at, log.length, i + 1), after);
        assertEquals(await search(at + 1, log.length, i), after);
      }
    }
  });
});

function* check(
  { files, pool }: Placed,
  made: Made,
  bound: number,
  isOpen: boolean,
  cutTo?: number,
): Task<WrongEntries[]> {
  using check = yield* IndexCheck.open(files.index, pool, { isOpen });
  if (cutTo !== undefined) yield* files.index.truncate(cutTo);
  const resync = new Resync({
    log: files.log,
    pool,
    firstOffset: made.firstOffset,
    bound,
  });
  const wrong: WrongEntries[] = [];
  try {
    for (;;) {
      const next = yield* resync.next();
      if (!(next instanceof MessageBatch)) {
        if (next.reason === "end") break;
        continue;
      }
      using batch = next;
      wrong.push(...yield* check.compare(batch));
    }
    wrong.push(...yield* check.rest(bound));
    return wrong;
  } finally {
    yield* resync.close();
  }
}

Deno.test("IndexCheck reports exactly the entries that point to no batch", async () => {
  for (let seed = 0; seed < 36; seed++) {
    const random = new SeededRandom(seed);
    const made = makeSingles(
      random.below(100),
      Array.from(
        { length: 300 },
        () => random.below([50, 20 * KIB][seed % 2]!),
      ),
    );
    const chosen = made.batches.filter(() =>
      random.chance([0.05, 0.5, 1][seed % 3]!)
    );
    const entries = chosen.map(({ offset, timestamp, position }) => ({
      offset,
      timestamp,
      position,
    }));
    const expected = new Set<number>();
    for (
      let faults = random.below(4);
      faults > 0 && entries.length > 0;
      faults--
    ) {
      const at = random.below(entries.length);
      // Only single ones, because a right entry between two wrong ones separates them.
      if ([...expected].some((each) => Math.abs(each - at) < 2)) continue;
      const field =
        (["offset", "timestamp", "position"] as const)[random.below(3)]!;
      entries[at]![field] += [1, 1000, 2 ** 40][random.below(3)]!;
      expected.add(at);
    }
    for (const { name, run } of ways) {
      await place(
        { log: made.log, index: indexOf(entries) },
        async (placed) => {
          const wrong = await run(check(placed, made, made.log.length, false));
          const numbers = wrong.flatMap(({ first, count }) =>
            Array.from({ length: count }, (_, i) => first + i)
          );
          const what = `${name}, seed ${seed}`;
          assertEquals(numbers, [...expected].sort((a, b) => a - b), what);
        },
      );
    }
  }
});

Deno.test("IndexCheck handles runs, padding, damaged bytes and entries after the end", async () => {
  const made = makeSingles(0, Array.from({ length: 60 }, () => 1000));
  const index = made.index();
  const run = ways[0]!.run;
  // A block of other bytes.
  const garbage = index.slice();
  garbage.fill(0xff, 24 * 10, 24 * 25);
  await place({ log: made.log, index: garbage }, async (placed) => {
    const wrong = await run(check(placed, made, made.log.length, false));
    assertEquals(wrong, [{ first: 10, count: 15 }]);
  });
  // Zeros are space for more entries while there is a writer.
  const padded = concat([index, zeros(240)]);
  await place({ log: made.log, index: padded }, async (placed) => {
    assertEquals(await run(check(placed, made, made.log.length, true)), []);
    const wrong = await run(check(placed, made, made.log.length, false));
    assertEquals(wrong, [{ first: 60, count: 10 }]);
  });
  // The bytes that entries 20 to 24 point to are damaged, so these entries cannot be checked.
  const log = made.log.slice();
  log.fill(0xff, made.batches[20]!.position, made.batches[25]!.position);
  await place({ log, index }, async (placed) => {
    assertEquals(await run(check(placed, made, log.length, false)), []);
  });
  // Entries after the end.
  const { position } = made.batches[50]!;
  await place({ log: made.log.slice(0, position), index }, async (placed) => {
    const wrong = await run(check(placed, made, position, false));
    assertEquals(wrong, [{ first: 50, count: 10 }]);
  });
  assert(index.length === 60 * 24);
});

Deno.test("IndexCheck takes room that the writer cuts during the check for no entries", async () => {
  const made = makeSingles(0, Array.from({ length: 60 }, () => 1000));
  const entries = made.index();
  const room = concat([entries.slice(0, 48), zeros(4096 - 48)]);
  for (const { name, run } of ways) {
    await place({ log: made.log, index: room }, async (placed) => {
      const wrong = await run(check(placed, made, made.log.length, true, 48));
      assertEquals(wrong, [], name);
    });
  }
});
