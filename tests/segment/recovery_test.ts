/** Recovery of segments that were made byte by byte: `docs/format.md#opening`. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { INDEX_ENTRY_BYTES } from "../../lib/codec/mod.ts";
import {
  CorruptSegmentError,
  INDEX_INTERVAL_BYTES,
  recoverSegment,
} from "../../lib/segment/mod.ts";
import type { Recovered } from "../../lib/segment/recover/recovery.ts";
import { CHECKPOINT_BYTES } from "../../lib/segment/layout.ts";
import { NoSpaceError } from "../../lib/storage/mod.ts";
import { SeededRandom, SimulatedCrashError } from "../../lib/testing/mod.ts";
import type { Task } from "../../lib/base/mod.ts";
import {
  concat,
  indexOf,
  KIB,
  type Made,
  type MadeBatch,
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

/** The calls of a recovery, in order. */
type Asked = ["keep", from: number, to: number];

function* recover(
  { files }: Placed,
  firstOffset: number,
  durableOffset = 0,
  asked: Asked[] = [],
): Task<Recovered> {
  return yield* recoverSegment({
    ...files,
    firstOffset,
    durableOffset,
    *begin(): Task<void> {
      assertEquals(asked, [], "begins after something was kept");
    },
    *keep(from, to): Task<void> {
      asked.push(["keep", from, to]);
    },
  });
}

/** Returns the batches that begin before `end` and get entries from a writer. */
function sparse(made: Made, end = Infinity): MadeBatch[] {
  const entries: MadeBatch[] = [];
  for (const batch of made.batches) {
    if (batch.position + batch.length > end) break;
    const last = entries.at(-1);
    if (
      last === undefined ||
      batch.position >= last.position + INDEX_INTERVAL_BYTES
    ) {
      entries.push(batch);
    }
  }
  return entries;
}

const writes = ({ disk }: Placed) =>
  disk.trace.filter(({ kind }) => kind === "write" || kind === "truncate");

const bytesRead = ({ disk }: Placed) =>
  disk.trace.reduce(
    (sum, { kind, length, path }) =>
      kind === "read" && path.endsWith(".log") ? sum + (length ?? 0) : sum,
    0,
  );

/** Checks what recovery left: the log, cut after `count` batches, and an index of these entries. */
function assertRecovered(
  placed: Placed,
  { state, report }: Recovered,
  made: Made,
  count: number,
  entries: readonly MadeBatch[],
  what = "",
): void {
  const end = made.batches[count]?.position ?? made.log.length;
  const last = made.batches[count - 1];
  assertEquals(placed.log().length, end, what);
  assertEquals(placed.index(), indexOf(entries), what);
  assertEquals(state, {
    nextOffset: made.batches[count]?.offset ?? made.nextOffset,
    end,
    lastTimestamp: last?.timestamp ?? 0,
    tail: made.log.slice(end - end % 4096, end),
    index: {
      end: entries.length * INDEX_ENTRY_BYTES,
      tail: indexOf(entries).slice(entries.length * INDEX_ENTRY_BYTES & ~4095),
    },
    indexedPosition: entries.at(-1)?.position,
  }, what);
  assertEquals(report.end, end, what);
  assertEquals(report.trustedPosition + report.scannedBytes, end, what);
}

/** Checks that recovery refuses the files and changes nothing. */
async function assertRefused(
  files: { log: Uint8Array; index: Uint8Array },
  firstOffset: number,
  expected: Partial<CorruptSegmentError>,
  durableOffset = 0,
): Promise<void> {
  for (const { name, run } of ways) {
    await place(files, async (placed) => {
      const asked: Asked[] = [];
      const error = await assertRejects(
        () => run(recover(placed, firstOffset, durableOffset, asked)),
        CorruptSegmentError,
      ) as unknown as CorruptSegmentError;
      const fields = Object.keys(expected) as (keyof CorruptSegmentError)[];
      for (const field of fields) {
        assertEquals(error[field], expected[field], `${name}: ${field}`);
      }
      assertEquals(asked, [], name);
      assertEquals(writes(placed), [], name);
    });
  }
}

Deno.test("recoverSegment() starts an empty segment", async () => {
  for (const { run } of ways) {
    await place({ log: zeros(0), index: zeros(0) }, async (placed) => {
      const asked: Asked[] = [];
      const found = await run(recover(placed, 7, 0, asked));
      assertRecovered(placed, found, make(7, []), 0, []);
      assertEquals(asked, []);
    });
  }
});

Deno.test("recoverSegment() changes nothing where nothing is wrong", async () => {
  const made = makeSingles(7, Array.from({ length: 40 }, () => 10 * KIB));
  const entries = sparse(made);
  for (const { run } of ways) {
    await place({ log: made.log, index: indexOf(entries) }, async (placed) => {
      const asked: Asked[] = [];
      const found = await run(recover(placed, 7, made.nextOffset, asked));
      assertRecovered(placed, found, made, 40, entries);
      assertEquals(asked, []);
      assertEquals(writes(placed), []);
      assertEquals([found.report.cutBytes, found.report.rebuiltEntries], [
        0,
        0,
      ]);
    });
  }
});

Deno.test("recoverSegment() cuts prepared zeros and the padding of the index", async () => {
  const made = makeSingles(7, Array.from({ length: 40 }, () => 10 * KIB));
  const entries = sparse(made);
  const log = concat([made.log, zeros(3 * MIB)]);
  const index = concat([indexOf(entries.slice(0, 3)), zeros(3000)]);
  for (const { run } of ways) {
    await place({ log, index }, async (placed) => {
      const asked: Asked[] = [];
      const found = await run(recover(placed, 7, made.nextOffset, asked));
      assertRecovered(placed, found, made, 40, entries);
      assertEquals(asked, []);
      const { cutBytes, isKept, rebuiltEntries } = found.report;
      assertEquals([cutBytes, isKept, rebuiltEntries], [
        3 * MIB,
        false,
        entries.length - 3,
      ]);
      // Each file once. Missing entries take no additional sync.
      assertEquals(cutsOf(placed).toSorted(), [
        "sync /0.index",
        "sync /0.log",
        "truncate /0.index",
        "truncate /0.log",
      ]);
    });
  }
});

Deno.test("recoverSegment() cuts an index with more than zeros after its entries durably before the log", async () => {
  const made = makeSingles(7, Array.from({ length: 40 }, () => 10 * KIB));
  const entries = sparse(made);
  const log = concat([made.log, zeros(3 * MIB)]);
  const index = concat([indexOf(entries), zeros(1000), indexOf(entries)]);
  for (const { run } of ways) {
    await place({ log, index }, async (placed) => {
      const found = await run(recover(placed, 7, made.nextOffset));
      assertRecovered(placed, found, made, 40, entries);
      assertEquals(cutsOf(placed), [
        "truncate /0.index",
        "sync /0.index",
        "truncate /0.log",
        "sync /0.log",
      ]);
    });
  }
});

/** Returns how recovery cut the files, after its first syncs. */
function cutsOf({ disk }: Placed): string[] {
  return disk.trace
    .filter(({ kind }) => kind === "truncate" || kind === "sync")
    .map(({ kind, path }) => `${kind} ${path}`)
    .slice(2);
}

Deno.test("recoverSegment() scans everything without an index, and writes one", async () => {
  const made = make(
    0,
    Array.from({ length: 200 }, (_, i) => ({ payloads: [1000, i, 3000] })),
  );
  for (const index of [zeros(0), zeros(777)]) {
    for (const { run } of ways) {
      await place({ log: made.log, index }, async (placed) => {
        const found = await run(recover(placed, 0));
        assertRecovered(placed, found, made, 200, sparse(made));
        assertEquals(found.report.trustedPosition, 0);
      });
    }
  }
});

Deno.test("recoverSegment() cuts a torn batch wherever it is torn, and salvages it first", async () => {
  const made = makeSingles(7, [100, 5000, 9000]);
  const [first, second, third] = made.batches;
  const index = indexOf([first!]);
  const ends = [1, 100, 255, 256, 257, 303, 304, 4000, third!.length - 1];
  for (const torn of ends) {
    for (const prepared of [0, 1, 10_000]) {
      const log = concat([
        made.log.subarray(0, third!.position + torn),
        zeros(prepared),
      ]);
      await place({ log, index }, async (placed) => {
        const asked: Asked[] = [];
        const found = await ways[torn % 2]!.run(recover(placed, 7, 9, asked));
        const what = `torn after ${torn}, ${prepared} zeros`;
        assertRecovered(placed, found, made, 2, [first!], what);
        // The header of a batch begins with zero bytes.
        const isZero = log.subarray(third!.position).every((byte) =>
          byte === 0
        );
        assertEquals(found.report.isKept, !isZero, what);
        assertEquals(asked.length, isZero ? 0 : 1, what);
        if (!isZero) {
          const [, from, to] = asked[0] as ["keep", number, number];
          assertEquals(from, third!.position, what);
          assert(
            to! >= third!.position + Math.min(torn, 4) && to! <= log.length,
            what,
          );
        }
      });
    }
  }
  assertEquals(second!.offset, 8);
});

Deno.test("recoverSegment() never cuts below a plausible index entry", async () => {
  const made = makeSingles(7, Array.from({ length: 30 }, () => 10 * KIB));
  const entries = sparse(made);
  const last = entries.at(-1)!;
  for (const number of [0, 5, made.batches.indexOf(last)]) {
    const batch = made.batches[number]!;
    const log = made.log.slice();
    log[batch.position + 400]! ^= 1;
    const expected = {
      position: batch.position,
      offset: batch.offset,
      kind: "frame checksum" as const,
    };
    await assertRefused({ log, index: indexOf(entries) }, 7, expected);
  }
  // Only a torn write lies after the last entry.
  const log = made.log.slice();
  const next = made.batches[made.batches.indexOf(last) + 1]!;
  log[next.position + 400]! ^= 1;
  await place({ log, index: indexOf(entries) }, async (placed) => {
    const found = await ways[0]!.run(recover(placed, 7));
    assertRecovered(placed, found, made, made.batches.indexOf(next), entries);
  });
});

Deno.test("recoverSegment() refuses a log that is shorter than its index says", async () => {
  const made = makeSingles(7, Array.from({ length: 30 }, () => 10 * KIB));
  const entries = sparse(made);
  const last = entries.at(-1)!;
  for (
    const size of [0, entries[1]!.position, last.position, last.position + 300]
  ) {
    const log = made.log.slice(0, size);
    await assertRefused({ log, index: indexOf(entries) }, 7, {
      position: size,
      kind: "index",
    });
  }
  const log = made.log.slice(0, last.position + last.length - 1);
  const expected = {
    position: last.position,
    offset: last.offset,
    kind: "torn" as const,
  };
  await assertRefused({ log, index: indexOf(entries) }, 7, expected);
});

Deno.test("recoverSegment() refuses a log that ends below the durable offset", async () => {
  const made = makeSingles(7, [100, 200, 300]);
  const [, , third] = made.batches;
  for (
    const log of [
      made.log.slice(0, -1),
      concat([made.log.slice(0, -300), zeros(5000)]),
    ]
  ) {
    await assertRefused({ log, index: zeros(0) }, 7, {
      position: third!.position,
      offset: 9,
    }, 10);
    await place({ log, index: zeros(0) }, async (placed) => {
      const found = await ways[0]!.run(recover(placed, 7, 9));
      assertRecovered(placed, found, made, 2, made.batches.slice(0, 1));
    });
  }
  await assertRefused({ log: made.log, index: zeros(0) }, 7, {
    position: made.log.length,
  }, 11);
});

/** Makes a log of about this many bytes, in batches of 100 KiB. */
function large(bytes: number): Made {
  return makeSingles(
    0,
    Array.from({ length: Math.ceil(bytes / 100_000) }, () => 99_696),
  );
}

Deno.test("recoverSegment() reads at most 32 MiB of a log with an index", async () => {
  const made = large(60 * MIB);
  const checkpoint = made.batches[450]!;
  const entries = sparse(made, checkpoint.position);
  const written = made.batches[610]!;
  const log = concat([made.log.subarray(0, written.position), zeros(MIB)]);
  for (const { name, run } of ways) {
    await place(
      { log, index: indexOf(entries) },
      async (placed) => {
        const found = await run(recover(placed, 0));
        assertRecovered(
          placed,
          found,
          made,
          610,
          sparse(made, written.position),
          name,
        );
        const { trustedPosition, scannedBytes } = found.report;
        assert(trustedPosition > 25 * MIB, name);
        assert(scannedBytes <= 2 * CHECKPOINT_BYTES, name);
        const read = bytesRead(placed);
        assert(read <= 2 * CHECKPOINT_BYTES + 2 * MIB, `${name}: ${read}`);
      },
      {},
      { limitBytes: 64 * MIB },
    );
  }
});

Deno.test("recoverSegment() refuses a valid batch farther than 16 MiB after a bad one", async () => {
  const made = large(20 * MIB);
  const [bad] = made.batches.slice(3);
  const log = made.log.slice();
  log[bad!.position + 400]! ^= 1;
  const index = indexOf(made.batches.slice(0, 2));
  await assertRefused({ log, index }, 0, {
    position: bad!.position,
    kind: "frame checksum",
  });
  // Without the batches at that distance, it is a torn tail.
  const far = made.batches.find(({ position }) =>
    position > bad!.position + CHECKPOINT_BYTES
  )!;
  await place({ log: log.slice(0, far.position), index }, async (placed) => {
    const asked: Asked[] = [];
    const found = await ways[0]!.run(recover(placed, 0, 3, asked));
    assertRecovered(
      placed,
      found,
      made,
      3,
      made.batches.slice(0, 3),
    );
    assertEquals(asked[0], ["keep", bad!.position, far.position]);
  });
});

Deno.test("recoverSegment() refuses a tail that is longer than a checkpoint and a batch", async () => {
  const made = makeSingles(0, [
    100,
    ...Array.from({ length: 20 }, () => 99_000),
  ]);
  const [first] = made.batches;
  const checkpoint = made.batches[2]!.position;
  const end = made.log.length;
  // Without an index, the tail counts from its start. With one, it counts from where the next entry
  // would be.
  const cases: [index: Uint8Array, position: number][] = [
    [zeros(0), end + 80 * MIB],
    [indexOf([first!]), checkpoint + 80 * MIB],
  ];
  for (const [index, position] of cases) {
    const log = concat([made.log, zeros(position + 1 - end)]);
    log[position - 1] = 1;
    await place({ log, index }, async (placed) => {
      const asked: Asked[] = [];
      const found = await ways[1]!.run(recover(placed, 0, 0, asked));
      assertRecovered(placed, found, made, 21, sparse(made));
      assertEquals(asked[0]!.slice(0, 2), ["keep", end]);
      assert(asked[0]![2]! >= position);
    });
    log[position] = 1;
    await assertRefused({ log, index }, 0, { position: end, kind: "torn" });
  }
});

Deno.test("recoverSegment() cuts a torn batch of 64 MiB after another one without an entry", async () => {
  const made = makeSingles(0, [100, 60 * MIB, 60 * MIB]);
  const [first, , third] = made.batches;
  const log = made.log;
  log.fill(0, third!.position, third!.position + 20 * MIB);
  await place(
    { log, index: indexOf([first!]) },
    async (placed) => {
      const found = await ways[1]!.run(recover(placed, 0, 2));
      assertEquals(found.state.nextOffset, 2);
      assertEquals(found.report.isKept, true);
    },
    {},
    { limitBytes: 400 * MIB },
  );
});

Deno.test("recoverSegment() does not trust an index whose entries point to no batch, and rewrites it", async () => {
  const made = large(40 * MIB);
  const entries = sparse(made);
  const shifted = entries.map((entry, i) =>
    i > 0 ? { ...entry, position: entry.position + 8 } : entry
  );
  const spoilt = entries.map((entry, i) =>
    i % 3 === 1 ? { ...entry, position: entry.position + 8 } : entry
  );
  for (const { name, run } of ways) {
    for (const index of [spoilt, shifted]) {
      await place({ log: made.log, index: indexOf(index) }, async (placed) => {
        const found = await run(recover(placed, 0));
        assertRecovered(
          placed,
          found,
          made,
          made.batches.length,
          entries,
          name,
        );
      });
    }
  }
  // Bytes that it covers are missing, whatever else is wrong with it.
  const log = made.log.slice();
  const bad = made.batches[200]!;
  log[bad.position + 400]! ^= 1;
  await assertRefused({ log, index: indexOf(shifted) }, 0, {
    position: bad.position,
    kind: "frame checksum",
  });
  // Where it covers more than the log has, the log is damaged.
  const more = [...spoilt, {
    ...spoilt.at(-1)!,
    offset: 900,
    position: made.log.length + 10 * MIB,
  }];
  await assertRefused({ log: made.log, index: indexOf(more) }, 0, {
    kind: "index",
  });
});

Deno.test("recoverSegment() continues without entries for which there is no room", async () => {
  const made = large(2 * MIB);
  const entries = sparse(made).slice(0, 4);
  for (const { run } of ways) {
    await place(
      { log: concat([made.log, zeros(5000)]), index: indexOf(entries) },
      async (placed) => {
        placed.disk.onOperation(({ kind }) =>
          kind === "write" ? { error: "ENOSPC" } : undefined
        );
        const found = await run(recover(placed, 0));
        assertRecovered(placed, found, made, made.batches.length, entries);
        assertEquals(found.report.rebuiltEntries, 0);
      },
    );
  }
});

Deno.test("recoverSegment() leaves only right entries where there was no room", async () => {
  const made = large(40 * MIB);
  await place({ log: made.log, index: zeros(0) }, async (placed) => {
    placed.disk.onOperation(({ kind, numberOfKind }) =>
      kind === "write" && numberOfKind === 2 ? { error: "ENOSPC" } : undefined
    );
    const found = await ways[0]!.run(recover(placed, 0));
    assertRecovered(placed, found, made, made.batches.length, []);
    assertEquals(
      writes(placed).filter(({ kind }) => kind === "write").length,
      2,
    );
  });
});

Deno.test("recoverSegment() changes nothing where a tail cannot be salvaged", async () => {
  const made = makeSingles(0, [100, 200]);
  const log = made.log.slice(0, -1);
  for (const { run } of ways) {
    await place({ log, index: zeros(100) }, async (placed) => {
      const { files, pool } = placed;
      await assertRejects(
        () =>
          run(recoverSegment({
            ...files,
            pool,
            firstOffset: 0,
            durableOffset: 0,
            *begin(): Task<void> {},
            // deno-lint-ignore require-yield
            *keep(): Task<void> {
              throw new NoSpaceError({
                code: "ENOSPC",
                syscall: "pwrite",
                path: "/copy",
                requestedBytes: 1,
                writtenBytes: 0,
              });
            },
          })),
        NoSpaceError,
      );
      assertEquals(writes(placed), []);
    });
  }
});

Deno.test("recoverSegment() keeps what was synced, and a prefix of the rest, after any crash", async () => {
  for (let seed = 0; seed < 60; seed++) {
    const random = new SeededRandom(seed);
    const most = [300, 30 * KIB, 300 * KIB][random.below(3)]!;
    const inits = [];
    let timestamp = TIME;
    for (let total = 0; total < 3 * MIB && inits.length < 300;) {
      const payloads = Array.from(
        { length: 1 + random.below(3) },
        () => random.below(most),
      );
      timestamp += random.below(2);
      inits.push({ payloads, timestamp });
      total += payloads.reduce((sum, each) => sum + each, 300);
    }
    const made = make(random.below(100), inits);
    const { batches } = made;
    // What the last checkpoint synced, and what the last durable flush made durable.
    const indexed = random.below(batches.length + 1);
    const durable = indexed + random.below(batches.length + 1 - indexed);
    const endOf = (count: number) =>
      batches[count]?.position ?? made.log.length;
    const entries = random.chance(0.2) ? [] : sparse(made, endOf(indexed));
    const log = concat([
      made.log,
      zeros(random.below(3) * random.below(100 * KIB)),
    ]);
    // Each later physical block is there or not.
    const whole = random.below(3);
    for (let at = endOf(durable) & ~4095; at < log.length; at += 4096) {
      if (random.chance([0.01, 0.3, 0.9][whole]!)) {
        log.fill(
          0,
          Math.max(at, endOf(durable)),
          Math.min(at + 4096, log.length),
        );
      }
    }
    const size = random.chance(0.3)
      ? endOf(durable) + random.below(log.length - endOf(durable) + 1)
      : log.length;
    const files = { log: log.slice(0, size), index: indexOf(entries) };
    const intact = batches.findIndex(({ position, length }) =>
      position + length > size ||
      !log.subarray(position, position + length).every((byte, i) =>
        byte === made.log[position + i]
      )
    );
    const count = intact < 0 ? batches.length : intact;
    assert(count >= durable);
    for (const { name, run } of ways) {
      await place(files, async (placed) => {
        const durableOffset = random.chance(0.5)
          ? batches[durable]?.offset ?? made.nextOffset
          : 0;
        const found = await run(
          recover(placed, made.firstOffset, durableOffset),
        );
        const expected = sparse(made, endOf(count));
        assertRecovered(
          placed,
          found,
          made,
          count,
          expected,
          `${name}, seed ${seed}`,
        );
        // The next recovery finds it in order.
        const before = writes(placed).length;
        const again = await run(
          recover(placed, made.firstOffset, durableOffset),
        );
        assertEquals(again.state, found.state);
        assertEquals(writes(placed).length, before);
      });
    }
  }
});

Deno.test("recoverSegment() produces the same log after a crash at any operation", async () => {
  const made = makeSingles(0, Array.from({ length: 60 }, () => 9 * KIB));
  const entries = sparse(made);
  const torn = made.batches[58]!.position + 5000;
  const files = {
    log: concat([made.log.subarray(0, torn), zeros(30_000)]),
    index: concat([indexOf(entries.slice(0, 5)), zeros(400)]),
  };
  for (let number = 1;; number++) {
    let isDone = false;
    await place(files, async (placed) => {
      placed.disk.failAt(number, { crash: true });
      try {
        await ways[1]!.run(recover(placed, 0));
        isDone = true;
      } catch (error) {
        if (!(error instanceof SimulatedCrashError)) throw error;
      }
      for (const choice of ["none", "all", "random"] as const) {
        const left = placed.disk.crash(choice);
        await place(
          { log: left.peek("/0.log"), index: left.peek("/0.index") },
          async (next) => {
            const found = await ways[1]!.run(recover(next, 0));
            assertRecovered(
              next,
              found,
              made,
              58,
              sparse(made, found.state.end),
              `${number}`,
            );
          },
        );
      }
    }).catch((error) => {
      // Files of a disk after a power cut cannot be closed.
      if (!(error instanceof SimulatedCrashError)) throw error;
    });
    if (isDone) break;
    assert(number < 100);
  }
});

Deno.test("recoverSegment() ignores batches within a torn payload", async () => {
  // A log that contains the bytes of another one, with the same offsets.
  const inner = makeBatch(2, TIME + 5, [new Uint8Array(100).fill(1)]);
  const made = make(0, [{ payloads: [100] }, {
    payloads: [concat([inner, inner])],
  }]);
  const log = made.log.slice(0, -1);
  await place({ log, index: zeros(0) }, async (placed) => {
    const found = await ways[0]!.run(recover(placed, 0));
    assertRecovered(placed, found, made, 1, made.batches.slice(0, 1));
  });
});
