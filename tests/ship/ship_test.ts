import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import fc from "fast-check";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { type Log, LogReader } from "../../lib/log/mod.ts";
import { ship, type ShipEvent, ShippingError } from "../../lib/ship/mod.ts";
import { FILES } from "../permissions.ts";
import { LockedError } from "../../lib/storage/mod.ts";
import { at, DiskPlace, openLog, SimulatedPlace } from "../log/_support.ts";
import { MemorySink } from "./_support.ts";

function texts(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, i) => `message ${from + i}`);
}

/** Waits until a condition holds. */
async function until(so: () => boolean): Promise<void> {
  const endMs = performance.now() + 10_000;
  while (!so()) {
    if (performance.now() > endMs) throw new Error("It did not happen in time");
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

Deno.test("ship() stores every durable message once and in order, whatever fails before or after storing", async () => {
  const failure = fc.constantFrom("before", "after", "next", "none");
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 6 }),
      fc.array(failure, { maxLength: 4 }),
      fc.integer({ min: 100, max: 3000 }),
      (groups, planned, maxBytes) =>
        at(new SimulatedPlace(), async (place) => {
          const failures = [...planned];
          await using log = await openLog(place);
          const sink = new MemorySink();
          const fail = (at: string) => () => {
            if (failures[0] !== at) return;
            failures.shift();
            throw new Error(at);
          };
          sink.before = () => {
            if (failures[0] === "none") failures.shift();
            fail("before")();
          };
          sink.after = fail("after");
          sink.beforeNext = fail("next");
          let count = 0;
          await using shipping = ship(log, sink, {
            cursor: "memory",
            maxBytes,
          });
          for (const size of groups) {
            log.appendBatch(texts(size, count));
            count += size;
            await log.flush();
          }
          await until(() => sink.texts.length === count);
          await until(() => shipping.stats().nextOffset === count);
          await shipping.close();
          const [cursor] = await log.cursors();
          assertEquals(cursor!.position, count);
          assertEquals(sink.texts, texts(count));
          assertEquals(sink.identity, log.identity);
          assertEquals(shipping.stats().state, "ended");
          assertEquals(shipping.stats().nextOffset, count);
        }),
    ),
    { numRuns: 30 },
  );
});

Deno.test("ship() ships nothing before it is durable", () =>
  at(new SimulatedPlace(), async (place) => {
    await using log = await openLog(place, { flushAfterMs: 0 });
    const sink = new MemorySink();
    await using _ = ship(log, sink, { cursor: "memory" });
    log.appendBatch(texts(5));
    await log.flush({ durability: "none" });
    await new Promise((resolve) => setTimeout(resolve, 20));
    assertEquals(sink.texts, []);
    await log.flush();
    await until(() => sink.texts.length === 5);
  }));

Deno.test("ship() without follow ends at the end of the log", () =>
  at(new SimulatedPlace(), async (place) => {
    await using log = await openLog(place);
    log.appendBatch(texts(5));
    await log.flush();
    const sink = new MemorySink();
    const shipping = ship(log, sink, {
      cursor: "memory",
      follow: false,
    });
    await shipping.done;
    assertEquals(sink.texts, texts(5));
    const { lagMessages, shippedMessages, shippedBytes } = shipping.stats();
    assertEquals([lagMessages, shippedMessages], [0, 5]);
    assertEquals(shippedBytes, 5 * (48 + "message 0".length));
  }));

Deno.test("ship() gathers the messages of many flushes while the destination is busy", () =>
  at(new SimulatedPlace(), async (place) => {
    await using log = await openLog(place);
    const sink = new MemorySink();
    const { promise, resolve } = Promise.withResolvers<void>();
    sink.before = () => promise;
    await using _ = ship(log, sink, { cursor: "memory" });
    for (const text of texts(100)) await log.appendDurable(text);
    resolve();
    await until(() => sink.texts.length === 100);
    assert(sink.batches.length <= 3, `${sink.batches}`);
  }));

Deno.test(
  "ship() to a destination that hangs holds maxBytes and as much read ahead, and appending continues",
  {
    ignore: !FILES,
  },
  () =>
    at(new DiskPlace(), async (place) => {
      const MIB = 1024 * 1024;
      await using log = await openLog(place, { blockBytes: MIB, tailBytes: 0 });
      const sink = new MemorySink();
      sink.before = (batch, signal) => {
        assert(batch.byteLength <= 2 * MIB);
        return new Promise((_, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason));
        });
      };
      const options = { cursor: "memory", maxBytes: 2 * MIB };
      await using _ = ship(log, sink, options);
      const payload = new Uint8Array(10_000);
      for (let i = 0; i < 10_000; i++) {
        log.append(payload);
        await log.ready();
      }
      await log.flush();
      assertEquals(log.durableOffset, 10_000);
      const { inUseBytes } = place.pool.stats();
      assert(inUseBytes < 16 * MIB, `${inUseBytes}`);
    }),
);

Deno.test("ship() waits longer after each failure of the destination, reports the last error, and recovers", () =>
  at(new SimulatedPlace(), async (place) => {
    await using log = await openLog(place);
    await log.appendDurable("message 0");
    const sink = new MemorySink();
    let isDown = true;
    const attempts: number[] = [];
    sink.beforeNext = () => {
      attempts.push(performance.now());
      if (isDown) throw new Error("down");
    };
    await using shipping = ship(log, sink, { cursor: "m" });
    await until(() => attempts.length === 5);
    const stats = shipping.stats();
    assertEquals(stats.state, "retrying");
    assertEquals(stats.lastError?.message, "down");
    assert(stats.retries >= 4);
    // 50, 100, 200 and 400 ms, each shortened by at most half.
    assert(attempts[4]! - attempts[0]! >= 375);
    isDown = false;
    await until(() => sink.texts.length === 1);
    assertEquals(shipping.stats().state, "shipping");
  }));

Deno.test("ship() publishes its events on basalt:ship", () =>
  at(new SimulatedPlace(), async (place) => {
    await using log = await openLog(place);
    await log.appendDurable("message 0");
    const sink = new MemorySink();
    sink.beforeNext = () => {
      if (sink.asked === 1) throw new Error("down");
    };
    const told: [string, number | undefined, string | undefined][] = [];
    const listen = (event: unknown): void => {
      const { action, nextOffset, error, log } = event as ShipEvent;
      if (log === place.dir) told.push([action, nextOffset, error?.message]);
    };
    subscribe("basalt:ship", listen);
    const options = { cursor: "memory", follow: false };
    await ship(log, sink, options).done;
    await until(() => told.length === 3);
    unsubscribe("basalt:ship", listen);
    assertEquals(told, [
      ["failed", undefined, "down"],
      ["started", 0, undefined],
      ["ended", 1, undefined],
    ]);
  }));

Deno.test("Shipping.close() ends calls that wait for the destination, and closing again does nothing", () =>
  at(new SimulatedPlace(), async (place) => {
    await using log = await openLog(place);
    await log.appendDurable("message 0");
    const sink = new MemorySink();
    sink.beforeNext = () => {
      throw new Error("down");
    };
    const shipping = ship(log, sink, { cursor: "memory" });
    await until(() => shipping.stats().retries > 3);
    await shipping.close();
    await shipping.close();
    const { asked } = sink;
    await new Promise((resolve) => setTimeout(resolve, 50));
    assertEquals(sink.asked, asked);
  }));

/** Sets the position of the cursor. */
async function moveTo(log: Log, offset: number): Promise<void> {
  await using cursor = await log.cursor("memory");
  await cursor.commit(offset);
}

/**
 * Ships a log of ten messages to a destination, after its first `truncated` segments were removed.
 */
async function refused(
  options: {
    has: number;
    position?: number;
    truncateBefore?: number;
    resumeFrom?: "cursor";
  },
): Promise<{ error: unknown; sink: MemorySink }> {
  return await at(new SimulatedPlace(), async (place) => {
    await using log = await openLog(place, { segmentBytes: 1024 });
    for (const text of texts(10)) await log.appendDurable(text);
    await moveTo(log, options.position ?? 0);
    await log.truncateBefore(options.truncateBefore ?? 0);
    const sink = new MemorySink();
    sink.texts.push(...texts(options.has));
    const shipping = ship(log, sink, {
      cursor: "memory",
      follow: false,
      ...options.resumeFrom && { resumeFrom: options.resumeFrom },
    });
    const error = await shipping.done.then(() => undefined, (error) => error);
    return { error, sink };
  });
}

function assertReason(error: unknown, reason: string, ...parts: string[]) {
  if (!(error instanceof ShippingError)) throw error ?? new Error("no error");
  assertEquals(error.reason, reason);
  for (const part of parts) assertStringIncludes(error.message, part);
}

Deno.test("ship() refuses an empty destination when the cursor is ahead, and names both", async () => {
  const { error } = await refused({ has: 0, position: 4 });
  assertReason(error, "empty", "'memory' is at offset 4", "no message");
});

Deno.test('ship() with resumeFrom: "cursor" continues at the cursor', async () => {
  await at(new SimulatedPlace(), async (place) => {
    await using log = await openLog(place);
    log.appendBatch(texts(10));
    await log.flush();
    await moveTo(log, 4);
    const offsets: number[] = [];
    const shipping = ship(log, {
      next: () => Promise.resolve(0),
      send(batch) {
        for (let i = 0; i < batch.count; i++) offsets.push(batch.offset(i));
        return Promise.resolve();
      },
    }, { cursor: "memory", follow: false, resumeFrom: "cursor" });
    await shipping.done;
    assertEquals(offsets, [4, 5, 6, 7, 8, 9]);
  });
});

Deno.test("ship() sends again what the destination lost, whatever the cursor says", async () => {
  const { error, sink } = await refused({ has: 3, position: 7 });
  assertEquals(error, undefined);
  assertEquals(sink.texts, texts(10));
});

Deno.test("ship() refuses a gap: the destination needs messages that the log no longer has", async () => {
  const { error } = await refused({ has: 1, position: 7, truncateBefore: 6 });
  assertReason(error, "gap", "needs offset 1 next", "begins at");
});

Deno.test("ship() refuses a destination that has more than the log", async () => {
  const { error } = await refused({ has: 11 });
  assertReason(error, "ahead", "offsets up to 10");
});

Deno.test("ship() ends when another shipper repeatedly writes to the destination", () =>
  at(new SimulatedPlace(), async (place) => {
    await using log = await openLog(place);
    for (const text of texts(10)) await log.appendDurable(text);
    const sink = new MemorySink();
    let others = 0;
    sink.before = (batch) => {
      // Another shipper was faster.
      sink.texts.push(...texts(batch.count + 1, batch.firstOffset));
      others++;
      throw new Error("fenced");
    };
    const shipping = ship(log, sink, {
      cursor: "memory",
      maxBytes: 100,
    });
    const error = await assertRejects(() => shipping.done);
    assertReason(error, "fenced", "another shipper");
    assertEquals(others, 2);
    await assertRejects(() => shipping.close(), ShippingError);
  }));

Deno.test("ship() ends with the error of the log, without another attempt", () =>
  at(new SimulatedPlace(), async (place) => {
    await using log = await openLog(place);
    await log.appendDurable("message 0");
    await using _ = await log.cursor("memory");
    const shipping = ship(log, new MemorySink(), { cursor: "memory" });
    await assertRejects(() => shipping.done, LockedError);
  }));

Deno.test("Shipping throws the error that ended it at the end of its block, unless `done` reported it", () =>
  at(new SimulatedPlace(), async (place) => {
    await using log = await openLog(place);
    await using _ = await log.cursor("memory");
    const options = { cursor: "memory" };
    const use = async (told: boolean) => {
      await using shipping = ship(log, new MemorySink(), options);
      if (told) await assertRejects(() => shipping.done, LockedError);
    };
    await use(true);
    await assertRejects(() => use(false), LockedError);
  }));

Deno.test("ship() refuses options out of range", () =>
  at(new SimulatedPlace(), async (place) => {
    await using log = await openLog(place);
    const sink = new MemorySink();
    assertThrows(() => ship(log, sink, { cursor: "" }), TypeError, "cursor");
    for (const maxBytes of [0, 1.5, NaN]) {
      const options = { cursor: "memory", maxBytes };
      assertThrows(() => ship(log, sink, options), RangeError, "maxBytes");
    }
  }));

Deno.test(
  "ship() of a LogReader ships messages that another writer makes durable",
  {
    ignore: !FILES,
  },
  () =>
    at(new DiskPlace(), async (place) => {
      await using log = await openLog(place);
      const { storage, pool } = place;
      const reader = new LogReader(place.dir, { storage, pool });
      const sink = new MemorySink();
      await using shipping = ship(reader, sink, { cursor: "memory" });
      for (const text of texts(50)) await log.appendDurable(text);
      await until(() => sink.texts.length === 50);
      assertEquals(sink.texts, texts(50));
      assertEquals(sink.identity, log.identity);
      assertEquals(await shipping.lag(), 0);
      assertEquals(shipping.stats().lagMessages, undefined);
    }),
);

/** Number of messages that are shipped while memory is measured. */
const MESSAGES = Number(
  FILES && Deno.permissions.querySync({ name: "env" }).state === "granted"
    ? Deno.env.get("BASALT_SHIP_MESSAGES") ?? 300_000
    : 0,
);

/** Appends a log that is larger than the memory it may use. */
async function fill(log: Log, count: number): Promise<void> {
  const bytes = new Uint8Array(100 * 1000);
  const lengths = new Uint32Array(1000).fill(100);
  for (let i = 0; i < count; i += 1000) {
    log.appendBatch({ bytes, lengths });
    await log.ready();
  }
  await log.flush();
}

Deno.test(
  `ship() needs the same memory for the last as for the first of ${MESSAGES} messages`,
  {
    ignore: MESSAGES === 0,
  },
  () =>
    at(new DiskPlace(), async (place) => {
      await using log = await openLog(place, { blockBytes: 1024 * 1024 });
      await fill(log, MESSAGES);
      let next = 0;
      const heap: number[] = [];
      const shipping = ship(log, {
        next: () => Promise.resolve(next),
        send(batch) {
          assertEquals(batch.firstOffset, next);
          next = batch.nextOffset;
          const part = Math.floor(next / (MESSAGES / 10));
          if (part > heap.length - 1) heap[part] = Deno.memoryUsage().rss;
          return Promise.resolve();
        },
      }, { cursor: "memory", follow: false });
      await shipping.done;
      assertEquals(next, MESSAGES);
      const grownBytes = heap.at(-1)! - heap.find((bytes) => bytes > 0)!;
      assert(grownBytes < 64 * 1024 * 1024, `${grownBytes} bytes more`);
    }),
);
