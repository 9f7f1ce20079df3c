/**
 * The fast and the checked path of `append`, and the forms of a batch, against a model that checks
 * everything each time.
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  BackpressureError,
  type FlatPayloads,
  type Log,
  PoisonedError,
} from "@basalt/io";
import { SimulatedDisk } from "@basalt/io/testing";
import {
  at,
  BATCH,
  batchesOf,
  drain,
  drainSync,
  faultsOfClosed,
  FRAME,
  KIB,
  MIB,
  openLog,
  openLogSync,
  SimulatedPlace,
} from "../_support.ts";

const SEGMENT_BYTES = 20 * KIB;
const BUFFER_BYTES = 12 * KIB;
const ENCODER = new TextEncoder();

const ascii = fc.string({ maxLength: 200, unit: "binary-ascii" });
/** Text of one byte a code unit, of more, and with lone surrogates. */
const text = fc.oneof(
  ascii,
  fc.string({ maxLength: 100, unit: "binary" }),
  fc.array(fc.constantFrom("\ud83d", "\ude00", "x"), { maxLength: 20 })
    .map((units) => units.join("")),
);
const bytes = fc.oneof(
  { weight: 4, arbitrary: fc.nat(300) },
  { weight: 1, arbitrary: fc.integer({ min: 3900, max: 4200 }) },
).map((size) => new Uint8Array(size).fill(size));
const payload = fc.oneof(text, bytes);

type Call =
  | { kind: "append"; payload: string | Uint8Array; options: boolean }
  | {
    kind: "batch";
    form: "list" | "flat" | "numbers";
    payloads: (string | Uint8Array)[];
  }
  | { kind: "flush" };

const call: fc.Arbitrary<Call> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant("append" as const),
      payload,
      options: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("batch" as const),
      form: fc.constantFrom("list" as const, "flat" as const, "numbers"),
      payloads: fc.oneof(
        fc.array(text, { minLength: 1, maxLength: 12 }),
        fc.array(payload, { minLength: 1, maxLength: 12 }),
        // All of one type, like most batches.
        fc.array(ascii, { minLength: 1, maxLength: 12 }),
        fc.array(bytes, { minLength: 1, maxLength: 12 }),
      ),
    }) as fc.Arbitrary<Call>,
  },
  { weight: 1, arbitrary: fc.constant({ kind: "flush" as const }) },
);

function encoded(payload: string | Uint8Array): Uint8Array {
  return typeof payload === "string" ? ENCODER.encode(payload) : payload;
}

function flat(
  payloads: readonly Uint8Array[],
  typed: boolean,
): FlatPayloads {
  const lengths = payloads.map(({ length }) => length);
  const bytes = new Uint8Array(lengths.reduce((sum, each) => sum + each, 0));
  let at = 0;
  for (const each of payloads) {
    bytes.set(each, at);
    at += each.length;
  }
  return { bytes, lengths: typed ? Uint32Array.from(lengths) : lengths };
}

function appended(log: Log, call: Exclude<Call, { kind: "flush" }>): number {
  if (call.kind === "append") {
    return call.options
      ? log.append(call.payload, { originTimestamp: 1 })
      : log.append(call.payload);
  }
  if (call.form === "list") return log.appendBatch(call.payloads);
  return log.appendBatch(
    flat(call.payloads.map(encoded), call.form === "flat"),
  );
}

Deno.test("Log.append() and appendBatch() in every form do what a simple model does", async () => {
  let refused = 0;
  let total = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(call, { maxLength: 150, size: "max" }),
      async (calls) => {
        await at(new SimulatedPlace(), (place) => {
          const log = openLogSync(place, {
            segmentBytes: SEGMENT_BYTES,
            bufferBytes: BUFFER_BYTES,
            blockBytes: 8 * KIB,
          });
          const expected: Uint8Array[] = [];
          const batches: [number, number][] = [];
          for (const call of calls) {
            if (call.kind === "flush") {
              log.flushSync();
              continue;
            }
            const payloads = call.kind === "append"
              ? [call.payload]
              : call.payloads;
            const all = payloads.map(encoded);
            const frames = all.reduce(
              (sum, each) => sum + FRAME + each.length,
              0,
            );
            total++;
            const before = log.stats();
            const { pendingBytes: pending } = before;
            const isBatch = call.kind === "batch";
            // A message that joins an open batch needs no header.
            const mayJoin = pending > 0 && !isBatch;
            const least = frames + (mayJoin ? 0 : BATCH);
            const mustRefuse = pending > 0 && pending + least > BUFFER_BYTES;
            const mustTake = pending === 0 ||
              pending + frames + BATCH <= BUFFER_BYTES;
            let offset: number | undefined;
            try {
              offset = appended(log, call);
            } catch (error) {
              if (!(error instanceof BackpressureError)) throw error;
            }
            if (offset === undefined) {
              assert(!mustTake, `refused with ${pending} bytes pending`);
              assertEquals(log.stats(), before);
              assertEquals(log.nextOffset, expected.length);
              refused++;
              continue;
            }
            assert(!mustRefuse, `taken with ${pending} bytes pending`);
            assertEquals(offset, expected.length);
            if (isBatch) batches.push([offset, all.length]);
            expected.push(...all);
            const stats = log.stats();
            const bytes = stats.appendedBytes - before.appendedBytes;
            assert(bytes === least || bytes === frames + BATCH, `${bytes}`);
            assertEquals(
              [stats.appendedMessages, stats.pendingBytes],
              [expected.length, pending + bytes],
            );
          }
          log.flushSync();
          assertEquals(
            drainSync(log).map((each) => each.payload),
            expected,
          );
          log.closeSync();
          assertEquals(faultsOfClosed(place), []);
          const found = place.names().filter((name) => name.endsWith(".log"))
            .flatMap((name) => batchesOf(place.bytes(name)));
          for (const [first, count] of batches) {
            const batch = found.find(({ offset }) => offset === first);
            assertEquals(batch?.count, count, `the batch at ${first}`);
          }
        });
      },
    ),
    { numRuns: 60, seed: 11 },
  );
  assert(refused > 100 && refused < total / 2, `${refused} of ${total}`);
});

Deno.test("Log.appendBatch() takes a batch of which only the first payloads fit into the block, or into the buffer", async () => {
  const sizes = [1, 100, 3000, 3000, 3000];
  const batches = {
    bytes: sizes.map((size) => new Uint8Array(size).fill(size)),
    texts: sizes.map((size) => String(size).padStart(size, "x")),
  };
  for (const payloads of Object.values(batches)) {
    await at(new SimulatedPlace(), async (place) => {
      const log = await openLog(place, {
        blockBytes: 8 * KIB,
        bufferBytes: 11 * KIB,
      });
      log.append("first");
      assertEquals(log.appendBatch(payloads), 1);
      // The block has room for both, the buffer only for the first of them.
      const [small, large] = [payloads[0]!, payloads[2]!.slice(0, 2000)];
      const before = log.stats();
      assertThrows(() => log.appendBatch([small, large]), BackpressureError);
      assertEquals(log.stats(), before);
      await log.flush();
      log.append("next");
      await log.flush();
      assertEquals(
        (await drain(log)).map((each) => each.payload),
        ["first", ...payloads, "next"].map(encoded),
      );
      await log.close();
    });
  }
});

Deno.test("Log.appendBatch() takes many and long texts, ASCII or not", async () => {
  await at(new SimulatedPlace(), async (place) => {
    const log = await openLog(place, { blockBytes: 4 * MIB });
    const expected: Uint8Array[] = [];
    const append = (texts: string[]): void => {
      assertEquals(log.appendBatch(texts), expected.length);
      expected.push(...texts.map(encoded));
    };
    append(["first"]);
    for (const length of [3, 100, 30_000, 70_000]) {
      const texts = Array.from(
        { length: Math.min(2500, Math.ceil(300_000 / length)) },
        (_, i) => String(i).padStart(length, "message "),
      );
      append(texts);
      for (const at of [0, 1, texts.length - 1]) {
        append(texts.with(at, "naïve"));
      }
    }
    await log.flush();
    assertEquals((await drain(log)).map((each) => each.payload), expected);
    await log.close();
  });
});

Deno.test("Log.append() of a poisoned or closing log is refused at once, also where the block has room", async () => {
  const disk = new SimulatedDisk();
  await at(new SimulatedPlace(disk), async (place) => {
    const log = await openLog(place, { blockBytes: 64 * KIB });
    log.append("first");
    const disarm = disk.onOperation(({ kind }) => {
      if (kind !== "write") return undefined;
      // Begins a block while the flush is in flight.
      log.append("after the flush");
      return { error: "EIO" };
    });
    await assertRejects(() => log.flush(), PoisonedError);
    disarm();
    const { nextOffset } = log;
    for (const payload of ["text", new Uint8Array(10)]) {
      assertThrows(() => log.append(payload), PoisonedError);
      assertThrows(() => log.appendBatch([payload]), PoisonedError);
    }
    assertEquals(log.nextOffset, nextOffset);
    await log.close().catch(() => {});
  });
  await at(new SimulatedPlace(), async (place) => {
    const log = await openLog(place, { blockBytes: 64 * KIB });
    log.append("first");
    log.append("second");
    const closed = log.close();
    for (const payload of ["text", new Uint8Array(10)]) {
      assertThrows(() => log.append(payload), Deno.errors.BadResource);
      assertThrows(() => log.appendBatch([payload]), Deno.errors.BadResource);
    }
    await closed;
    const again = await openLog(place);
    assertEquals((await drain(again)).length, 2);
    again.closeSync();
  });
});

Deno.test("Log.appendBatch() refuses a batch with sizes that do not match, with nothing changed", async () => {
  await at(new SimulatedPlace(), async (place) => {
    const log = await openLog(place);
    log.append("before");
    const bytes = new Uint8Array(10);
    const detached = new Uint8Array(10);
    detached.buffer.transfer();
    const cases: [unknown, typeof RangeError | typeof TypeError, string][] = [
      [{ bytes, lengths: [] }, RangeError, "no messages"],
      [{ bytes, lengths: [4, 5] }, RangeError, "received 9"],
      [{ bytes, lengths: [4, 7] }, RangeError, "received 11"],
      [{ bytes, lengths: [10.5, -0.5] }, RangeError, "'lengths[0]'"],
      [{ bytes, lengths: [11, -1] }, RangeError, "'lengths[1]'"],
      [{ bytes, lengths: [10, NaN] }, RangeError, "'lengths[1]'"],
      [{ bytes, lengths: [2 ** 32 + 10] }, RangeError, "'lengths[0]'"],
      [{ bytes, lengths: ["10"] }, RangeError, "'lengths[0]'"],
      [{ bytes, lengths: Float64Array.of(10) }, TypeError, "'lengths'"],
      [{ bytes: "0123456789", lengths: [10] }, TypeError, "'bytes'"],
      [{ bytes: detached, lengths: [0] }, TypeError, "detached"],
      [{ bytes: detached, lengths: [10] }, TypeError, "detached"],
      [null, TypeError, "received null"],
      ["text", TypeError, "received string"],
      [["a", 5], TypeError, "received number"],
      [["a", undefined, "b"], TypeError, "received undefined"],
      [[null, "a"], TypeError, "received object"],
      [[bytes, bytes, detached], TypeError, "detached"],
      [[bytes, 5], TypeError, "received number"],
      [["a", detached], TypeError, "detached"],
    ];
    for (const [payloads, kind, text] of cases) {
      const before = [log.nextOffset, log.stats(), place.pool.stats()];
      assertThrows(
        () => log.appendBatch(payloads as string[]),
        kind as typeof RangeError,
        text,
      );
      assertEquals(
        [log.nextOffset, log.stats(), place.pool.stats()],
        before,
      );
    }
    // Memory that another thread could write to is copied first.
    const shared = new Uint8Array(new SharedArrayBuffer(3)).fill(7);
    log.appendBatch({ bytes: shared, lengths: [1, 0, 2] });
    await log.flush();
    assertEquals(
      (await drain(log)).slice(1).map((each) => [...each.payload]),
      [[7], [], [7, 7]],
    );
    await log.close();
  });
});

Deno.test("Log.ready() while appending starts writes of blocks before there is backpressure", async () => {
  await at(new SimulatedPlace(), async (place) => {
    const log = await openLog(place, { bufferBytes: 256 * KIB });
    const payloads = Array.from({ length: 400 }, () => new Uint8Array(1000));
    let most = 0;
    for (const payload of payloads) {
      log.append(payload);
      await log.ready();
      most = Math.max(most, log.stats().pendingBytes);
    }
    // Without turns of the event loop, half of the buffer is filled first.
    assert(most < 64 * KIB, `${most} bytes waited`);
    assert(log.writtenOffset > 300, `${log.writtenOffset} were written`);
    await log.close();
  });
});

Deno.test("Log.stats() counts groups and flushes by size and time, and waiting calls", async () => {
  await at(new SimulatedPlace(), async (place) => {
    const log = await openLog(place);
    assertEquals(log.stats().groupMessages.count, 0);
    assertEquals(log.stats().flushMicros.max, 0);
    for (const size of [5, 1, 1, 1]) {
      const waiting = Array.from(
        { length: size },
        () => log.appendDurable("x"),
      );
      assertEquals(log.stats().waiting, size);
      await Promise.all(waiting);
      assertEquals(log.stats().waiting, 0);
    }
    await log.flush();
    const { flushes, groupMessages, flushMicros } = log.stats();
    const { count, min, max, mean, p50, p99 } = groupMessages;
    // The last flush had nothing to make durable.
    assertEquals([count, min, max, mean, p50, p99], [4, 1, 5, 2, 1, 5]);
    assertEquals([flushes, flushMicros.count], [5, 5]);
    assert(flushMicros.min >= 1 && flushMicros.p50 <= flushMicros.max);
    await log.close();
  });
});
