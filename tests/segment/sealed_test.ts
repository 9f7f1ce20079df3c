/** Sealed segments: `docs/format.md#open-sealed`. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { INDEX_ENTRY_BYTES } from "../../lib/codec/mod.ts";
import {
  checkIndexEnd,
  CorruptSegmentError,
  INDEX_INTERVAL_BYTES,
  readSealedEnd,
  rebuildIndex,
  sealedState,
  SegmentReader,
} from "../../lib/segment/mod.ts";
import {
  concat,
  indexOf,
  KIB,
  type MadeBatch,
  make,
  makeSingles,
  place,
  type Placed,
  ways,
  zeros,
} from "./_made_segment.ts";

const made = makeSingles(7, Array.from({ length: 200 }, (_, i) => 9 * KIB + i));
const entries: MadeBatch[] = [];
for (const batch of made.batches) {
  const last = entries.at(-1);
  if (
    last === undefined || batch.position >= last.position + INDEX_INTERVAL_BYTES
  ) {
    entries.push(batch);
  }
}
const whole = {
  nextOffset: 207,
  end: made.log.length,
  lastTimestamp: made.batches.at(-1)!.timestamp,
};

const readBytes = ({ disk }: Placed) =>
  disk.trace.reduce(
    (sum, { kind, length }) => kind === "read" ? sum + (length ?? 0) : sum,
    0,
  );

Deno.test("readSealedEnd() reads only what follows the last entry", async () => {
  for (const { name, run } of ways) {
    await place({ log: made.log, index: indexOf(entries) }, async (placed) => {
      const { files } = placed;
      const end = await run(readSealedEnd({ ...files, firstOffset: 7 }));
      assertEquals(end, { ...whole, isIndexRight: true });
      assert(readBytes(placed) <= 128 * KIB, name);
    });
  }
});

Deno.test("readSealedEnd() finds the end without a right index", async () => {
  const last = entries.at(-1)!;
  const indexes = [
    zeros(0),
    concat([indexOf(entries), zeros(10)]),
    concat([indexOf(entries), zeros(2400)]),
    indexOf([...entries.slice(0, -1), {
      ...last,
      position: last.position + 1,
    }]),
    indexOf([...entries.slice(0, -1), {
      ...last,
      timestamp: last.timestamp + 1,
    }]),
    indexOf([
      ...entries.slice(0, -1),
      { ...last, timestamp: last.timestamp - 1 },
    ]),
    indexOf([...entries, { ...last, position: 5 }]),
    zeros(240),
  ];
  for (const [i, index] of indexes.entries()) {
    for (const { run } of ways) {
      await place({ log: made.log, index }, async ({ files, disk }) => {
        const end = await run(readSealedEnd({ ...files, firstOffset: 7 }));
        assertEquals(end, { ...whole, isIndexRight: false }, `${i}`);
        // A writer gets a right index.
        const state = await run(sealedState({ ...files, firstOffset: 7 }));
        assertEquals(disk.peek("/0.index"), indexOf(entries));
        assertEquals([state.nextOffset, state.end], [207, made.log.length]);
        assertEquals(state.index.end, entries.length * INDEX_ENTRY_BYTES);
        assertEquals(state.indexedPosition, last.position);
      });
    }
  }
});

Deno.test("readSealedEnd() finds the end of an empty segment", async () => {
  await place({ log: zeros(0), index: zeros(0) }, async ({ files }) => {
    const end = await ways[0]!.run(readSealedEnd({ ...files, firstOffset: 7 }));
    assertEquals(end, {
      nextOffset: 7,
      end: 0,
      lastTimestamp: 0,
      isIndexRight: true,
    });
  });
});

Deno.test("readSealedEnd() refuses zeros at the end, a missing part, and entries at or beyond the end", async () => {
  const last = entries.at(-1)!;
  const spoilt = made.log.slice();
  spoilt[made.log.length - 1]! ^= 1;
  const logs: [log: Uint8Array, kind: string][] = [
    [concat([made.log, zeros(1)]), "torn"],
    [concat([made.log, zeros(100_000)]), "torn"],
    [made.log.slice(0, -1), "torn"],
    [made.log.slice(0, last.position), "index"],
    [made.log.slice(0, last.position + 303), "index"],
    [made.log.slice(0, entries[3]!.position), "index"],
    [zeros(0), "index"],
    [spoilt, "frame checksum"],
  ];
  for (const [log, kind] of logs) {
    for (const { run } of ways) {
      await place(
        { log, index: indexOf(entries) },
        async ({ files, disk }) => {
          const error = await assertRejects(
            () => run(readSealedEnd({ ...files, firstOffset: 7 })),
            CorruptSegmentError,
          );
          assertEquals((error as CorruptSegmentError).kind, kind);
          await assertRejects(
            () => run(sealedState({ ...files, firstOffset: 7 })),
            CorruptSegmentError,
          );
          assertEquals(
            disk.trace.filter(({ kind }) =>
              kind !== "read" && kind !== "size" &&
              kind !== "open"
            ),
            [],
          );
        },
      );
    }
  }
});

Deno.test("checkIndexEnd() refuses an index with entries after the end of the log", async () => {
  const last = entries.at(-1)!;
  for (const { run } of ways) {
    await place(
      { log: made.log, index: indexOf(entries) },
      async ({ files }) => {
        await run(checkIndexEnd({ ...files, firstOffset: 7 }, made.log.length));
        for (const end of [last.position, entries[2]!.position, 0]) {
          await assertRejects(
            () => run(checkIndexEnd({ ...files, firstOffset: 7 }, end)),
            CorruptSegmentError,
          );
        }
      },
    );
    for (
      const index of [
        zeros(0),
        zeros(1000),
        concat([indexOf(entries), zeros(777)]),
      ]
    ) {
      await place(
        { log: made.log, index },
        ({ files }) =>
          run(checkIndexEnd({ ...files, firstOffset: 7 }, made.log.length)),
      );
    }
  }
});

Deno.test("rebuildIndex() writes the same entries as the writer", async () => {
  for (const { run } of ways) {
    await place(
      { log: made.log, index: zeros(0) },
      async ({ files, disk }) => {
        const rebuilt = await run(rebuildIndex({ ...files, firstOffset: 7 }));
        assertEquals(rebuilt, { ...whole, entries: entries.length });
        assertEquals(disk.peek("/0.index"), indexOf(entries));
      },
    );
    const torn = made.log.slice(0, -1);
    await place({ log: torn, index: zeros(0) }, async ({ files }) => {
      await assertRejects(
        () => run(rebuildIndex({ ...files, firstOffset: 7 })),
        CorruptSegmentError,
      );
    });
  }
});

Deno.test("SegmentReader reads a closed segment, and refuses one that has become shorter", async () => {
  const read = (log: Uint8Array, options = {}) =>
    place({ log, index: indexOf(entries) }, ({ disk, pool }) => {
      using reader = new SegmentReader({
        log: disk.openSync("/0.log"),
        index: disk.openSync("/0.index"),
        firstOffset: 7,
        pool,
      });
      const offsets: number[] = [];
      for (using batch of reader.readSync(options)) {
        for (let i = 0; i < batch.count; i++) offsets.push(batch.offset(i));
      }
      return offsets;
    }).catch((error) => {
      if (error instanceof Deno.errors.BadResource) {
        throw new Error("closed twice");
      }
      throw error;
    });
  assertEquals(await read(made.log), made.batches.map(({ offset }) => offset));
  assertEquals(await read(made.log, { from: 190, count: 5 }), [
    190,
    191,
    192,
    193,
    194,
  ]);
  const at = entries.at(-1)!.position;
  await assertRejects(() => read(made.log.slice(0, at)), CorruptSegmentError);
  await assertRejects(
    () => read(concat([made.log, zeros(1)])),
    CorruptSegmentError,
  );
  assertEquals(await read(made.log.slice(0, at), { count: 3 }), [7, 8, 9]);
});

Deno.test("sealedState() continues where there is no room for the index", async () => {
  const small = make(0, [{ payloads: [1, 2, 3] }]);
  await place(
    { log: small.log, index: zeros(100) },
    async ({ files, disk }) => {
      disk.onOperation(({ kind }) =>
        kind === "write" ? { error: "ENOSPC" } : undefined
      );
      const state = await ways[0]!.run(
        sealedState({ ...files, firstOffset: 0 }),
      );
      assertEquals([state.nextOffset, state.index.end, state.indexedPosition], [
        3,
        0,
        undefined,
      ]);
      assertEquals(disk.peek("/0.index").length, 0);
    },
  );
});
