/**
 * Tails in the writing isolate read recent messages from memory: docs/format.md#read-whole-batches,
 * docs/format.md#read-durable.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type Log,
  type MessageBatch,
  NoSpaceError,
  PoisonedError,
} from "@basalt/io";
import { SimulatedDisk } from "@basalt/io/testing";
import {
  appendSome,
  at,
  KIB,
  MIB,
  openLog,
  payload,
  quiet,
  SimulatedPlace,
  testPool,
} from "../_support.ts";
import { assertBytes } from "../recovery/_support.ts";

/** Counts reads of `.log` files since an operation of the disk. */
function readsSince(disk: SimulatedDisk, from: number): number {
  return disk.trace.slice(from).filter(({ kind, path }) =>
    kind === "read" && path.endsWith(".log")
  ).length;
}

/** Takes the next batch of a tail, checks it and drops it. Returns the offset after it. */
async function take(
  tail: AsyncIterator<MessageBatch>,
  from: number,
  length: number,
): Promise<number> {
  const { value } = await tail.next();
  using batch = value as MessageBatch;
  assertEquals(batch.firstOffset, from);
  for (let i = 0; i < batch.count; i++) {
    assertBytes(batch.payload(i), payload(from + i, length));
  }
  return batch.nextOffset;
}

Deno.test("Log.tail() reads what was just written from memory, without a read of the disk", async () => {
  const disk = new SimulatedDisk();
  await at(new SimulatedPlace(disk), async (place) => {
    const log = await openLog(place);
    const tails = [log.tail(), log.tail({ durable: true }), log.tail()];
    const offsets = [0, 0, 0];
    const start = disk.trace.length;
    for (let round = 0; round < 50; round++) {
      appendSome(log, 1 + round % 5, 1500);
      const { nextOffset } = log;
      await log.flush();
      for (const [i, tail] of tails.entries()) {
        while (offsets[i]! < nextOffset) {
          offsets[i] = await take(tail, offsets[i]!, 1500);
        }
      }
    }
    assertEquals(readsSince(disk, start), 0);
    for (const tail of tails) await tail.return!();
    await log.close();
  });
});

Deno.test("Log.tail() shares one block of memory among all tails", async () => {
  await at(new SimulatedPlace(), async (place) => {
    const log = await openLog(place);
    const tails = Array.from({ length: 20 }, () => log.tail());
    const waiting = tails.map((tail) => tail.next());
    appendSome(log, 3, 1000);
    await log.flush();
    const batches = (await Promise.all(waiting)).map(({ value }) =>
      value as MessageBatch
    );
    const { inUseBytes } = place.pool.stats();
    const memory = new Set(batches.map(({ bytes }) => bytes.buffer));
    const starts = new Set(batches.map(({ bytes }) => bytes.byteOffset));
    assertEquals([memory.size, starts.size], [1, 1]);
    for (const batch of batches) {
      assertEquals([batch.firstOffset, batch.count], [0, 3]);
      batch.drop();
    }
    // The block stays for other tails. Dropping the batches freed no block of their own.
    assertEquals(place.pool.stats().inUseBytes, inUseBytes);
    for (const tail of tails) await tail.return!();
    await log.close();
  });
});

Deno.test("Log.tail() keeps at most tailBytes in memory, and a tail that falls behind reads the disk and returns to memory", async () => {
  const disk = new SimulatedDisk();
  await at(new SimulatedPlace(disk), async (place) => {
    const tailBytes = 64 * KIB;
    const log = await openLog(place, { tailBytes });
    const tail = log.tail();
    let offset = 0;
    const write = async (rounds: number) => {
      for (let i = 0; i < rounds; i++) {
        appendSome(log, 3, 1000);
        await log.flush();
        assert(log.stats().tailBytes <= tailBytes);
      }
    };
    await write(1);
    offset = await take(tail, offset, 1000);
    // Far more than memory keeps.
    await write(200);
    assert(log.stats().tailBytes > tailBytes / 2);
    let start = disk.trace.length;
    while (offset < log.nextOffset) offset = await take(tail, offset, 1000);
    assert(readsSince(disk, start) > 0);
    // It has caught up, and from here on it reads nothing.
    start = disk.trace.length;
    for (let i = 0; i < 20; i++) {
      await write(1);
      while (offset < log.nextOffset) offset = await take(tail, offset, 1000);
    }
    assertEquals(readsSince(disk, start), 0);
    await tail.return!();
    await log.close();
  });
});

// With the second value a block is larger than the limit.
for (const tailBytes of [0, 2 * KIB]) {
  Deno.test(`Log.tail() reads the disk where tailBytes is ${tailBytes}`, async () => {
    const disk = new SimulatedDisk();
    await at(new SimulatedPlace(disk), async (place) => {
      const log = await openLog(place, { tailBytes });
      const tail = log.tail();
      const start = disk.trace.length;
      appendSome(log, 10, 2000);
      await log.flush();
      assertEquals(log.stats().tailBytes, 0);
      for (let offset = 0; offset < 10;) {
        offset = await take(tail, offset, 2000);
      }
      assert(readsSince(disk, start) > 0);
      await tail.return!();
      await log.close();
    });
  });
}

Deno.test("Log.tail() gives its memory up first when the pool is short", async () => {
  const place = new SimulatedPlace();
  const pool = testPool({ limitBytes: 3 * MIB, atLimit: "fail" });
  try {
    const log = await openLog(place, { pool, tailBytes: 8 * MIB });
    for (let i = 0; i < 600; i++) {
      appendSome(log, 1, 3000);
      // There is neither backpressure nor a limit, because memory kept for tails is given up first.
      await log.flush();
    }
    assert(log.stats().tailBytes > 0);
    pool.acquireSync(2 * MIB).drop();
    assertEquals(log.stats().tailBytes, 0);
    const tail = log.tail({ from: 500 });
    let offset = 500;
    while (offset < 600) offset = await take(tail, offset, 3000);
    await tail.return!();
    await log.close();
  } finally {
    pool.close();
    place.pool.close();
  }
});

Deno.test("Log.tail({ durable }) sees from memory only what is synced", async () => {
  const disk = new SimulatedDisk();
  await at(new SimulatedPlace(disk), async (place) => {
    const log = await openLog(place);
    const durable = log.tail({ durable: true });
    const written = log.tail();
    let given = 0;
    const next = durable.next().then(({ value }) => {
      given = (value as MessageBatch).nextOffset;
      (value as MessageBatch).drop();
    });
    let offset = 0;
    for (let i = 0; i < 5; i++) {
      appendSome(log, 2, 1000);
      await log.flush({ durability: "none" });
      while (offset < log.nextOffset) {
        offset = await take(written, offset, 1000);
      }
      await quiet(disk);
      assertEquals([given, log.durableOffset], [0, 0]);
    }
    await log.flush();
    await next;
    assert(given > 0 && given <= log.durableOffset);
    for (; given < 10;) given = await take(durable, given, 1000);
    // The same for messages that are already in memory and not synced.
    appendSome(log, 2, 1000);
    await log.flush({ durability: "none" });
    let isGiven = false;
    const last = take(durable, 10, 1000).then((end) => {
      isGiven = true;
      return end;
    });
    await quiet(disk);
    assertEquals(isGiven, false);
    await log.flush();
    assertEquals(await last, 12);
    for (const tail of [durable, written]) await tail.return!();
    await log.close();
  });
});

/** Follows a log until the tail ends. Returns what it gave, and its error. */
async function follow(
  log: Log,
  durable: boolean,
): Promise<{ end: number; error: unknown }> {
  let end = 0;
  try {
    for await (using batch of log.tail({ durable })) {
      assertEquals(batch.firstOffset, end);
      end = batch.nextOffset;
    }
    return { end, error: undefined };
  } catch (error) {
    return { end, error };
  }
}

for (const failing of ["write", "sync"] as const) {
  Deno.test(`Log.tail({ durable }) ends with PoisonedError at the durable offset after a failed ${failing}, and shows nothing above it`, async () => {
    const disk = new SimulatedDisk();
    await at(new SimulatedPlace(disk), async (place) => {
      const log = await openLog(place);
      const early = follow(log, true);
      appendSome(log, 3, 1000);
      await log.flush();
      const { tailBytes } = log.stats();
      // Written and not durable, so in memory for tails.
      appendSome(log, 3, 1000);
      await log.flush({ durability: "none" });
      const written = follow(log, false);
      await quiet(disk);
      appendSome(log, 3, 1000);
      const heal = disk.onOperation(({ kind }) =>
        kind === failing ? { error: "EIO" } : undefined
      );
      const poison = await assertRejects(() => log.flush(), PoisonedError);
      assertEquals(poison.durableOffset, 3);
      assertEquals(log.stats().tailBytes, tailBytes);
      for (const late of [early, follow(log, true)]) {
        assertEquals(await late, { end: 3, error: poison });
      }
      const { end, error } = await written;
      assertEquals(error, poison);
      // A tail without `durable` may have given what was written, and nothing more.
      assert(end === 6 || failing === "sync" && end === 9, `${end}`);
      await assertRejects(() => log.close(), PoisonedError);
      heal();
      const again = await openLog(place);
      assertEquals(again.stats().tailBytes, 0);
      await again.close();
    });
  });
}

Deno.test("Log.tail() gives nothing that was not written to a full disk, and continues when there is room", async () => {
  const disk = new SimulatedDisk();
  await at(new SimulatedPlace(disk), async (place) => {
    const log = await openLog(place);
    const tails = [log.tail(), log.tail({ durable: true })];
    appendSome(log, 3, 1000);
    await log.flush();
    for (const tail of tails) await take(tail, 0, 1000);
    const heal = disk.onOperation(({ kind }) =>
      kind === "write" ? { error: "ENOSPC" } : undefined
    );
    appendSome(log, 3, 1000);
    let given = 0;
    const waiting = tails.map(async (tail) => {
      const end = await take(tail, 3, 1000);
      given++;
      return end;
    });
    for (let attempt = 0; attempt < 3; attempt++) {
      await assertRejects(() => log.flush(), NoSpaceError);
      await quiet(disk);
      assertEquals(given, 0);
    }
    heal();
    await log.flush();
    assertEquals(await Promise.all(waiting), [6, 6]);
    for (const tail of tails) await tail.return!();
    await log.close();
  });
});

Deno.test("Log.tail() reads from memory across rolls, and from the middle of a batch", async () => {
  const disk = new SimulatedDisk();
  await at(new SimulatedPlace(disk), async (place) => {
    const log = await openLog(place, { segmentBytes: 8 * KIB });
    appendSome(log, 40, 1000);
    await log.flush();
    assert(log.stats().rolls > 3);
    const start = disk.trace.length;
    for (let from = 0; from < 40; from++) {
      const tail = log.tail({ from });
      let offset = from;
      while (offset < 40) offset = await take(tail, offset, 1000);
      await tail.return!();
    }
    assertEquals(readsSince(disk, start), 0);
    await log.close();
  });
});
