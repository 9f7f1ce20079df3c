/** What the calls of `Log` return and refuse, in their async and sync versions. */
import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { BackpressureError, type Log, PoolLimitError } from "@basalt/io";
import { SimulatedDisk } from "@basalt/io/testing";
import type { BufferPool } from "../../lib/pool/mod.ts";
import type { AppendOptions } from "../../lib/segment/mod.ts";
import { FILES } from "../permissions.ts";
import {
  appendSome,
  at,
  BATCH,
  DiskPlace,
  drain,
  drainSync,
  faultsOfClosed,
  FRAME,
  HEADER,
  KIB,
  lines,
  MIB,
  onEachPlace,
  openLog,
  openLogSync,
  payload,
  segment,
  SimulatedPlace,
  testPool,
} from "./_support.ts";

const MAX_PAYLOAD = 64_000_000;

/** Returns everything about a log that a refused call must leave unchanged. */
function everything(log: Log, pool: BufferPool): unknown {
  const { inUseBytes, acquired, returned, classes } = pool.stats();
  return {
    offsets: [
      log.firstOffset,
      log.nextOffset,
      log.durableOffset,
      log.writtenOffset,
    ],
    log: log.stats(),
    pool: {
      inUseBytes,
      leased: acquired - returned,
      classes: classes.map(({ inUse }) => inUse),
    },
  };
}

/** Fails unless the call throws this error and changes nothing. */
function assertRefused(
  log: Log,
  pool: BufferPool,
  call: () => unknown,
  // deno-lint-ignore no-explicit-any -- any class of errors
  error: abstract new (...args: any[]) => Error,
  text?: string,
): void {
  const before = everything(log, pool);
  assertThrows(call, error, text);
  assertEquals(everything(log, pool), before);
}

// Appending

onEachPlace(
  "Log.append() returns offsets from 0, also after reopening",
  async (place) => {
    const log = await openLog(place);
    assertEquals([log.firstOffset, log.nextOffset, log.durableOffset], [
      0,
      0,
      0,
    ]);
    assertEquals([log.append("a"), log.append("b")], [0, 1]);
    assertEquals(log.nextOffset, 2);
    assertEquals(log.durableOffset, 0);
    assertEquals(await log.appendDurable("c"), 2);
    assertEquals(log.durableOffset, 3);
    await log.close();
    const again = await openLog(place);
    assertEquals([again.nextOffset, again.durableOffset], [3, 3]);
    assertEquals(again.append("d"), 3);
    again.closeSync();
    assertEquals(faultsOfClosed(place), []);
  },
);

onEachPlace(
  "Log.append() stores bytes, empty payloads and text as UTF-8",
  async (place) => {
    const log = await openLog(place);
    const whole = payload(1, 300);
    const given: (Uint8Array | string)[] = [
      "",
      new Uint8Array(0),
      "plain ASCII",
      "käse, 日本語, 🧀",
      "\ud800 a lone high surrogate",
      "a lone low surrogate \udfff",
      "\udfff\ud800 turned round",
      "\0",
      new Uint8Array([0, 0, 0]),
      new Uint8Array(whole.buffer, 13, 200),
      new Uint8Array(5000),
      "long ".repeat(3000),
    ];
    given.forEach((each) => log.append(each));
    await log.flush();
    const encoder = new TextEncoder();
    const expected = given.map((each) =>
      typeof each === "string" ? encoder.encode(each) : each.slice()
    );
    assertEquals((await drain(log)).map(({ payload }) => payload), expected);
    assertEquals(drainSync(log).map(({ payload }) => payload), expected);
    assertEquals(
      new TextDecoder().decode(expected[4]),
      "\ufffd a lone high surrogate",
    );
    await log.close();
    assertEquals(faultsOfClosed(place), []);
  },
);

onEachPlace(
  "Log.append() copies the payload: the caller may change it at once",
  async (place) => {
    const log = await openLog(place);
    const bytes = payload(1, 100);
    log.append(bytes);
    bytes.fill(0);
    await log.flush();
    assertEquals((await drain(log))[0]!.payload, payload(1, 100));
    await log.close();
  },
);

onEachPlace(
  "Log.append() takes ids, origin timestamps and user headers",
  async (place) => {
    const log = await openLog(place);
    const id = Uint8Array.from({ length: 16 }, (_, i) => i + 1);
    const text = "00112233-4455-4677-8899-aabbccddeeff";
    const options: AppendOptions[] = [
      { id },
      { id: text },
      { id: text.toUpperCase(), originTimestamp: 0 },
      { originTimestamp: 1 },
      { originTimestamp: Number.MAX_SAFE_INTEGER },
      { userHeaders: { k: { kind: "uint32", value: 42 }, a: "b" } },
      { id: new Uint8Array(16), userHeaders: [] },
      {},
    ];
    for (const each of options) log.append("x", each);
    log.append("x");
    await log.flush();
    const messages = await drain(log);
    const ids = messages.map((each) => each.id);
    assertEquals(ids.slice(0, 3), [
      "01020304-0506-0708-090a-0b0c0d0e0f10",
      text,
      text,
    ]);
    // A message without an id, or with one of zeros, gets a random UUID v4.
    for (const each of ids.slice(3)) {
      assert(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab]/.test(each), each);
    }
    assertEquals(new Set(ids.slice(3)).size, 6);
    const origins = messages.map((each) => each.originTimestamp);
    assertEquals(origins.slice(2, 5), [0, 1, Number.MAX_SAFE_INTEGER]);
    assertEquals(origins[8], messages[8]!.timestamp);
    for await (using batch of log.read({ from: 5, count: 1 })) {
      assertEquals(batch.message(0).userHeaders, [
        {
          key: { kind: "string", value: "a" },
          value: { kind: "string", value: "b" },
        },
        {
          key: { kind: "string", value: "k" },
          value: { kind: "uint32", value: 42 },
        },
      ]);
    }
    await log.close();
    assertEquals(faultsOfClosed(place), []);
  },
);

Deno.test("Log.append() takes encoded user headers as they are", async () => {
  await at(new SimulatedPlace(), async (place) => {
    const encoded = Uint8Array.fromHex("02010000006b0b040000002a000000");
    const log = await openLog(place);
    log.append("world!!", { userHeaders: encoded });
    await log.close();
    const file = place.bytes(`${segment(0)}.log`);
    assertEquals(file.length, HEADER + 7 + 15);
    assertEquals(file.subarray(HEADER + 7), encoded);
  });
});

Deno.test("Log.append() refuses what is not a message, and changes nothing", async () => {
  await at(new SimulatedPlace(), async (place) => {
    const log = await openLog(place);
    log.append("kept");
    const refused = (
      options: AppendOptions,
      // deno-lint-ignore no-explicit-any -- any class of errors
      error: abstract new (...args: any[]) => Error,
      text?: string,
    ) =>
      assertRefused(
        log,
        place.pool,
        () => log.append("x", options),
        error,
        text,
      );
    refused({ id: "no UUID" }, SyntaxError, "UUID");
    refused({ id: new Uint8Array(15) }, RangeError, "received 15 bytes");
    refused({ id: 5 as unknown as string }, RangeError, "received number");
    for (const originTimestamp of [-1, 1.5, NaN, 2 ** 53, Infinity]) {
      refused({ originTimestamp }, RangeError, `received ${originTimestamp}`);
    }
    const tooMany = Object.fromEntries(
      Array.from({ length: 500 }, (_, i) => [`k${i}`, "v".repeat(200)]),
    );
    refused({ userHeaders: tooMany }, RangeError, "100000 bytes");
    refused(
      { userHeaders: new Uint8Array(100_001) },
      RangeError,
      "received 100001",
    );
    refused({ userHeaders: new Uint8Array([1]) }, Deno.errors.InvalidData);
    refused({ userHeaders: { "": "x" } }, RangeError);
    for (const wrong of [null, undefined, 5, {}, [1], new ArrayBuffer(3)]) {
      assertRefused(
        log,
        place.pool,
        () => log.append(wrong as unknown as string),
        TypeError,
        "'payload'",
      );
    }
    const detached = new Uint8Array(10);
    structuredClone(detached.buffer, { transfer: [detached.buffer] });
    assertRefused(
      log,
      place.pool,
      () => log.append(detached),
      TypeError,
      "detached",
    );
    // One bad message in a batch of good ones.
    assertRefused(
      log,
      place.pool,
      () => log.appendBatch(["a", detached, "b"]),
      TypeError,
    );
    assertRefused(log, place.pool, () => log.appendBatch([]), RangeError);
    await log.close();
    const again = await openLog(place);
    assertEquals((await drain(again)).length, 1);
    await again.close();
  });
});

onEachPlace(
  "Log.append() takes 64 000 000 bytes and refuses one more, with nothing changed",
  async (place) => {
    const log = await openLog(place, { bufferBytes: 256 * MIB });
    log.append("before");
    const large = payload(7, MAX_PAYLOAD + 1);
    assertRefused(
      log,
      place.pool,
      () => log.append(large),
      RangeError,
      "received 64000001",
    );
    assertRefused(
      log,
      place.pool,
      () => log.appendBatch(["a", large]),
      RangeError,
    );
    assertRefused(
      log,
      place.pool,
      () => log.append("x".repeat(MAX_PAYLOAD + 1)),
      RangeError,
    );
    assertEquals(log.append(large.subarray(0, MAX_PAYLOAD)), 1);
    assertEquals(log.append("after"), 2);
    await log.flush();
    let found = 0;
    for await (using batch of log.read()) {
      for (let i = 0; i < batch.count; i++) {
        const { length } = batch.payload(i);
        assertEquals(length, [6, MAX_PAYLOAD, 5][found++]);
        if (length !== MAX_PAYLOAD) continue;
        const same = sameBySamples(batch.payload(i), large);
        assert(same, "the same bytes");
      }
    }
    assertEquals(found, 3);
    await log.close();
  },
);

/** Whether the second bytes begin with the first ones. Only every 997th byte is compared. */
function sameBySamples(bytes: Uint8Array, expected: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i += 997) {
    if (bytes[i] !== expected[i]) return false;
  }
  const last = bytes.length - 1;
  return bytes[last] === expected[last];
}

// Batches

onEachPlace(
  "Log.appendBatch() returns the first offset and keeps the order",
  async (place) => {
    const log = await openLog(place);
    log.append(payload(0, 10));
    const batch = Array.from({ length: 50 }, (_, i) => payload(1 + i, 37 * i));
    assertEquals(log.appendBatch(batch), 1);
    assertEquals(log.appendBatch(["text"]), 51);
    assertEquals(log.nextOffset, 52);
    await log.flush();
    assertEquals(
      (await drain(log)).map((each) => each.payload),
      [payload(0, 10), ...batch, new TextEncoder().encode("text")],
    );
    await log.close();
    assertEquals(faultsOfClosed(place), []);
  },
);

onEachPlace(
  "Log.appendBatch() rolls where the batch does not fit, and gives a larger one a segment of its own",
  async (place) => {
    const log = await openLog(place, { segmentBytes: 8 * KIB });
    const batch = (count: number) =>
      Array.from({ length: count }, (_, i) => payload(i, 1000));
    log.appendBatch(batch(4));
    // It does not fit after the first batch, but into a segment of its own.
    assertEquals(log.appendBatch(batch(5)), 4);
    // It is larger than any segment, and a batch is never split.
    assertEquals(log.appendBatch(batch(20)), 9);
    assertEquals(log.appendBatch(batch(1)), 29);
    await log.flush();
    assertEquals(
      place.names().filter((name) => name.endsWith(".log")),
      [0, 4, 9, 29].map((first) => `${segment(first)}.log`),
    );
    await log.close();
    assertEquals(faultsOfClosed(place), []);
  },
);

Deno.test("Log.appendBatch() appends all or nothing where the pool runs out of room half-way", async () => {
  const place = new SimulatedPlace();
  const pool = testPool({ limitBytes: 512 * KIB, atLimit: "fail" });
  try {
    // The batch fits for some of these sizes, in blocks of one or several sizes.
    let refused = 0;
    let taken = 0;
    const log = await openLog(place, {
      pool,
      segmentBytes: 200 * KIB,
      bufferBytes: 64 * MIB,
      // The tail would be given up before an append is refused.
      tailBytes: 0,
    });
    for (let large = 1000; large < 300_000; large += 7919) {
      for (const small of [3, 900, 3900, 4000]) {
        const sizes = [small, small, large, small, large, small, small];
        const batch = sizes.map((size, i) => payload(i, size));
        const before = everything(log, pool);
        const { nextOffset } = log;
        try {
          log.appendBatch(batch);
          taken++;
          assertEquals(log.nextOffset, nextOffset + batch.length);
          await log.flush();
        } catch (error) {
          if (!(error instanceof BackpressureError)) throw error;
          assert(error.cause instanceof PoolLimitError);
          refused++;
          assertEquals(everything(log, pool), before);
        }
      }
    }
    assert(refused > 5 && taken > 20, `${refused} refused, ${taken} taken`);
    await log.close();
    assertEquals(pool.stats().inUseBytes, 0);
    assertEquals(faultsOfClosed(place), []);
    // Reading takes more memory than this pool has.
    const again = await openLog(place);
    assertEquals((await drain(again)).length, 7 * taken);
    await again.close();
  } finally {
    pool.close();
    place.pool.close();
  }
});

Deno.test("Log.appendBatch() takes no more blocks than its messages need", async () => {
  await at(new SimulatedPlace(), async (place) => {
    const log = await openLog(place);
    for (let i = 0; i < 20; i++) {
      const { acquired } = place.pool.stats();
      const sizes = Array.from(
        { length: 30 },
        (_, n) => (i * 977 + n * 331) % 5000,
      );
      log.appendBatch(sizes.map((size) => payload(0, size)));
      const { acquired: after, inUseBytes } = place.pool.stats();
      const needed = sizes.reduce((sum, size) => sum + size + FRAME, 0);
      // One block for each batch.
      assert(after - acquired <= 1);
      assert(inUseBytes > needed);
      await log.flush();
    }
    await log.close();
  });
});

// Durability

onEachPlace(
  "Log.whenDurable() resolves in order, and only when the message is durable",
  async (place) => {
    const log = await openLog(place, { segmentBytes: 16 * KIB });
    const order: number[] = [];
    const waiting: Promise<void>[] = [];
    for (let i = 0; i < 60; i++) {
      const offset = log.append(payload(i, 700));
      waiting.push(
        log.whenDurable(offset).then(() => {
          assert(log.durableOffset > offset);
          order.push(offset);
        }),
      );
      if (i % 9 === 8) await waiting[i - 5];
    }
    await Promise.all(waiting);
    assertEquals(order, order.toSorted((a, b) => a - b));
    assertEquals(order.length, 60);
    // Again, for what is already durable.
    await log.whenDurable(0);
    await log.whenDurable(59);
    await log.close();
    await log.whenDurable(59);
  },
);

Deno.test("Log.whenDurable() refuses an offset without a message", async () => {
  await at(new SimulatedPlace(), async (place) => {
    const log = await openLog(place);
    await log.appendDurable("x");
    for (const wrong of [1, 2, -1, 0.5, NaN, Infinity]) {
      await assertRejects(
        () => log.whenDurable(wrong),
        RangeError,
        `received ${wrong}`,
      );
    }
    assertEquals(log.stats().flushes, 1);
    await log.close();
  });
});

Deno.test("Log.whenDurable() and appendDurable() reject when their signal aborts, and the message stays", async () => {
  await at(new SimulatedPlace(), async (place) => {
    const log = await openLog(place);
    const reason = new Error("enough");
    const controller = new AbortController();
    const { signal } = controller;
    const offset = log.append("x");
    const waiting = log.whenDurable(offset, { signal });
    const other = log.whenDurable(offset);
    const durable = log.appendDurable("y", { signal });
    controller.abort(reason);
    for (const each of [waiting, durable]) {
      const error = await assertRejects(() => each);
      assertStrictEquals(error, reason);
    }
    await other;
    assertEquals(log.nextOffset, 2);
    await log.whenDurable(1);
    // The signal was aborted before, so nothing is appended.
    const before = everything(log, place.pool);
    for (
      const call of [
        () => log.appendDurable("z", { signal }),
        () => log.whenDurable(0, { signal }),
        () => log.ready({ signal }),
      ]
    ) assertStrictEquals(await assertRejects(call), reason);
    assertEquals(everything(log, place.pool), before);
    // After the promise was resolved, a signal has no effect.
    const late = new AbortController();
    await log.appendDurable("z", { signal: late.signal });
    late.abort();
    await log.close();
    assertEquals(faultsOfClosed(place), []);
  });
});

onEachPlace(
  "Log.appendDurable(): 64 calls in one turn share one flush",
  async (place) => {
    const log = await openLog(place, { blockBytes: 64 * KIB });
    for (let round = 1; round <= 5; round++) {
      const offsets = await Promise.all(
        Array.from(
          { length: 64 },
          (_, i) => log.appendDurable(payload(i, 100)),
        ),
      );
      assertEquals(offsets[63], round * 64 - 1);
      const { flushes, flushedMessages, syncs } = log.stats();
      assertEquals([flushes, flushedMessages, syncs], [
        round,
        round * 64,
        round,
      ]);
    }
    await log.close();
  },
);

Deno.test("Log.appendDurable(): callers that resume together share the next flush", async () => {
  await at(new SimulatedPlace(), async (place) => {
    const log = await openLog(place, { blockBytes: 64 * KIB });
    await Promise.all(
      Array.from({ length: 32 }, async (_, i) => {
        for (let n = 0; n < 10; n++) await log.appendDurable(payload(i, 50));
      }),
    );
    const { flushes, flushedMessages } = log.stats();
    assertEquals([flushes, flushedMessages], [10, 320]);
    await log.close();
  });
});

Deno.test("Log.flush() gives each caller at least the durability that it asked for", async () => {
  await at(new SimulatedPlace(), async (place) => {
    const log = await openLog(place);
    const flushed = async (
      ...all: ("none" | "data" | "full" | undefined)[]
    ): Promise<string[]> => {
      const start = place.storage.trace.length;
      log.append("x");
      await Promise.all(
        all.map((durability) =>
          durability === undefined ? log.flush() : log.flush({ durability })
        ),
      );
      return lines(place.storage, start, ["write", "sync"]);
    };
    assertEquals(await flushed("none"), ["write 0.log 0+4096 none"]);
    assertEquals([log.durableOffset, log.writtenOffset], [0, 1]);
    // What was written before needs a sync, which the write cannot include.
    assertEquals(await flushed(undefined), [
      "write 0.log 0+4096 none",
      "sync 0.log data",
    ]);
    assertEquals(log.durableOffset, 2);
    assertEquals(await flushed("data"), ["write 0.log 0+4096 data"]);
    assertEquals(await flushed("full"), ["write 0.log 0+4096 full"]);
    assertEquals(await flushed("none", "full", "data"), [
      "write 0.log 0+4096 full",
    ]);
    assertEquals(log.durableOffset, 5);
    // Nothing is left to do.
    const start = place.storage.trace.length;
    await log.flush();
    log.flushSync();
    assertEquals(lines(place.storage, start), []);
    await log.close();
  });
});

Deno.test("Log.flushSync() completes the calls that wait for a flush, and finishes a flush in flight", async () => {
  await at(new SimulatedPlace(), async (place) => {
    const log = await openLog(place);
    const offset = log.append("x");
    const waiting = log.whenDurable(offset);
    const flushed = log.flush({ durability: "full" });
    const start = place.storage.trace.length;
    log.flushSync({ durability: "none" });
    assertEquals(lines(place.storage, start), ["write 0.log 0+4096 full"]);
    assertEquals(log.durableOffset, 1);
    await Promise.all([waiting, flushed]);
    assertEquals(log.stats().flushes, 1);

    log.append("y");
    const inFlight = log.flush();
    while (lines(place.storage, start).length < 2) {
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    log.append("z");
    log.flushSync();
    assertEquals(log.durableOffset, 3);
    await inFlight;
    const last = log.flush();
    assertEquals(log.truncateBeforeSync(0), 0);
    log.closeSync();
    await last;
    assertEquals(faultsOfClosed(place), []);
  });
});

onEachPlace(
  "Log: a program of sync calls needs no turn of the event loop",
  (place) => {
    const log = openLogSync(place, { segmentBytes: 64 * KIB });
    for (let i = 0; i < 200; i++) {
      log.append(payload(i, 1500));
      if (i % 17 === 0) log.flushSync();
      if (i === 150) log.truncateBeforeSync(80);
    }
    log.flushSync();
    const { firstOffset } = log;
    assert(firstOffset > 0 && firstOffset <= 80);
    const check = (from: Log) =>
      drainSync(from).forEach((each, i) =>
        assertEquals(each.payload, payload(firstOffset + i, 1500))
      );
    check(log);
    log.append(payload(200, 1500));
    log.closeSync();
    assertEquals(faultsOfClosed(place), []);
    const again = openLogSync(place);
    assertEquals(again.nextOffset, 201);
    check(again);
    again.closeSync();
  },
);

// Memory

Deno.test("Log.append() throws BackpressureError above bufferBytes with nothing changed, and ready() waits for room", async () => {
  await at(new SimulatedPlace(), async (place) => {
    const log = await openLog(place, { bufferBytes: 16 * KIB });
    let refused = 0;
    for (let i = 0; i < 100; i++) {
      const bytes = payload(log.nextOffset, 900 + i);
      for (;;) {
        const before = everything(log, place.pool);
        try {
          log.append(bytes);
          break;
        } catch (error) {
          if (!(error instanceof BackpressureError)) throw error;
          refused++;
          assertEquals(everything(log, place.pool), before);
          await log.ready();
          assert(log.stats().pendingBytes < 8 * KIB);
        }
      }
    }
    assert(refused > 3);
    await log.flush();
    assertEquals(
      (await drain(log)).map(({ payload }) => payload),
      Array.from({ length: 100 }, (_, i) => payload(i, 900 + i)),
    );
    // A message that is larger than the limit is taken when nothing else waits.
    const large = payload(0, 40 * KIB);
    log.append(large);
    assertRefused(log, place.pool, () => log.append("x"), BackpressureError);
    assertRefused(
      log,
      place.pool,
      () => log.appendBatch(["x"]),
      BackpressureError,
    );
    const error = assertThrows(
      () => log.appendBatch(["x", "y"]),
      BackpressureError,
    );
    const { requestedBytes, pendingBytes, bufferBytes, cause } = error;
    assertEquals([requestedBytes, pendingBytes, bufferBytes, cause], [
      BATCH + 2 * (FRAME + 1),
      40 * KIB + HEADER,
      16 * KIB,
      undefined,
    ]);
    // It waits for room instead.
    await log.appendDurable("x");
    await log.ready();
    log.append("x");
    await log.close();
    assertEquals(faultsOfClosed(place), []);
  });
});

for (const atLimit of ["wait", "fail"] as const) {
  Deno.test(`Log: append() on a full pool is BackpressureError with nothing changed, and ready() writes what takes the room, atLimit "${atLimit}"`, async () => {
    const place = new SimulatedPlace();
    // One block for messages, besides that of the index.
    for (const limitBytes of [72 * KIB, 80 * KIB, 128 * KIB]) {
      const dir = `/log${limitBytes}`;
      const pool = testPool({ limitBytes, atLimit });
      try {
        const log = await openLog(
          { ...place, dir, storage: place.storage } as typeof place,
          { pool },
        );
        let refused = 0;
        for (let i = 0; i < 200; i++) {
          for (;;) {
            const before = everything(log, pool);
            try {
              log.append(payload(i, 1100));
              break;
            } catch (error) {
              if (!(error instanceof BackpressureError)) throw error;
              const { cause, pendingBytes, bufferBytes } = error;
              assert(cause instanceof PoolLimitError);
              assertEquals(cause!.limitBytes, limitBytes);
              assertEquals(error.requestedBytes, cause!.requestedBytes);
              assertEquals(pendingBytes, log.stats().pendingBytes);
              assert(pendingBytes < bufferBytes);
              refused++;
              assertEquals(everything(log, pool), before);
              await log.ready();
            }
          }
        }
        assert(refused > 3);
        await log.flush();
        assertEquals(log.durableOffset, 200);
        await log.close();
        assertEquals(pool.stats().inUseBytes, 0);
      } finally {
        pool.close();
      }
    }
    place.pool.close();
  });
}

Deno.test("Log.ready() waits in turn for memory that others lease, until its signal aborts", async () => {
  const place = new SimulatedPlace();
  const pool = testPool({ limitBytes: 1024 * KIB });
  try {
    const log = await openLog(place, { pool });
    const others: Disposable[] = [];
    for (let free = 1024 * KIB; free >= 4096; free /= 2) {
      try {
        for (;;) others.push(pool.acquireSync(free));
      } catch (error) {
        if (!(error instanceof PoolLimitError)) throw error;
      }
    }
    assertRefused(log, pool, () => log.append("x"), BackpressureError);
    const controller = new AbortController();
    const aborted = log.ready({ signal: controller.signal });
    const ready = log.ready();
    controller.abort();
    await assertRejects(() => aborted, DOMException);
    others.pop()![Symbol.dispose]();
    others.pop()![Symbol.dispose]();
    await ready;
    log.append("x");
    for (const other of others) other[Symbol.dispose]();
    await log.close();
    assertEquals(pool.stats().inUseBytes, 0);
  } finally {
    pool.close();
    place.pool.close();
  }
});

onEachPlace(
  "Log writes a full block without a call of flush()",
  async (place) => {
    const log = await openLog(place);
    appendSome(log, 20, 1000);
    assertEquals(log.writtenOffset, 0);
    for (let i = 0; i < 100 && log.writtenOffset === 0; i++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert(log.writtenOffset > 15);
    assertEquals(log.durableOffset, 0);
    await log.close();
    assertEquals(log.durableOffset, 20);
    assertEquals(faultsOfClosed(place), []);
  },
);

onEachPlace(
  "Log.stats() counts what was appended and flushed",
  async (place) => {
    const log = await openLog(place, { segmentBytes: 8 * KIB });
    const fresh = log.stats();
    assertEquals(
      [
        fresh.appendedMessages,
        fresh.appendedBytes,
        fresh.flushes,
        fresh.segments,
      ],
      [0, 0, 0, 1],
    );
    appendSome(log, 1, 100);
    log.appendBatch([payload(1, 200), payload(2, 300)]);
    const { appendedMessages, appendedBytes, pendingBytes } = log.stats();
    assertEquals(
      [appendedMessages, appendedBytes, pendingBytes],
      [3, 600 + 2 * BATCH + 3 * FRAME, 600 + 2 * BATCH + 3 * FRAME],
    );
    await log.flush();
    appendSome(log, 10, 2000);
    await log.flush();
    const after = log.stats();
    assertEquals(after.pendingBytes, 0);
    assertEquals([after.flushes, after.flushedMessages], [2, 13]);
    assertEquals([after.rolls, after.segments], [3, 4]);
    await log.truncateBefore(6);
    assert(log.firstOffset > 0 && log.stats().segments < 4);
    await log.close();
  },
);

// Closing

onEachPlace(
  "Log.close() leaves sealed files of exactly their data, and nothing else",
  async (place) => {
    for (const mode of ["async", "sync"]) {
      const log = await openLog(place, { prepareBytes: MIB });
      await log.appendDurable(payload(0, 3333));
      log.append(payload(1, 77));
      assert(place.names().includes("writer"));
      if (mode === "sync") log.closeSync();
      else await log.close();
      assertEquals(place.names(), [
        `${segment(0)}.index`,
        `${segment(0)}.log`,
        "meta",
      ]);
      assertEquals(faultsOfClosed(place), []);
      assertEquals(place.pool.stats().inUseBytes, 0);
    }
  },
);

onEachPlace(
  "Log without messages closes, opens and reads",
  async (place) => {
    for (let i = 0; i < 2; i++) {
      const log = i ? openLogSync(place) : await openLog(place);
      assertEquals(await drain(log), []);
      await log.flush();
      if (i) log.closeSync();
      else await log.close();
      assertEquals(place.bytes(`${segment(0)}.log`).length, 0);
      assertEquals(place.bytes(`${segment(0)}.index`).length, 0);
    }
  },
);

onEachPlace(
  "Log.close() can be called twice, also at the same time; every other call after it is refused",
  async (place) => {
    const log = await openLog(place);
    appendSome(log, 5, 1000);
    const first = log.close();
    const second = log.close();
    await second;
    // The second call waited as well.
    assertEquals(faultsOfClosed(place), []);
    await first;
    await log.close();
    log.closeSync();
    const closed = Deno.errors.BadResource;
    for (
      const call of [
        () => log.append("x"),
        () => log.appendBatch(["x"]),
        () => log.flushSync(),
        () => log.truncateBeforeSync(0),
        () => log.readSync(),
      ]
    ) assertThrows(call, closed, "closed");
    for (
      const call of [
        () => log.appendDurable("x"),
        () => log.flush(),
        () => log.truncateBefore(0),
        () => log.ready(),
      ]
    ) await assertRejects(call, closed, "closed");
    assertEquals([log.nextOffset, log.durableOffset], [5, 5]);
    assertEquals(place.names().length, 3);
  },
);

onEachPlace("Log: `await using` and `using` close it", async (place) => {
  {
    await using log = await openLog(place);
    log.append("a");
  }
  {
    using log = openLogSync(place);
    log.append("b");
  }
  assertEquals(faultsOfClosed(place), []);
  const log = await openLog(place);
  assertEquals((await drain(log)).length, 2);
  await log.close();
});

onEachPlace(
  "Log.close() waits for the flush in flight, and completes all waiting calls",
  async (place) => {
    const log = await openLog(place, { segmentBytes: 8 * KIB });
    const waiting: Promise<unknown>[] = [];
    for (let i = 0; i < 20; i++) {
      waiting.push(log.appendDurable(payload(i, 900)));
      if (i === 10) {
        waiting.push(log.flush());
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
    }
    await log.close();
    await Promise.all(waiting);
    assertEquals(log.durableOffset, 20);
    assertEquals(faultsOfClosed(place), []);
  },
);

Deno.test("Log.closeSync() completes calls that wait for a flush that has not begun", async () => {
  await at(new SimulatedPlace(), async (place) => {
    const log = await openLog(place);
    const durable = log.appendDurable("x");
    const flushed = log.flush();
    log.closeSync();
    assertEquals(faultsOfClosed(place), []);
    const start = place.storage.trace.length;
    await Promise.all([durable, flushed]);
    await new Promise((resolve) => setTimeout(resolve, 5));
    assertEquals(lines(place.storage, start), [], "nothing comes later");
  });
});

// Options of opening

Deno.test("Log.open() refuses options out of range, by name", async () => {
  const storage = new SimulatedDisk();
  const place = new SimulatedPlace(storage);
  await at(place, async () => {
    for (
      const [name, wrong] of [
        ["segmentBytes", 1023],
        ["segmentBytes", 2 ** 32],
        ["segmentBytes", NaN],
        ["blockBytes", 4095],
        ["blockBytes", 5000],
        ["blockBytes", 128 * MIB],
        ["bufferBytes", 0],
        ["bufferBytes", 1.5],
        ["prepareBytes", -1],
        ["tailBytes", -1],
        ["flushAfterMs", -1],
        ["flushAfterMs", 2 ** 31],
        ["lockTimeoutMs", -1],
      ] as const
    ) {
      const options = { [name]: wrong };
      await assertRejects(
        () => openLog(place, options),
        RangeError,
        `'${name}'`,
      );
      assertThrows(() => openLogSync(place, options), RangeError, `${wrong}`);
    }
    assertEquals(storage.files(), []);
    await assertRejects(
      () => openLog(place, { create: false }),
      Deno.errors.NotFound,
    );
    assertThrows(
      () => openLogSync(place, { create: false }),
      Deno.errors.NotFound,
    );
  });
});

Deno.test("Log: files have mode 0640, less the umask", {
  ignore: !FILES,
}, async () => {
  await at(new DiskPlace(), async (place) => {
    const log = await openLog(place, { segmentBytes: KIB });
    appendSome(log, 3, 900);
    await log.flush();
    assertEquals(place.names().length, 8);
    for (const name of place.names()) {
      const { mode } = Deno.statSync(`${place.dir}/${name}`);
      assertEquals(mode! & 0o777, 0o640 & ~Deno.umask(), name);
    }
    await log.close();
  });
});

Deno.test("Log.open() makes the directory and its parents", {
  ignore: !FILES,
}, async () => {
  await at(new DiskPlace(), async (place) => {
    const inner = Object.create(place, {
      dir: { value: `${place.dir}/a/b/c` },
    }) as DiskPlace;
    const log = await openLog(inner);
    await log.appendDurable("x");
    await log.close();
    assertEquals([...Deno.readDirSync(inner.dir)].length, 3);
  });
});
