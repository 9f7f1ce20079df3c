import { assert, assertEquals } from "@std/assert";
import { INDEX_ENTRY_BYTES, type IndexEntry } from "../../lib/codec/mod.ts";
import { IndexLookup } from "../../lib/segment/mod.ts";
import { SeededRandom } from "../../lib/testing/mod.ts";
import {
  concat,
  indexOf,
  KIB,
  place,
  type Placed,
  ways,
  zeros,
} from "./_made_segment.ts";
import type { Task } from "../../lib/base/mod.ts";

const FIRST = 100;

/** Returns ascending entries, some with the timestamp of the one before. */
function entriesOf(
  count: number,
  random = new SeededRandom(count),
): IndexEntry[] {
  const entries: IndexEntry[] = [];
  let [offset, timestamp, position] = [FIRST, 1000, 0];
  for (let i = 0; i < count; i++) {
    entries.push({ offset, timestamp, position });
    const messages = 1 + random.below(5);
    offset += messages;
    position += 256 + 48 * messages + random.below(3) * random.below(1000);
    timestamp += random.below(3);
  }
  return entries;
}

function* withLookup<T>(
  { files }: Placed,
  use: (lookup: IndexLookup) => Task<T>,
): Task<T> {
  using lookup = yield* IndexLookup.open({ ...files, firstOffset: FIRST });
  return yield* use(lookup);
}

Deno.test("IndexLookup finds entries by offset, by time and by number", async () => {
  for (const count of [0, 1, 2, 170, 171, 172, 1000]) {
    const entries = entriesOf(count);
    const index = indexOf(entries);
    for (const readOffsetAlignment of [1, 512, 4096]) {
      await place({ log: zeros(0), index }, async (placed) => {
        for (const { run } of ways) {
          await run(withLookup(placed, function* (lookup) {
            assertEquals(lookup.count, count);
            for (const i of [0, 1, 85, 170, 171, 500, 999, 1000]) {
              assertEquals(yield* lookup.entry(i), entries[i]);
            }
            assertEquals(yield* lookup.entry(-1), undefined);
            for (
              const wanted of [FIRST - 1, FIRST, FIRST + 1, FIRST + 700, 1e9]
            ) {
              const number = entries.findLastIndex(({ offset }) =>
                offset <= wanted
              );
              const found = yield* lookup.findLast((each) =>
                each.offset <= wanted
              );
              assertEquals(
                found,
                number < 0 ? undefined : { entry: entries[number]!, number },
              );
            }
            for (const wanted of [0, 1000, 1001, 1100, 1e9]) {
              const number = entries.findLastIndex(({ timestamp }) =>
                timestamp < wanted
              );
              const found = yield* lookup.findLast((each) =>
                each.timestamp < wanted
              );
              assertEquals(
                found,
                number < 0 ? undefined : { entry: entries[number]!, number },
              );
            }
            const last = yield* lookup.lastPlausible();
            assertEquals(
              last,
              count === 0
                ? undefined
                : { entry: entries.at(-1)!, number: count - 1 },
            );
          }));
        }
      }, { readOffsetAlignment });
    }
  }
});

Deno.test("IndexLookup.entry() skips what cannot be an entry of the segment", async () => {
  const entries = entriesOf(40);
  const wrong: IndexEntry[] = [
    { offset: 0, timestamp: 0, position: 0 },
    { offset: FIRST + 5, timestamp: 1000, position: 100 },
    { offset: FIRST - 1, timestamp: 1000, position: 2 ** 20 },
    { offset: FIRST + 39, timestamp: 1000, position: 0 },
  ];
  for (const entry of wrong) {
    const index = indexOf(entries.with(20, entry));
    await place({ log: zeros(0), index }, async (placed) => {
      await ways[1]!.run(withLookup(placed, function* (lookup) {
        assertEquals(yield* lookup.entry(20), undefined);
        assertEquals((yield* lookup.lastPlausible())?.number, 19);
      }));
    });
  }
  const index = indexOf(entries);
  // A field above 2^53.
  index[20 * INDEX_ENTRY_BYTES + 15] = 1;
  await place({ log: zeros(0), index }, async (placed) => {
    await ways[1]!.run(withLookup(placed, function* (lookup) {
      assertEquals(yield* lookup.entry(20), undefined);
      assertEquals((yield* lookup.lastPlausible())?.number, 19);
    }));
  });
});

Deno.test("IndexLookup.lastPlausible() ends before an entry that is out of order, and before padding", async () => {
  const entries = entriesOf(30_000);
  const cases: [
    number,
    (entry: IndexEntry, before: IndexEntry) => IndexEntry,
  ][] = [
    [25_000, (entry, before) => ({ ...entry, offset: before.offset })],
    [25_000, (entry, before) => ({ ...entry, position: before.position })],
    [1, (entry, before) => ({ ...entry, timestamp: before.timestamp - 1 })],
    [
      12_345,
      (entry, before) => ({ ...entry, position: before.position + 303 }),
    ],
  ];
  for (const [at, spoil] of cases) {
    const index = indexOf(
      entries.with(at, spoil(entries[at]!, entries[at - 1]!)),
    );
    await place({ log: zeros(0), index }, async (placed) => {
      for (const { run } of ways) {
        const found = await run(
          withLookup(placed, (lookup) => lookup.lastPlausible()),
        );
        assertEquals(found, { entry: entries[at - 1]!, number: at - 1 });
      }
    });
  }
  const padded = concat([indexOf(entries), zeros(1000)]);
  await place({ log: zeros(0), index: padded }, async (placed) => {
    const found = await ways[0]!.run(
      withLookup(placed, (lookup) => lookup.lastPlausible()),
    );
    assertEquals(found?.number, 29_999);
  });
});

Deno.test("IndexLookup.findLast() reads at most a dozen blocks", async () => {
  const entries = entriesOf(60_000);
  await place({ log: zeros(0), index: indexOf(entries) }, async (placed) => {
    for (const wanted of [FIRST, FIRST + 30_000, FIRST + 100_000, 1e9]) {
      const before = placed.disk.trace.length;
      await ways[1]!.run(
        withLookup(
          placed,
          (lookup) => lookup.findLast((each) => each.offset <= wanted),
        ),
      );
      const reads = placed.disk.trace.slice(before).filter(({ kind }) =>
        kind === "read"
      );
      assert(reads.length <= 12, `${reads.length}`);
      assert(reads.every(({ length }) => (length ?? 0) <= 8 * KIB));
    }
  });
});
