/** A log of Basalt under a real server, and what the server wrote under Basalt again. */
import { assert, assertEquals } from "@std/assert";
import { Log } from "../../lib/log/mod.ts";
import type { UserHeader } from "../../lib/codec/mod.ts";
import { KIB, MIB, payload, testPool } from "../log/support.ts";
import { answered, type Comparable, comparable } from "./messages.ts";
import { Iggy, WITHOUT_SERVER } from "./server.ts";

/** One header of each kind, as key and as value. */
const ALL_KINDS: UserHeader[] = [
  { kind: "raw", value: new Uint8Array([0, 255]) },
  { kind: "string", value: "ключ" },
  { kind: "bool", value: true },
  { kind: "int8", value: -128 },
  { kind: "int16", value: -32768 },
  { kind: "int32", value: -(2 ** 31) },
  { kind: "int64", value: -(2n ** 63n) },
  { kind: "int128", value: -(2n ** 127n) },
  { kind: "uint8", value: 255 },
  { kind: "uint16", value: 65535 },
  { kind: "uint32", value: 2 ** 32 - 1 },
  { kind: "uint64", value: 2n ** 64n - 1n },
  { kind: "uint128", value: 2n ** 128n - 1n },
  { kind: "float32", value: -0.5 },
  { kind: "float64", value: Math.PI },
].map((field) => ({ key: field, value: field }) as UserHeader);

/** Fills a log with messages that differ in all that messages differ in. */
async function fill(log: Log, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const offset = log.nextOffset;
    const sizes = [0, 1, 63, 64, 65, 241, 4095, 4096, 4097, 20_000];
    log.append(payload(offset, sizes[i % sizes.length]!), {
      ...(i % 3 === 0
        ? { id: `00000000-0000-4000-8000-${`${offset}`.padStart(12, "0")}` }
        : {}),
      ...(i % 4 === 0 ? { originTimestamp: 1_700_000_000_000_000 + i } : {}),
      ...(i % 5 === 0 ? { userHeaders: ALL_KINDS } : {}),
      ...(i % 5 === 1 ? { userHeaders: { n: i, text: "é" } } : {}),
    });
    // A flush has one append time: several of them, so that there are times to look for.
    if (i % 7 === 0) await log.flush();
  }
}

async function messagesOf(log: Log): Promise<Comparable[]> {
  const all: Comparable[] = [];
  for await (using batch of log.read()) {
    for (let i = 0; i < batch.count; i++) {
      all.push(await comparable(batch.message(i)));
    }
  }
  return all;
}

/** Everything from a place on, in pieces of `count` messages. */
async function polled(
  iggy: Iggy,
  kind: "offset" | "timestamp",
  value: number,
  count: number,
): Promise<Comparable[]> {
  const all: Comparable[] = [];
  for (;;) {
    const part = all.length === 0
      ? await iggy.poll(kind, value, count)
      : await iggy.poll("offset", all.at(-1)!.offset + 1, count);
    if (part.length === 0) return all;
    all.push(...await Promise.all(part.map(answered)));
  }
}

Deno.test({
  name:
    "a closed log under a real Iggy server is read whole, appended to, continued by Basalt, and read again",
  ignore: WITHOUT_SERVER !== undefined,
  fn: async () => {
    await using iggy = new Iggy();
    const pool = testPool();
    const dir = Deno.makeTempDirSync({ prefix: "basalt_iggy_" });
    const options = { pool, segmentBytes: 256 * KIB, prepareBytes: MIB };
    const settings = { IGGY_SYSTEM_SEGMENT_SIZE: "256 KiB" };
    try {
      await iggy.start(settings);
      await iggy.createStream("s");
      await iggy.createTopic("t");
      await iggy.stop();

      let expected: Comparable[];
      {
        await using log = await Log.open(dir, options);
        await fill(log, 300);
        log.append(payload(log.nextOffset, 3 * MIB), {
          userHeaders: ALL_KINDS,
        });
        await fill(log, 50);
        await log.flush();
        expected = await messagesOf(log);
        assert(log.stats().segments > 3, `${log.stats().segments} segments`);
      }
      assertEquals(expected.length, 351);
      for (const { name } of Deno.readDirSync(dir)) {
        Deno.copyFileSync(`${dir}/${name}`, `${iggy.partition()}/${name}`);
      }

      await iggy.start(settings);
      await assertServed(iggy, expected);
      const added = Array.from(
        { length: 40 },
        (_, i) => payload(i, 10_000 + i),
      );
      for (let i = 0; i < added.length; i += 10) {
        await iggy.append(
          added.slice(i, i + 10).map((bytes, j) => ({
            payload: bytes,
            headers: [{
              key: { kind: "string", value: btoa("n") },
              value: {
                kind: "uint32",
                value: new Uint8Array([i + j, 0, 0, 0]).toBase64(),
              },
            }],
          })),
        );
      }
      const served = await polled(iggy, "offset", expected.length, 100);
      assertEquals(served.length, added.length);
      await iggy.stop();

      {
        await using log = await Log.open(iggy.partition(), options);
        assertEquals(log.nextOffset, expected.length + added.length);
        assertEquals(log.stats().opening.recovered, []);
        assertEquals(await messagesOf(log), [...expected, ...served]);
        await fill(log, 60);
        await log.flush();
        expected = await messagesOf(log);
        assertEquals(expected.length, 451);
      }

      await iggy.start(settings);
      await assertServed(iggy, expected);
      await iggy.stop();
    } finally {
      pool.close();
      Deno.removeSync(dir, { recursive: true });
    }
  },
});

/** Polls everything by offset and by time, in pieces of several sizes. */
async function assertServed(
  iggy: Iggy,
  expected: readonly Comparable[],
): Promise<void> {
  for (const count of [13, 100]) {
    assertEquals(await polled(iggy, "offset", 0, count), expected);
  }
  for (let i = 0; i < expected.length; i += 29) {
    const { timestamp } = expected[i]!;
    // Just before: for a time that several messages share this server begins with any of them.
    const since = timestamp - 1;
    if (expected.some((each) => each.timestamp === since)) continue;
    const from = expected.findIndex((each) => each.timestamp > since);
    assertEquals(
      await polled(iggy, "timestamp", since, 100),
      expected.slice(from),
      `by time, from offset ${from}`,
    );
    const [exact] = await iggy.poll("timestamp", timestamp, 1);
    assertEquals(exact!.header.timestamp, timestamp);
  }
}
