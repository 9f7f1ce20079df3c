import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  MessageScan,
  stamp,
  type StampRun,
  STOP,
} from "../../../lib/codec/legacy/mod.ts";
import {
  RECORD_ID_GIVEN,
  RECORD_ORIGIN_GIVEN,
} from "../../../lib/codec/mod.ts";
import { joined, parsed, TIME, written } from "./naive.ts";

function stampRun(changes: Partial<StampRun> = {}): StampRun {
  return {
    bytes: new Uint8Array(200),
    start: 0,
    records: Uint32Array.of(10, 0, 20, 0),
    count: 2,
    index: new Uint8Array(32),
    firstOffset: 0,
    timestamp: TIME,
    relativeOffset: 0,
    position: 0,
    seed: new Uint8Array(32),
    ...changes,
  };
}

const record = fc.record({
  payload: fc.uint8Array({ maxLength: 400 }),
  headers: fc.uint8Array({ maxLength: 30 }),
  id: fc.option(
    fc.oneof(
      fc.constant(new Uint8Array(16)),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
    ),
    { nil: undefined },
  ),
  origin: fc.option(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), {
    nil: undefined,
  }),
});

Deno.test("stamp() writes what a naive writer writes, which a scan and a naive parser read back", () => {
  fc.assert(fc.property(
    fc.array(record, { maxLength: 8 }),
    fc.nat({ max: 70 }),
    fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER - 8 }),
    fc.integer({ min: 0, max: 2 ** 32 - 10 }),
    fc.integer({ min: 0, max: 2 ** 32 - 10_000 }),
    (records, start, firstOffset, relativeOffset, position) => {
      const words: number[] = [];
      const parts = [new Uint8Array(start).fill(0xee)];
      for (const { payload, headers, id, origin } of records) {
        // What is in the header's place and not given must not show through.
        const room = new Uint8Array(64).fill(0xdd);
        let word = headers.length;
        if (id !== undefined) {
          room.set(id, 8);
          word += RECORD_ID_GIVEN;
        }
        if (origin !== undefined) {
          new DataView(room.buffer).setBigUint64(40, origin, true);
          word += RECORD_ORIGIN_GIVEN;
        }
        words.push(payload.length, word);
        parts.push(
          room,
          new Uint8Array(payload),
          new Uint8Array(headers),
        );
      }
      const bytes = joined([...parts, Uint8Array.of(0xcc)]);
      const index = new Uint8Array(16 * records.length + 1).fill(0xbb);
      stamp({
        bytes,
        start,
        records: Uint32Array.from(words),
        count: records.length,
        index,
        firstOffset,
        timestamp: TIME,
        relativeOffset,
        position,
        seed: new Uint8Array(32).fill(3),
      });

      let at = start;
      const entries = new DataView(index.buffer);
      records.forEach(({ payload, headers, id, origin }, i) => {
        const found = parsed(bytes.subarray(at))!;
        const isGiven = id?.some((byte) => byte !== 0) ?? false;
        if (!isGiven) {
          assertEquals([found.id[6]! >> 4, found.id[8]! >> 6], [4, 2]);
        }
        const expected = written({
          id: isGiven ? id! : found.id,
          offset: BigInt(firstOffset + i),
          timestamp: BigInt(TIME),
          origin: origin ?? BigInt(TIME),
          payload,
          headers,
        });
        const end = at + expected.length;
        assertEquals(bytes.subarray(at, end), expected);
        at = end;
        assertEquals(entries.getUint32(16 * i, true), relativeOffset + i);
        assertEquals(
          entries.getUint32(16 * i + 4, true),
          position + at - start,
        );
        assertEquals(entries.getBigUint64(16 * i + 8, true), BigInt(TIME));
      });
      assertEquals(at, bytes.length - 1);
      assert(bytes.subarray(0, start).every((byte) => byte === 0xee));
      assertEquals([bytes.at(-1), index.at(-1)], [0xcc, 0xbb]);

      const scan = new MessageScan(1);
      scan.run(bytes.subarray(0, at), start, firstOffset);
      assertEquals([scan.count, scan.stop], [records.length, STOP.END]);
      assertEquals(
        [...scan.lengths.subarray(0, scan.count)],
        records.map(({ payload }) => payload.length),
      );
    },
  ));
});

Deno.test("stamp() draws distinct ids within a run and from each seed", () => {
  const ids = new Set<string>();
  for (const seed of [1, 2]) {
    const bytes = new Uint8Array(64 * 100);
    stamp(stampRun({
      bytes,
      records: new Uint32Array(200),
      count: 100,
      index: new Uint8Array(1600),
      seed: new Uint8Array(32).fill(seed),
    }));
    for (let i = 0; i < 100; i++) {
      ids.add(bytes.subarray(64 * i + 8, 64 * i + 24).toHex());
    }
  }
  assertEquals(ids.size, 200);
});

Deno.test("stamp() of no messages writes nothing, in no memory at all", () => {
  stamp(stampRun({
    bytes: new Uint8Array(0),
    records: new Uint32Array(0),
    count: 0,
    index: new Uint8Array(0),
  }));
});

Deno.test("stamp() takes views that touch, and refuses those that share a byte", () => {
  const memory = new Uint8Array(300);
  const index = memory.subarray(158, 190);
  stamp(stampRun({ bytes: memory.subarray(0, 158), index }));
  for (const length of [159, 190, 300]) {
    const run = stampRun({ bytes: memory.subarray(0, length), index });
    assertThrows(() => stamp(run), RangeError, "must not share memory");
  }
  const whole = stampRun({ bytes: memory, index: memory });
  assertThrows(() => stamp(whole), RangeError, "must not share memory");
});

Deno.test("stamp() accepts the last offset, entry and position", () => {
  stamp(stampRun({
    firstOffset: Number.MAX_SAFE_INTEGER - 1,
    timestamp: Number.MAX_SAFE_INTEGER,
    relativeOffset: 2 ** 32 - 2,
    position: 2 ** 32 - 1 - 158,
  }));
});

Deno.test("stamp() refuses what is out of range, names it and writes nothing", () => {
  const shared = new Uint8Array(200);
  const detached = new Uint8Array(200);
  detached.buffer.transfer();
  const cases: [changes: Partial<StampRun>, named: string][] = [
    [{ bytes: new Uint8Array(157) }, "'bytes' must reach to 158"],
    [{ bytes: detached }, "'bytes' must reach to 158"],
    [{ start: 43 }, "'bytes' must reach to 201"],
    [{ start: -1 }, "'start'"],
    [{ start: 0.5 }, "'start'"],
    [{ start: NaN }, "'start'"],
    [{ count: -1 }, "'count'"],
    [{ count: 1.5 }, "'count'"],
    [{ count: 3 }, "'records' must have 6 words"],
    [
      {
        count: 3,
        index: new Uint8Array(48),
        bytes: new Uint8Array(500),
        // Zeros behind the view: native code would take them for a record.
        records: new Uint32Array(100).subarray(0, 5),
      },
      "'records' must have 6 words",
    ],
    [{ index: new Uint8Array(31) }, "'index' must have 32 bytes"],
    [{ seed: new Uint8Array(31) }, "'seed' must have 32 bytes"],
    [{ firstOffset: -1 }, "'firstOffset'"],
    [{ firstOffset: 0.5 }, "'firstOffset'"],
    [{ firstOffset: 2 ** 53 }, "'firstOffset'"],
    [{ firstOffset: Number.MAX_SAFE_INTEGER }, "'firstOffset' must leave room"],
    [{ timestamp: -1 }, "'timestamp'"],
    [{ timestamp: NaN }, "'timestamp'"],
    [{ timestamp: 2 ** 53 }, "'timestamp'"],
    [{ relativeOffset: 2 ** 32 }, "'relativeOffset'"],
    [{ relativeOffset: 2 ** 32 - 1 }, "'relativeOffset' must leave room"],
    [{ position: 2 ** 32 - 158 }, "'position' must be at most 4294967137"],
    [{ position: -1 }, "'position'"],
    [
      { records: Uint32Array.of(0, 0, 64_000_001, 0) },
      "record 1 at most 64000000",
    ],
    [
      { records: Uint32Array.of(0, 100_001 + RECORD_ID_GIVEN, 0, 0) },
      "record 0 at most 100000 bytes of user headers: received 100001",
    ],
    [{ records: Uint32Array.of(0, 2 ** 29, 0, 0) }, "record 0"],
    [{ bytes: shared, index: shared.subarray(190) }, "'index' must have 32"],
    [
      { bytes: shared, index: shared.subarray(160, 192) },
      "must not share memory",
    ],
  ];
  for (const [changes, named] of cases) {
    const run = stampRun(changes);
    const error = assertThrows(() => stamp(run), RangeError, "Cannot stamp");
    const { message } = error as Error;
    assert(message.includes(named), `${named}: ${message}`);
    if (!run.bytes.buffer.detached) {
      assert(run.bytes.every((byte) => byte === 0), named);
    }
    assert(run.index.every((byte) => byte === 0), named);
  }
});
