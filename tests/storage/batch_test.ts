import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { BufferPool, type FrozenBuffer } from "../../lib/pool/mod.ts";
import { DirectFile, type FileRange } from "../../lib/storage/mod.ts";
import { planReads } from "../../lib/storage/read_plan.ts";
import { pattern, TemporaryDirectory } from "../engine/_files.ts";
import { FILES } from "../permissions.ts";

const SIZE = 300_000;
const TIERS = ["prefer", "never"] as const;

/** Async and sync batches of reads. */
const READS: Record<
  string,
  (file: DirectFile, ranges: FileRange[], gapBytes?: number) => Promise<
    FrozenBuffer[]
  >
> = {
  readMany: (file, ranges, gapBytes) =>
    file.readMany(ranges, gapBytes === undefined ? {} : { gapBytes }),
  readManySync: (file, ranges, gapBytes) =>
    new Promise((resolve) =>
      resolve(
        file.readManySync(ranges, gapBytes === undefined ? {} : { gapBytes }),
      )
    ),
};

const ranges = fc.array(
  fc.record({
    position: fc.integer({ min: 0, max: SIZE + 10_000 }),
    length: fc.oneof(
      fc.integer({ min: 1, max: 5000 }),
      fc.integer({ min: 1, max: 100_000 }),
    ),
  }),
  { maxLength: 60 },
);

for (const name of Object.keys(READS)) {
  Deno.test({
    name: `DirectFile.${name}() gives the bytes of each range, ` +
      "whatever the ranges",
    ignore: !FILES,
    async fn() {
      using directory = new TemporaryDirectory();
      const path = `${directory.path}/ranges`;
      const bytes = pattern(SIZE);
      Deno.writeFileSync(path, bytes);
      for (const direct of TIERS) {
        using pool = new BufferPool();
        using file = DirectFile.openSync(path, { direct, pool });
        await fc.assert(
          fc.asyncProperty(
            ranges,
            fc.constantFrom(0, 100, 16_384, 1 << 20),
            async (wanted, gapBytes) => {
              const before = file.stats().reads;
              const got = await READS[name]!(file, wanted, gapBytes);
              assert(file.stats().reads - before <= wanted.length);
              assertEquals(got.length, wanted.length);
              got.forEach((each, i) => {
                const { position, length } = wanted[i]!;
                const expected = bytes.subarray(position, position + length);
                assertEquals(each.length, expected.length);
                assert(each.bytes.every((byte, at) => byte === expected[at]));
              });
              got.forEach((each) => each.drop());
              assertEquals(pool.stats().inUseBytes, 0);
            },
          ),
          { numRuns: 60 },
        );
      }
    },
  });

  Deno.test({
    name:
      `DirectFile.${name}() leaves no bytes of an earlier owner in the block`,
    ignore: !FILES,
    async fn() {
      using directory = new TemporaryDirectory();
      const path = `${directory.path}/secret`;
      Deno.writeFileSync(path, new Uint8Array(10_000).fill(1));
      for (const direct of TIERS) {
        using pool = new BufferPool();
        const earlier = pool.acquireSync(65_536);
        earlier.bytes.fill(0xee);
        earlier.drop();
        using file = DirectFile.openSync(path, { direct, pool });
        const parts = await READS[name]!(file, [
          { position: 9_000, length: 50_000 },
          { position: 0, length: 10 },
        ], 0);
        const { buffer } = parts[0]!.bytes;
        assert(!new Uint8Array(buffer).includes(0xee), "through the view");
        assertEquals(parts.map((each) => each.length), [1000, 10]);
        parts.forEach((each) => each.drop());
      }
    },
  });

  Deno.test({
    name:
      `DirectFile.${name}() merges adjacent ranges within the limit, and no others`,
    ignore: !FILES,
    async fn() {
      using directory = new TemporaryDirectory();
      const path = `${directory.path}/neighbours`;
      Deno.writeFileSync(path, pattern(4 << 20));
      using pool = new BufferPool();
      using file = DirectFile.openSync(path, { direct: "never", pool });
      const reads = async (wanted: [number, number][], gapBytes?: number) => {
        const before = file.stats();
        const parts = await READS[name]!(
          file,
          wanted.map(([position, length]) => ({ position, length })),
          gapBytes,
        );
        parts.forEach((each) => each.drop());
        const { reads, bytesRead } = file.stats();
        return [reads - before.reads, bytesRead - before.bytesRead];
      };
      assertEquals(await reads([]), [0, 0]);
      assertEquals(await reads([[0, 10], [10, 10]], 0), [1, 20]);
      assertEquals(await reads([[11, 10], [0, 10]], 0), [2, 20]);
      assertEquals(await reads([[11, 10], [0, 10]], 1), [1, 21]);
      assertEquals(await reads([[0, 100], [20, 10], [90, 20]], 0), [1, 110]);
      assertEquals(await reads([[0, 1], [16_385, 1]]), [1, 16_386]);
      assertEquals(await reads([[0, 1], [16_386, 1]]), [2, 2]);
      // Adjacent ranges are merged up to 1 MiB.
      const blocks = Array.from(
        { length: 48 },
        (_, i): [number, number] => [i << 16, 1 << 16],
      );
      assertEquals(await reads(blocks), [3, 3 << 20]);
    },
  });

  Deno.test({
    name:
      `DirectFile.${name}() refuses invalid ranges by name, and takes no memory`,
    ignore: !FILES,
    async fn() {
      using directory = new TemporaryDirectory();
      const path = `${directory.path}/wrong`;
      Deno.writeFileSync(path, pattern(5000));
      using pool = new BufferPool({ limitBytes: 8192, atLimit: "fail" });
      using file = DirectFile.openSync(path, { pool });
      const fine = { position: 0, length: 1 };
      for (
        const [wrong, text] of [
          [{ position: -1, length: 1 }, "ranges[1].position"],
          [{ position: 0.5, length: 1 }, "ranges[1].position"],
          [{ position: 0, length: 0 }, "ranges[1].length"],
          [{ position: 0, length: 2 ** 30 }, "ranges[1].length"],
          [{ position: 2 ** 53 - 1, length: 1 }, "ranges[1]"],
        ] as const
      ) {
        await assertRejects(
          () => READS[name]!(file, [fine, wrong]),
          RangeError,
          text,
        );
      }
      await assertRejects(
        () => READS[name]!(file, [fine], -1),
        RangeError,
        "gapBytes",
      );
      const far = [0, 1, 2].map((i) => ({
        position: i * 2 ** 30,
        length: 4096,
      }));
      const error = await assertRejects(() => READS[name]!(file, far));
      assertEquals((error as Error).name, "PoolLimitError");
      assertEquals(pool.stats().inUseBytes, 0);
      file.closeSync();
      await assertRejects(() => READS[name]!(file, [fine]), Error, "closed");
    },
  });
}

Deno.test("planReads() keeps the alignment of memory and file", () => {
  const capabilities = { readOffsetAlignment: 512, memoryAlignment: 4096 };
  const plan = planReads(
    "read",
    [{ position: 5000, length: 10 }, { position: 600, length: 1 }],
    capabilities,
    0,
  );
  assertEquals(plan.runs, [
    { start: 0, position: 512, length: 512 },
    { start: 4096, position: 4608, length: 512 },
  ]);
  assertEquals([...plan.runOf], [1, 0]);
  assertThrows(
    () =>
      planReads(
        "read",
        Array.from({ length: 3 }, () => ({ position: 0, length: 200 << 20 }))
          .map((each, i) => ({ ...each, position: i * 2 ** 30 })),
        capabilities,
        0,
      ),
    RangeError,
    "in parts",
  );
});

/** Async and sync batches of writes. */
const WRITES: Record<
  string,
  (
    file: DirectFile,
    ...rest: Parameters<DirectFile["writeMany"]> extends [...infer R] ? R
      : never
  ) => Promise<number>
> = {
  writeMany: (file, items, options) => file.writeMany(items, options),
  writeManySync: (file, items, options) =>
    new Promise((resolve) => resolve(file.writeManySync(items, options))),
};

for (const name of Object.keys(WRITES)) {
  Deno.test({
    name:
      `DirectFile.${name}() writes every item, and makes all durable with one sync`,
    ignore: !FILES,
    async fn() {
      using directory = new TemporaryDirectory();
      for (const direct of TIERS) {
        const path = `${directory.path}/${direct}`;
        using pool = new BufferPool();
        using file = DirectFile.openSync(path, {
          read: true,
          write: true,
          create: true,
          direct,
          pool,
        });
        using frozen = (() => {
          const buffer = pool.acquireSync(4096);
          buffer.bytes.set(pattern(4096, 99));
          return buffer.freeze();
        })();
        const buffers = Array.from({ length: 100 }, (_, i) => {
          const buffer = pool.acquireSync(8192);
          buffer.bytes.set(pattern(8192, i));
          return buffer;
        });
        const items = [
          ...buffers.map((buffer, i) => ({
            buffer,
            position: i * 12_288,
            ...(i % 2 === 0 ? {} : { start: 4096, length: 4096 }),
          })),
          { buffer: frozen, position: 3_000_320 },
          { buffer: frozen, position: 4_096_000 },
        ].filter(({ position }) => position % 4096 === 0);
        const expected = new Uint8Array(4_096_000 + 4096);
        let total = 0;
        items.forEach(({ buffer, position, ...range }) => {
          const { start = 0, length = buffer.length - start } = range as {
            start?: number;
            length?: number;
          };
          expected.set(buffer.bytes.subarray(start, start + length), position);
          total += length;
        });
        for (const durability of ["none", "data", "full"] as const) {
          const { syncs } = file.stats();
          assertEquals(await WRITES[name]!(file, items, { durability }), total);
          assertEquals(
            file.stats().syncs - syncs,
            durability === "none" ? 0 : 1,
          );
          const found = Deno.readFileSync(path);
          assertEquals(found.length, expected.length);
          assert(found.every((byte, at) => byte === expected[at]));
        }
        assertEquals(await WRITES[name]!(file, []), 0);
        assertEquals(
          await WRITES[name]!(file, items.slice(0, 1), { durability: "data" }),
          8192,
        );
        assertEquals(file.stats().inFlight, 0);
        for (const buffer of buffers) {
          assertEquals(buffer.state, "leased");
          buffer.drop();
        }
      }
    },
  });

  Deno.test({
    name:
      `DirectFile.${name}() returns every buffer when one is refused or fails`,
    ignore: !FILES,
    async fn() {
      using directory = new TemporaryDirectory();
      using pool = new BufferPool();
      using file = DirectFile.openSync(`${directory.path}/refused`, {
        write: true,
        create: true,
        direct: "never",
        pool,
      });
      using first = pool.acquireSync(4096, { zeroed: true });
      using second = pool.acquireSync(4096, { zeroed: true });
      const items = (...positions: number[]) =>
        positions.map((position, i) => ({
          buffer: i === 0 ? first : second,
          position,
        }));
      await assertRejects(
        () => WRITES[name]!(file, items(0, -1)),
        RangeError,
        "position",
      );
      await assertRejects(
        () => WRITES[name]!(file, [...items(0), ...items(4096)]),
        TypeError,
        "lent",
      );
      await assertRejects(
        () => WRITES[name]!(file, items(0), { durability: "fast" as "data" }),
        TypeError,
        "durability",
      );
      assertEquals(file.sizeSync(), 0, "nothing was written");
      // A position beyond what a disk's filesystem holds: the first item fails, and the second one
      // is written anyway.
      if (file.capabilities.filesystem !== "tmpfs") {
        const error = await assertRejects(() =>
          WRITES[name]!(file, items(2 ** 52, 8192), { durability: "data" })
        );
        assertEquals((error as { code?: string }).code, "EFBIG");
        assertEquals([file.sizeSync(), file.stats().syncs], [12_288, 0]);
      }
      assertEquals([first.state, second.state], ["leased", "leased"]);
      file.closeSync();
      await assertRejects(() => WRITES[name]!(file, items(0)), Error, "closed");
    },
  });
}

Deno.test({
  name: "DirectFile.close() waits for a batch and its sync",
  ignore: !FILES,
  async fn() {
    using directory = new TemporaryDirectory();
    using pool = new BufferPool();
    const file = DirectFile.openSync(`${directory.path}/closing`, {
      write: true,
      create: true,
      pool,
    });
    using block = pool.acquireSync(65_536, { zeroed: true }).freeze();
    const items = Array.from({ length: 64 }, (_, i) => ({
      buffer: block,
      position: i * 65_536,
    }));
    const written = file.writeMany(items, { durability: "data" });
    const closed = file.close();
    assertEquals(await written, 64 * 65_536);
    await closed;
    assertEquals(file.stats().syncs, 1);
  },
});

Deno.test({
  name:
    "DirectFile.preallocate() reports whether zeros were written, and takes the space in any case",
  ignore: !FILES,
  async fn() {
    using directory = new TemporaryDirectory();
    using file = DirectFile.openSync(`${directory.path}/zeros`, {
      read: true,
      write: true,
      create: true,
    });
    assertEquals(await file.preallocate(0, 65_536), false);
    assertEquals(file.preallocateSync(65_536, 65_536), false);
    const zeroed = await file.preallocate(131_072, 65_536, { zeroed: true });
    assertEquals(
      file.preallocateSync(196_608, 65_536, { zeroed: true }),
      zeroed,
    );
    const { size, blocks } = file.statSync();
    assertEquals([size, blocks * 512 >= 262_144], [262_144, true]);
    assertEquals([file.stats().errors, file.stats().resizes], [0, 4]);
  },
});

Deno.test(
  "DirectFile.closeSync() completes a batch and its sync",
  { ignore: !FILES },
  async () => {
    using dir = new TemporaryDirectory();
    using pool = new BufferPool();
    const file = DirectFile.openSync(`${dir.path}/x`, {
      write: true,
      createNew: true,
    });
    using block = pool.acquireSync(4096, { zeroed: true }).freeze();
    const items = [0, 4096, 8192].map((position) => ({
      buffer: block,
      position,
    }));
    const writing = file.writeMany(items, { durability: "data" });
    file.closeSync();
    assertEquals(file.stats().syncs, 1);
    assertEquals(file.stats().inFlight, 0);
    assertEquals(await writing, 12288);
  },
);
