/** A single segment under the rules of the log. */
import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import fc from "fast-check";
import {
  BackpressureError,
  CorruptSegmentError,
  NoSpaceError,
  PoisonedError,
} from "@basalt/io";
import { SegmentReader, SegmentWriter } from "@basalt/io/segment";
import type { SegmentWriterOptions } from "../../lib/segment/mod.ts";
import type { StorageFile } from "../../lib/storage/mod.ts";
import {
  at,
  BATCH,
  batchesOf,
  drain,
  drainSync,
  entriesOf,
  FRAME,
  KIB,
  lines,
  onEachPlace,
  payload,
  type Place,
  segment,
  SimulatedPlace,
  sparse,
} from "../log/_support.ts";

const FIRST = 1000;
const LOG = `${segment(FIRST)}.log`;
const INDEX = `${segment(FIRST)}.index`;
const OWNER = `${segment(FIRST)}.writer`;
/** Size of a batch of one message without its payload, in bytes. */
const HEADER = BATCH + FRAME;
/** Size of such a batch with a payload of 100 bytes, in bytes. */
const LENGTH = HEADER + 100;

type Options = Partial<SegmentWriterOptions>;

function files(place: Place): { log: StorageFile; index: StorageFile } {
  place.storage.makeDirectorySync(place.dir);
  const open = (name: string) =>
    place.storage.openSync(`${place.dir}/${name}`, {
      write: true,
      create: true,
    });
  return { log: open(LOG), index: open(INDEX) };
}

/** Opens the file that records whether the segment was closed. */
function ownerFile({ storage, dir }: Place): StorageFile {
  return storage.openSync(`${dir}/${OWNER}`, { write: true, create: true });
}

function settings(place: Place, options: Options): SegmentWriterOptions {
  const { pool } = place;
  return {
    ...files(place),
    owner: ownerFile(place),
    firstOffset: FIRST,
    pool,
    blockBytes: 4 * KIB,
    ...options,
  };
}

function create(place: Place, options: Options = {}): Promise<SegmentWriter> {
  return SegmentWriter.create(settings(place, options));
}

function createSync(place: Place, options: Options = {}): SegmentWriter {
  return SegmentWriter.createSync(settings(place, options));
}

function reader(place: Place): SegmentReader {
  return new SegmentReader({
    ...files(place),
    firstOffset: FIRST,
    pool: place.pool,
  });
}

/** Checks the files of a segment that was closed with `count` messages. */
function assertSealed(place: Place, count: number): void {
  const log = place.bytes(LOG);
  const batches = batchesOf(log);
  assertEquals(batches.at(-1)?.end ?? 0, log.length);
  let offset = FIRST;
  for (const batch of batches) {
    assertEquals(batch.offset, offset);
    offset += batch.count;
  }
  assertEquals(offset, FIRST + count);
  const entries = sparse(batches);
  assertEquals(entriesOf(place.bytes(INDEX)), entries);
  assertEquals(place.bytes(INDEX).length, 24 * entries.length);
  assertEquals(place.bytes(OWNER).length, 0);
}

onEachPlace(
  "SegmentWriter appends, flushes, closes and continues where it ended",
  async (place) => {
    for (let session = 0; session < 4; session++) {
      const sync = session % 2 === 1;
      const writer = sync ? createSync(place) : await create(place);
      assertEquals(writer.recovery, undefined);
      assertEquals(writer.firstOffset, FIRST);
      assertEquals(writer.nextOffset, FIRST + 10 * session);
      assertEquals(writer.durableOffset, writer.nextOffset);
      for (let i = 0; i < 10; i++) {
        const offset = writer.append(payload(10 * session + i, 1000 + i));
        assertEquals(offset, FIRST + 10 * session + i);
        if (i !== 5) continue;
        if (sync) writer.flushSync();
        else await writer.whenDurable(offset);
        assertEquals(writer.durableOffset, offset + 1);
      }
      if (sync) writer.closeSync();
      else await writer.close();
      assertSealed(place, 10 * (session + 1));
    }
    for (const sync of [false, true]) {
      const from = reader(place);
      const found = sync ? drainSync(from) : await drain(from);
      assertEquals(
        found.map(({ offset, payload }) => [offset, payload]),
        Array.from(
          { length: 40 },
          (_, i) => [FIRST + i, payload(i, 1000 + i % 10)],
        ),
      );
      from.closeSync();
    }
  },
);

onEachPlace(
  "SegmentReader reads from an offset or a time, by count or by bytes",
  async (place) => {
    let now = 5000;
    {
      await using writer = await create(place, { now: () => now });
      for (let i = 0; i < 200; i++) {
        writer.append(payload(i, 300));
        if (i % 10 < 9) continue;
        await writer.flush();
        now += 10;
      }
    }
    await using from = reader(place);
    const offsets = async (
      options: Parameters<SegmentReader["read"]>[0],
    ): Promise<number[]> => {
      const all = (await drain(from, options)).map(({ offset }) =>
        offset - FIRST
      );
      assertEquals(
        drainSync(from, options).map(({ offset }) => offset - FIRST),
        all,
      );
      return all;
    };
    const range = (start: number, end: number) =>
      Array.from({ length: end - start }, (_, i) => start + i);
    assertEquals(await offsets({}), range(0, 200));
    assertEquals(await offsets({ from: 0 }), range(0, 200));
    for (const start of [0, 1, 63, 64, 199, 200]) {
      assertEquals(await offsets({ from: FIRST + start }), range(start, 200));
    }
    assertEquals(await offsets({ since: 5000 }), range(0, 200));
    assertEquals(await offsets({ since: 5001 }), range(10, 200));
    assertEquals(await offsets({ since: 5190 }), range(190, 200));
    assertEquals(await offsets({ since: 5191 }), []);
    assertEquals(await offsets({ from: FIRST + 55, count: 7 }), range(55, 62));
    assertEquals(await offsets({ count: 0 }), []);
    assertEquals(await offsets({ maxBytes: 348 * 3 }), range(0, 3));
    assertEquals(await offsets({ maxBytes: 348 * 3 - 1 }), range(0, 2));
    assertEquals(await offsets({ maxBytes: 1 }), range(0, 1));
    for (const wrong of [{ from: -1 }, { count: 1.5 }, { since: NaN }]) {
      assertThrows(() => from.readSync(wrong), RangeError);
      assertThrows(() => from.read(wrong), RangeError);
    }
  },
);

Deno.test("SegmentReader gives the valid messages before it throws CorruptSegmentError", async () => {
  await at(new SimulatedPlace(), async (place) => {
    {
      await using writer = await create(place);
      for (let i = 0; i < 10; i++) {
        writer.append(payload(i, 100));
        await writer.flush();
      }
    }
    place.storage.flipBit(`${place.dir}/${LOG}`, 7 * LENGTH + HEADER, 3);
    using from = reader(place);
    const seen: number[] = [];
    const error = assertThrows(() => {
      for (using batch of from.readSync()) {
        for (let i = 0; i < batch.count; i++) {
          seen.push(batch.offset(i) - FIRST);
        }
      }
    }, CorruptSegmentError);
    assertEquals(seen, [0, 1, 2, 3, 4, 5, 6]);
    assertEquals(
      [error.kind, error.position, error.offset],
      ["frame checksum", 7 * LENGTH, FIRST + 7],
    );
  });
});

Deno.test("SegmentWriter.create() changes nothing when it finds damage, and leaves the files open for the caller", async () => {
  await at(new SimulatedPlace(), async (place) => {
    {
      await using writer = await create(place);
      for (let i = 0; i < 10; i++) {
        writer.append(payload(i, 100));
        await writer.flush();
      }
    }
    place.storage.flipBit(`${place.dir}/${LOG}`, 7 * LENGTH + HEADER, 3);
    const given = settings(place, {});
    given.index.truncateSync(0);
    for (let attempt = 0; attempt < 2; attempt++) {
      const before = place.storage.hash();
      const error = await assertRejects(
        () => SegmentWriter.create(given),
        CorruptSegmentError,
      );
      assertEquals([error.position, error.offset], [7 * LENGTH, FIRST + 7]);
      assertEquals(place.storage.hash(), before);
      assertEquals(given.log.sizeSync(), 10 * LENGTH);
    }
    await given.log.close();
    await given.index.close();
    await given.owner!.close();
  });
});

Deno.test("SegmentWriter: a flush has one time from the given clock, never below the last one", async () => {
  await at(new SimulatedPlace(), async (place) => {
    let now = 100;
    for (let session = 0; session < 2; session++) {
      const writer = await create(place, { now: () => now-- });
      for (let i = 0; i < 3; i++) {
        for (let n = 0; n < 4; n++) writer.append(payload(n, 2000));
        await writer.flush();
      }
      await writer.close();
    }
    const times = batchesOf(place.bytes(LOG)).map((each) => each.timestamp);
    assertEquals(new Set(times), new Set([100]));
    assertSealed(place, 24);
  });
});

Deno.test("SegmentWriter: ids come from the given random source", async () => {
  await at(new SimulatedPlace(), async (place) => {
    const ids: string[][] = [];
    for (const seed of [1, 1, 2]) {
      place.storage.poke(`${place.dir}/${LOG}`, 0, new Uint8Array(0));
      const { log, index } = files(place);
      log.truncateSync(0);
      index.truncateSync(0);
      log.closeSync();
      index.closeSync();
      const writer = await create(place, {
        random: (bytes) => bytes.fill(seed),
      });
      for (let i = 0; i < 3; i++) writer.append("x");
      await writer.close();
      using from = reader(place);
      ids.push(drainSync(from).map(({ id }) => id));
    }
    assertEquals(ids[0], ids[1]);
    assertEquals(new Set([...ids[0]!, ...ids[2]!]).size, 6);
  });
});

for (const mode of ["async", "sync"]) {
  const flush = async (writer: SegmentWriter) =>
    mode === "sync" ? writer.flushSync() : await writer.flush();
  const close = async (writer: SegmentWriter) =>
    mode === "sync" ? writer.closeSync() : await writer.close();

  Deno.test(`SegmentWriter: a failed write or sync poisons it, and all memory and files are released, ${mode}`, async () => {
    for (const kind of ["write", "sync", "truncate"]) {
      for (let number = 1; number <= 2; number++) {
        await at(new SimulatedPlace(), async (place) => {
          const writer = await create(place);
          place.storage.syncDirectorySync(place.dir);
          writer.append(payload(0, 100));
          await writer.flush();
          let count = 0;
          let failed = Infinity;
          place.storage.onOperation((operation) => {
            if (operation.kind !== kind || ++count !== number) return;
            failed = operation.number;
            return { error: "EIO" };
          });
          writer.append(payload(1, 100));
          const error = await assertRejects(async () => {
            await flush(writer);
            await close(writer);
          }, PoisonedError);
          const durable = writer.durableOffset;
          assertEquals([error.path, error.durableOffset], [
            `${place.dir}/${LOG}`,
            durable,
          ]);
          assert(durable > FIRST);
          for (let closing = 0; closing < 2; closing++) {
            assertStrictEquals(assertThrows(() => writer.append("x")), error);
            assertStrictEquals(assertThrows(() => writer.flushSync()), error);
            assertStrictEquals(
              await assertRejects(() => writer.flush()),
              error,
            );
            await assertRejects(
              () => writer.whenDurable(durable),
              PoisonedError,
            );
            await close(writer).catch((each) =>
              assertStrictEquals(each, error)
            );
          }
          // Closing syncs both files concurrently.
          const after = lines(place.storage, failed).filter((line) =>
            kind !== "sync" || line !== `sync ${FIRST}.index full`
          );
          assertEquals(after, []);
          await at(
            new SimulatedPlace(place.storage.crash("none")),
            async (place) => {
              const again = await create(place);
              assert(again.nextOffset >= durable);
              await again.close();
              assertSealed(place, again.nextOffset - FIRST);
            },
          );
        });
      }
    }
  });

  Deno.test(`SegmentWriter: a full disk keeps the messages, ${mode}`, async () => {
    await at(new SimulatedPlace(), async (place) => {
      const writer = await create(place);
      const remove = place.storage.onOperation(({ kind }) => {
        if (kind === "write") return { error: "ENOSPC" };
      });
      for (let i = 0; i < 7; i++) writer.append(payload(i, 1000));
      for (let attempt = 0; attempt < 2; attempt++) {
        const error = await assertRejects(() => flush(writer), NoSpaceError);
        assertEquals(error.durableOffset, FIRST);
      }
      writer.append(payload(7, 1000));
      remove();
      await close(writer);
      assertSealed(place, 8);
    });
  });
}

Deno.test("SegmentWriter can be closed twice, and refuses calls after that", async () => {
  await at(new SimulatedPlace(), async (place) => {
    const writer = await create(place);
    const durable = writer.whenDurable(writer.append("x"));
    const first = writer.close();
    await writer.close();
    assertSealed(place, 1);
    await Promise.all([first, durable]);
    writer.closeSync();
    const closed = Deno.errors.BadResource;
    assertThrows(() => writer.append("x"), closed);
    await assertRejects(() => writer.flush(), closed);
    assertThrows(() => writer.flushSync(), closed);
    await writer.whenDurable(FIRST);
  });
});

Deno.test("SegmentWriter.append() throws BackpressureError and changes nothing, and refuses a message that exceeds a segment", async () => {
  await at(new SimulatedPlace(), async (place) => {
    const writer = await create(place, { bufferBytes: 10 * KIB });
    while (writer.byteLength < 9 * KIB) writer.append(payload(0, 1000));
    const { nextOffset, byteLength } = writer;
    const { inUseBytes } = place.pool.stats();
    assertThrows(() => writer.append(payload(0, 2000)), BackpressureError);
    assertThrows(() => writer.append(new Uint8Array(64_000_001)), RangeError);
    assertEquals([writer.nextOffset, writer.byteLength], [
      nextOffset,
      byteLength,
    ]);
    assertEquals(place.pool.stats().inUseBytes, inUseBytes);
    writer.flushSync();
    writer.append(payload(0, 2000));
    await writer.close();
    assertSealed(place, nextOffset - FIRST + 1);
  });
});

Deno.test("SegmentWriter.create() refuses a torn tail that is not all zeros if it cannot be salvaged", async () => {
  const place = new SimulatedPlace({ seed: 1 });
  await at(place, async () => {
    const writer = await create(place, {});
    await writer.whenDurable(writer.append("kept"));
    place.storage.syncDirectorySync(place.dir);
    writer.append(payload(0, 6000));
    await writer.flush({ durability: "none" });
    place.storage.crash();
    await writer.close().catch(() => {});
  });
  const torn = place.storage.crash("all");
  const { log } = settings(new SimulatedPlace(torn), {});
  using block = new SimulatedPlace(torn).pool.acquireSync(4096, {
    zeroed: true,
  });
  block.bytes.fill(1);
  log.writeSync(block, 4096);
  log.closeSync();
  await at(new SimulatedPlace(torn), async (after) => {
    const given = settings(after, {});
    const error = await assertRejects(
      () => SegmentWriter.create(given),
      CorruptSegmentError,
    );
    assertEquals((error as CorruptSegmentError).offset, FIRST + 1);
    for (const file of [given.log, given.index, given.owner!]) file.closeSync();
  });
});

Deno.test("SegmentWriter recovers a segment that a power cut left", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat(6000), { minLength: 1, maxLength: 20 }),
      fc.integer({ min: 1, max: 30 }),
      fc.nat(),
      async (sizes, number, seed) => {
        const place = new SimulatedPlace({ seed });
        const durable = await at(place, async () => {
          const writer = await create(place, { prepareBytes: 64 * KIB });
          const disk = place.storage;
          // The caller makes the names durable before.
          disk.syncDirectorySync(place.dir);
          disk.failAt(disk.trace.length + number, { crash: true });
          try {
            for (const [i, size] of sizes.entries()) {
              const offset = writer.append(payload(i, size));
              if (i % 3 === 0) await writer.whenDurable(offset);
            }
          } catch { /* The crash. */ }
          const { durableOffset } = writer;
          disk.crash();
          await writer.close().catch(() => {});
          return durableOffset;
        });
        for (const choice of ["none", "all"] as const) {
          const after = new SimulatedPlace(place.storage.crash(choice));
          await at(after, async () => {
            const cut = after.storage.openSync(`${after.dir}/salvaged.cut`, {
              write: true,
              create: true,
            });
            const writer = await SegmentWriter.create({
              ...settings(after, {}),
              cut,
            });
            const hasCut = cut.sizeSync() > 0;
            assertEquals(hasCut, writer.recovery?.isKept ?? false);
            cut.closeSync();
            const count = writer.nextOffset - FIRST;
            assert(writer.nextOffset >= durable && count <= sizes.length);
            await writer.close();
            assertSealed(after, count);
            using from = reader(after);
            assertEquals(
              drainSync(from).map(({ payload }) => payload),
              sizes.slice(0, count).map((size, i) => payload(i, size)),
            );
          });
        }
      },
    ),
    { numRuns: 60, seed: 4 },
  );
});
