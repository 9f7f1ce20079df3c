/**
 * What Iggy's pool gets wrong and ours does not. Each check also runs against a model of Iggy's
 * rule, where it must fail.
 */
import {
  assert,
  assertEquals,
  AssertionError,
  assertRejects,
} from "@std/assert";
import {
  OurPool,
  PoolLimitError,
  SeedPool,
  type Subject,
  type SubjectBuffer,
} from "./_seed_model.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** Runs a check against our pool, which must pass, and Iggy's, which must fail. */
function differs(
  name: string,
  limitBytes: number,
  check: (pool: Subject) => void | Promise<void>,
): void {
  Deno.test(name, async () => {
    using ours = new OurPool(limitBytes);
    await check(ours);
    const seed = new SeedPool(limitBytes);
    await assertRejects(async () => await check(seed), AssertionError);
  });
}

differs(
  "FrozenBuffer: the last reader returns the block to the pool",
  64 * MIB,
  (pool) => {
    // The first block of a class may be made together with others.
    pool.acquire(MIB).drop();
    const made = pool.madeBlocks();
    for (let i = 1; i <= 200; i++) {
      const buffer = pool.acquire(MIB);
      buffer.freezeAndDrop(1 + i % 3);
    }
    assertEquals(pool.usedBytes(), 0);
    assertEquals(pool.madeBlocks(), made);
  },
);

differs(
  "PooledBuffer.splitTo(): two owners of one block, no copy",
  64 * MIB,
  (pool) => {
    const rest = pool.acquire(MIB);
    rest.view().fill(1);
    const taken = pool.takenBytes();
    const [head, copiedBytes] = rest.splitTo(4096);
    assertEquals(copiedBytes, 0);
    assertEquals(pool.takenBytes(), taken);
    head.view().fill(2);
    assertEquals([head.view().length, rest.view()[0]], [4096, 1]);
    rest.drop();
    assertEquals(pool.usedBytes(), MIB);
    head.drop();
    assertEquals(pool.usedBytes(), 0);
  },
);

Deno.test("BufferPool has one atomic counter; at the limit the caller chooses: wait, fail, or allocate outside", async (t) => {
  const choices: Record<string, (pool: Subject) => Promise<void>> = {
    async wait(pool) {
      const held = fill(pool);
      let served = false;
      const waiting = pool.wait(8 * KIB).then((buffer) => {
        served = true;
        return buffer;
      });
      await new Promise((resolve) => setTimeout(resolve, 15));
      assert(!served, "The request was served above the limit");
      held.pop()!.drop();
      (await waiting).drop();
      for (const each of held) each.drop();
    },
    fail(pool) {
      const held = fill(pool);
      try {
        pool.acquire(1);
      } catch (error) {
        if (!(error instanceof PoolLimitError)) throw error;
        for (const each of held) each.drop();
        return Promise.resolve();
      }
      throw new AssertionError("Memory was taken above the limit");
    },
    external(pool) {
      const held = fill(pool);
      const buffer = pool.acquire(5000);
      assert(buffer.external, "Memory above the limit looks like any other");
      for (const each of [buffer, ...held]) each.drop();
      const [acquired, returned] = pool.externals();
      assertEquals([acquired, returned], [1, 1]);
      return Promise.resolve();
    },
  };
  for (const [atLimit, check] of Object.entries(choices)) {
    await t.step(atLimit, async () => {
      using ours = new OurPool(64 * KIB, atLimit as "wait");
      await check(ours);
      const seed = new SeedPool(64 * KIB);
      await assertRejects(async () => await check(seed), AssertionError);
    });
  }

  // All memory counts, free or not. With one counter the limit is never exceeded.
  const counted = (pool: Subject): void => {
    for (const size of [4, 8, 16, 32, 64, 4]) {
      const held = Array.from(
        { length: 64 / size },
        () => pool.acquire(size * KIB),
      );
      assert(pool.takenBytes() <= 64 * KIB, `${pool.takenBytes()} bytes`);
      for (const each of held) each.drop();
      assert(pool.takenBytes() <= 64 * KIB, `${pool.takenBytes()} bytes`);
    }
  };
  await t.step("one counter", async () => {
    using ours = new OurPool(64 * KIB);
    counted(ours);
    await assertRejects(
      // deno-lint-ignore require-await
      async () => counted(new SeedPool(64 * KIB)),
      AssertionError,
    );
  });

  function fill(pool: Subject): SubjectBuffer[] {
    return Array.from({ length: 8 }, () => pool.acquire(8 * KIB));
  }
});

differs(
  "PooledBuffer keeps the class that its block was made for",
  64 * MIB,
  (pool) => {
    for (let i = 0; i < 50; i++) {
      const buffer = pool.acquire(4096);
      buffer.grow(100);
      buffer.drop();
    }
    assertEquals(pool.droppedBlocks(), 0);
    const made = pool.madeBlocks();
    const again = pool.acquire(4196);
    assertEquals(pool.madeBlocks(), made);
    again.drop();
  },
);

differs(
  "BufferPool serves small requests from a shared block, or with plain memory where no alignment is needed",
  64 * MIB,
  (pool) => {
    // Without alignment.
    const plain = Array.from({ length: 100 }, () => pool.acquire(4, false));
    assertEquals(pool.usedBytes(), 0);
    for (const each of plain) each.drop();
    // Aligned memory for many small things: one block, divided.
    const rest = pool.acquire(4096);
    const small = Array.from({ length: 100 }, () => rest.splitTo(4)[0]);
    assertEquals(pool.usedBytes(), 4096);
    small.forEach((each, i) => each.view().fill(i));
    assert(small.every((each, i) => each.view().every((byte) => byte === i)));
    for (const each of [rest, ...small]) each.drop();
    assertEquals(pool.usedBytes(), 0);
  },
);

Deno.test("BufferPool.stats() and report(): a snapshot, a readable table, and counters that add up", async (t) => {
  const balance = (pool: Subject): void => {
    const held = Array.from({ length: 12 }, () => pool.acquire(8 * KIB));
    for (const each of held) each.drop();
    const [acquired, returned] = pool.externals();
    assertEquals([acquired > 0, acquired - returned], [true, 0]);
    assertEquals(pool.usedBytes(), 0);
  };
  const readable = (pool: Subject): void => {
    pool.acquire(8 * KIB).drop();
    const lines = pool.report()?.split("\n") ?? [];
    const row = lines.find((line) => line.includes("8 KiB  "));
    assertEquals(row?.trim().split(/ {2,}/).slice(0, 3), ["8 KiB", "1", "1"]);
  };
  for (const [name, check] of Object.entries({ balance, readable })) {
    await t.step(name, async () => {
      using ours = new OurPool(64 * KIB, "external");
      check(ours);
      await assertRejects(
        // deno-lint-ignore require-await
        async () => check(new SeedPool(64 * KIB)),
        AssertionError,
      );
    });
  }
});

differs(
  "PooledBuffer is the only owner of a block from acquire to return",
  64 * KIB,
  (pool) => {
    const first = pool.acquire(4096);
    const second = pool.acquire(4096);
    first.escape();
    // Memory that escaped still has an owner, so it still counts.
    assertEquals(pool.usedBytes(), 8192);
    const view = second.view();
    second.drop();
    // Memory that returned has no other owner.
    assertEquals([view.length, pool.usedBytes()], [0, 4096]);
  },
);
