/**
 * Iterators of batches and messages: how long their results are valid, and how far the consumer has
 * come.
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { LogReader, OffsetOutOfRangeError } from "../../../lib/log/mod.ts";
import type { LogIterator, MessageBatch } from "../../../lib/segment/mod.ts";
import {
  appendSome,
  at,
  drain,
  KIB,
  onEachPlace,
  openLog,
  payload,
  type Place,
  SimulatedPlace,
} from "../_support.ts";

function readerOf({ dir, storage, pool }: Place): LogReader {
  return new LogReader(dir, { storage, pool });
}

/** Takes the next batch. */
async function take(batches: LogIterator<MessageBatch>): Promise<MessageBatch> {
  const { value } = await batches.next();
  assert(value !== undefined);
  return value!;
}

/** Makes a log of this many messages, each in a segment of its own. */
async function onLog(
  count: number,
  test: (place: Place, log: Awaited<ReturnType<typeof openLog>>) => Promise<
    void
  >,
): Promise<void> {
  await at(new SimulatedPlace(), async (place) => {
    const log = await openLog(place, { segmentBytes: KIB });
    appendSome(log, count, 600);
    await log.flush();
    await test(place, log);
    await log.close();
  });
}

Deno.test("Log.read() ends a batch when the next one is asked for, unless it was kept", () =>
  onLog(3, async (place, log) => {
    const tail = log.tail();
    for (const batches of [log.read(), readerOf(place).read(), tail]) {
      const first = await take(batches);
      const view = first.payload(0);
      const kept = first.keep();
      const second = await take(batches);
      const error = assertThrows(() => first.payload(0), TypeError, "keep()");
      assert(error.message.includes("offset 0"), error.message);
      assertThrows(() => first.keep(), TypeError);
      // A kept batch still has its memory.
      assertEquals(view, payload(0, 600));
      assertEquals(kept.payload(0), payload(0, 600));
      assertEquals(second.payload(0), payload(1, 600));
      await batches.return();
      assertThrows(() => second.payload(0), TypeError);
      assertEquals(kept.text(0), new TextDecoder().decode(payload(0, 600)));
      kept.drop();
      // A block in memory is shared with the log.
      assertEquals(view.length, batches === tail ? 600 : 0);
    }
  }));

Deno.test("MessageBatch.hold() keeps the memory until a promise settles, also if the batch ends before", () =>
  onLog(2, async (_place, log) => {
    const batches = log.read();
    const batch = await take(batches);
    const view = batch.payload(0);
    const { promise, resolve } = Promise.withResolvers<number>();
    const held = batch.hold(promise);
    await take(batches);
    assertThrows(() => batch.payload(0), TypeError);
    assertEquals(view, payload(0, 600));
    resolve(7);
    assertEquals(await held, 7);
    assertEquals(view.length, 0);
    await batches.return();
  }));

Deno.test("Log.readSync() ends a batch when the next one is asked for", () =>
  onLog(3, (_place, log) => {
    const seen: MessageBatch[] = [];
    for (const batch of log.readSync()) {
      assertEquals(batch.payload(0), payload(seen.length, 600));
      for (const old of seen) assertThrows(() => old.payload(0), TypeError);
      seen.push(batch);
    }
    assertEquals(seen.length, 3);
    return Promise.resolve();
  }));

Deno.test("Log.read() serves calls of next() in order; batches of calls made together are valid together", () =>
  onLog(6, async (_place, log) => {
    const batches = log.read();
    const [a, b, c] = await Promise.all([
      take(batches),
      take(batches),
      take(batches),
    ]);
    for (const [i, batch] of [a, b, c].entries()) {
      assertEquals(batch.payload(0), payload(i, 600));
    }
    const d = await take(batches);
    for (const batch of [a, b, c]) assertThrows(() => batch.text(0), TypeError);
    assertEquals(d.firstOffset, 3);
    const rest = await Promise.all([1, 2, 3, 4].map(() => batches.next()));
    assertEquals(rest.map(({ done }) => done), [false, false, true, true]);
    assertEquals((await batches.next()).done, true);
  }));

Deno.test("LogReader.stream() leaves the batches to the consumer", () =>
  onLog(3, async (_place, log) => {
    const all: MessageBatch[] = [];
    for await (const batch of log.stream()) all.push(batch);
    for (const [i, batch] of all.entries()) {
      assertEquals(batch.payload(0), payload(i, 600));
      batch.drop();
    }
    assertEquals(all.length, 3);
  }));

Deno.test("Log.messages() gives single messages, valid until the next one, or copied", () =>
  at(new SimulatedPlace(), async (place) => {
    const log = await openLog(place, { segmentBytes: KIB });
    for (let i = 0; i < 20; i++) {
      log.append(JSON.stringify({ i, text: "x".repeat(100) }), {
        userHeaders: { number: String(i) },
      });
      await log.flush();
    }
    for (const source of [log, readerOf(place)]) {
      const copies = [];
      for await (const message of source.messages({ from: 2 })) {
        const { offset } = message;
        assertEquals((message.json() as { i: number }).i, offset);
        copies.push([message, message.copy()] as const);
      }
      assertEquals(copies.length, 18);
      for (const [i, [message, copy]] of copies.entries()) {
        assertEquals(copy.offset, i + 2);
        assertEquals((copy.json() as { i: number }).i, i + 2);
        assertEquals(copy.userHeaders.length, 1);
        assertEquals(copy.id.length, 36);
        assert(copy.timestamp > 0 && copy.originTimestamp > 0);
        assertThrows(() => message.text());
      }
      // Calls made together are served in order.
      const messages = source.messages({ count: 5 });
      const next = await Promise.all(
        [0, 1, 2, 3, 4, 5].map(() => messages.next()),
      );
      assertEquals(
        next.map(({ done }) => done),
        [false, false, false, false, false, true],
      );
      for await (const _ of source.messages()) break;
    }
    await log.close();
  }));

onEachPlace(
  "Log.messages() and for-of over a batch give single messages",
  async (place) => {
    const log = await openLog(place, { segmentBytes: 16 * KIB });
    const texts = Array.from(
      { length: 100 },
      (_, i) => `${i} käse ${"x".repeat(i * 7)}`,
    );
    log.appendBatch(texts.slice(0, 50));
    for (const text of texts.slice(50)) log.append(text);
    await log.flush();
    const seen: string[] = [];
    for await (using batch of log.read()) {
      let i = 0;
      for (const message of batch) {
        assertEquals(message.offset, batch.firstOffset + i);
        assertEquals(message.payload, batch.payload(i));
        assertEquals(message.text(), batch.text(i++));
        seen.push(message.text());
      }
      assertEquals(i, batch.count);
    }
    assertEquals(seen, texts);
    const { inUseBytes } = place.pool.stats();
    let next = 7;
    for await (const message of log.messages({ from: 7, count: 60 })) {
      assertEquals([message.offset, message.text()], [next, texts[next++]]);
    }
    assertEquals(next, 67);
    // When it is left early, it returns everything.
    for await (const message of log.messages()) if (message.offset === 3) break;
    assertEquals(place.pool.stats().inUseBytes, inUseBytes);
    // Follows what is written later.
    const following = (async () => {
      const offsets: number[] = [];
      for await (const message of log.messages({ from: 98, follow: true })) {
        offsets.push(message.offset);
        if (message.offset === 101) break;
      }
      return offsets;
    })();
    log.appendBatch(["later", "last"]);
    await log.flush();
    assertEquals(await following, [98, 99, 100, 101]);
    await log.close();
  },
);

for (const kind of ["Log", "LogReader"]) {
  Deno.test(`${kind}: caughtUp and reached() show how far the consumer has come`, () =>
    onLog(5, async (place, log) => {
      const source = kind === "Log" ? log : readerOf(place);
      const view: number[] = [];
      const messages = source.messages({ follow: true });
      const consuming = (async () => {
        for await (const { offset } of messages) {
          await undefined;
          view.push(offset);
        }
      })();
      await messages.caughtUp;
      assertEquals(view, [0, 1, 2, 3, 4]);
      await messages.reached(3);
      const offset = await log.appendDurable("mine");
      await messages.reached(offset);
      assertEquals(view.at(-1), offset);
      // In any order, and several at once.
      const waiting = [9, 7, 8, 6].map((each) => messages.reached(each));
      for (let i = 6; i < 10; i++) await log.appendDurable("more");
      await Promise.all(waiting);
      assertEquals(view.length, 10);

      await assertRejects(() => messages.reached(-1), RangeError);
      const abort = new AbortController();
      const never = messages.reached(100, abort);
      const late = messages.reached(100);
      abort.abort(new Error("enough"));
      await assertRejects(() => never, Error, "enough");
      const told = assertRejects(() => late, Deno.errors.Interrupted);
      await messages.return();
      await Promise.all([told, consuming]);
      await assertRejects(
        () => messages.reached(100),
        Deno.errors.Interrupted,
      );
    }));
}

Deno.test("Log.read() rejects caughtUp when it ends early, and resolves it at the end", () =>
  onLog(5, async (_place, log) => {
    const left = log.tail();
    await left.next();
    await left.return();
    await assertRejects(() => left.caughtUp, Deno.errors.Interrupted);
    const all = log.read();
    for await (const _ of all);
    await all.caughtUp;
  }));

Deno.test("LogReader.read() from above the end is OffsetOutOfRangeError, with and without a writer; tail() waits there", () =>
  at(new SimulatedPlace(), async (place) => {
    for (const prepareBytes of [0, 64 * KIB]) {
      const log = await openLog(place, { prepareBytes });
      const end = log.nextOffset + 3;
      appendSome(log, 3, 100);
      await log.flush();
      const reader = readerOf(place);
      const check = async () => {
        for (const durable of [false, true]) {
          assertEquals(await drain(reader, { from: end, durable }), []);
          const from = end + 1;
          const error = await assertRejects(
            () => drain(reader, { from, durable }),
            OffsetOutOfRangeError,
          );
          assertEquals(error.nextOffset, end);
        }
      };
      await check();
      const tail = reader.tail({ from: end });
      const next = tail.next();
      appendSome(log, 1, 100);
      await log.flush();
      assertEquals((await next).value!.firstOffset, end);
      await tail.return();
      await log.truncateBefore(0);
      await log.close();
      const closed = readerOf(place);
      assertEquals(await drain(closed, { from: end + 1 }), []);
      await assertRejects(
        () => drain(closed, { from: end + 2 }),
        OffsetOutOfRangeError,
      );
    }
  }));
