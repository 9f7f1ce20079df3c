import { assert, assertEquals, assertRejects } from "@std/assert";
import { decodeUserHeaders, encodeUserHeaders } from "../../lib/codec/mod.ts";
import type { Log } from "../../lib/log/mod.ts";
import {
  pull,
  ShippingError,
  type Source,
  type SourceMessage,
} from "../../lib/ship/mod.ts";
import { at, openLog, SimulatedPlace } from "../log/_support.ts";

const encoder = new TextEncoder();

/** A source in memory. The sequence of each message is its index. */
class MemorySource implements Source {
  readonly all: SourceMessage[];
  /** Called before a message is given. */
  before: (message: SourceMessage) => void = () => {};

  constructor(all: SourceMessage[]) {
    this.all = all;
  }

  async *messages(
    from: { nextOffset: number; sequence: number | undefined },
    { follow, signal }: { follow: boolean; signal: AbortSignal },
  ): AsyncGenerator<SourceMessage> {
    let i = from.sequence === undefined
      ? this.all.findIndex(({ offset }) =>
        offset === undefined || offset >= from.nextOffset
      )
      : from.sequence + 1;
    if (i < 0) i = this.all.length;
    for (;; i++) {
      while (i >= this.all.length) {
        if (!follow) return;
        signal.throwIfAborted();
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      this.before(this.all[i]!);
      yield this.all[i]!;
    }
  }
}

function shipped(count: number, from = 0, log = "a"): SourceMessage[] {
  return Array.from({ length: count }, (_, i) => ({
    payload: encoder.encode(`message ${from + i}`),
    offset: from + i,
    log,
  }));
}

async function textsOf(log: Log): Promise<string[]> {
  const texts = [];
  for await (const message of log.messages()) texts.push(message.text());
  return texts;
}

function withLog(test: (log: Log) => Promise<void>): Promise<void> {
  return at(new SimulatedPlace(), async (place) => {
    await using log = await openLog(place);
    await test(log);
  });
}

Deno.test("pull() appends durably at the original offsets, and continues where it ended", () =>
  withLog(async (log) => {
    const source = new MemorySource(shipped(10));
    const report = await pull(source, log);
    assertEquals(report, { messages: 10, firstOffset: 0, nextOffset: 10 });
    assertEquals(log.durableOffset, 10);
    source.all.push(...shipped(5, 10));
    assertEquals((await pull(source, log)).messages, 5);
    assertEquals((await pull(source, log)).messages, 0);
    const texts = Array.from({ length: 15 }, (_, i) => `message ${i}`);
    assertEquals(await textsOf(log), texts);
  }));

Deno.test("pull() continues after messages without an offset by their sequence", () =>
  withLog(async (log) => {
    const message = (i: number): SourceMessage => ({
      payload: encoder.encode(`command ${i}`),
      sequence: i,
      userHeaders: { n: i },
    });
    const source = new MemorySource([0, 1].map(message));
    await pull(source, log);
    source.all.push(message(2));
    assertEquals((await pull(source, log)).messages, 1);
    assertEquals(await textsOf(log), ["command 0", "command 1", "command 2"]);
    for await (using batch of log.read({ from: 2 })) {
      const expected = encodeUserHeaders({
        n: 2,
        "Basalt-Source-Sequence": { kind: "uint64", value: 2n },
      });
      const { userHeaders } = batch.message(0);
      assertEquals(userHeaders, decodeUserHeaders(expected));
    }
  }));

Deno.test("pull() refuses a gap after it appended the messages before it", () =>
  withLog(async (log) => {
    const source = new MemorySource([...shipped(3), ...shipped(1, 4)]);
    const error = await assertRejects(
      () => pull(source, log),
      ShippingError,
      "Cannot pull offset 4",
    );
    assertEquals((error as ShippingError).reason, "gap");
    assertEquals(log.nextOffset, 3);
  }));

Deno.test("pull() refuses messages of two logs", () =>
  withLog(async (log) => {
    const source = new MemorySource([...shipped(3), ...shipped(1, 3, "b")]);
    await assertRejects(() => pull(source, log), ShippingError, "of log b");
    assertEquals(log.nextOffset, 3);
  }));

Deno.test("pull() rejects with the failure of the source", () =>
  withLog(async (log) => {
    const source = new MemorySource(shipped(3));
    source.before = ({ offset }) => {
      if (offset === 2) throw new Error("down");
    };
    await assertRejects(() => pull(source, log), Error, "down");
  }));

Deno.test("pull() with follow retries after failures, and ends durably with its signal", () =>
  withLog(async (log) => {
    const source = new MemorySource(shipped(3));
    let failures = 0;
    source.before = ({ offset }) => {
      if (offset === 1 && failures++ < 2) throw new Error("down");
    };
    const abort = new AbortController();
    const pulling = pull(source, log, {
      follow: true,
      signal: abort.signal,
      onProgress: (next) => {
        if (next === 3) source.all.push(...shipped(1, 3));
        if (next === 4) abort.abort();
      },
    });
    assertEquals((await pulling).messages, 4);
    assertEquals(log.durableOffset, 4);
    assert(failures > 2);
  }));
