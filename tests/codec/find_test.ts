import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { findBatch } from "../../lib/codec/mod.ts";
import {
  batchChecksum,
  batchOf,
  counting,
  joined,
  parsedBatch,
} from "./_naive.ts";

const MAX = Number.MAX_SAFE_INTEGER;

Deno.test("findBatch() agrees with a check of every position", () => {
  const noise = fc.array(
    fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat({ max: 255 })),
    { maxLength: 300 },
  ).map((bytes) => Uint8Array.from(bytes));
  const zeros = fc.nat({ max: 500 }).map((length) => new Uint8Array(length));
  const batch = fc.tuple(fc.nat({ max: 3 }), noise).map(([offset, payload]) =>
    batchOf(offset, [payload, counting(5)])
  );
  const damaged = fc.tuple(batch, fc.nat(), fc.nat({ max: 255 })).map(
    ([bytes, at, value]) => {
      bytes[at % 400] = value;
      return bytes;
    },
  );
  fc.assert(
    fc.property(
      fc.array(fc.oneof(noise, zeros, batch, damaged), { maxLength: 4 }),
      fc.nat({ max: 600 }),
      fc.nat({ max: 30 }),
      fc.nat({ max: 3 }),
      fc.nat({ max: 3 }),
      (pieces, start, cut, min, width) => {
        const all = joined(pieces);
        const bytes = all.subarray(0, Math.max(0, all.length - cut));
        fc.pre(start <= bytes.length);
        let expected: number | undefined;
        for (let at = start; at < bytes.length; at++) {
          const offset = parsedBatch(bytes.subarray(at))?.baseOffset;
          if (offset !== undefined && offset >= min && offset <= min + width) {
            expected = at;
            break;
          }
        }
        const found = findBatch(bytes, start, min, min + width);
        assertEquals(found.position, expected);
        if (found.beyond !== undefined) {
          const { position, length } = found.beyond;
          assert(position >= start && position < (expected ?? bytes.length));
          assert(position + length > bytes.length);
        }
      },
    ),
    { numRuns: 300 },
  );
});

Deno.test("findBatch() skips zeros, false headers and other offsets", () => {
  const bytes = joined([new Uint8Array(1000), batchOf(9, [counting(20)])]);
  bytes[500] = 1;
  for (let start = 0; start <= 1000; start++) {
    assertEquals(findBatch(bytes, start, 0, 20).position, 1000);
  }
  assertEquals(findBatch(bytes, 1001, 0, 20).position, undefined);
  assertEquals(findBatch(bytes, 0, 9, 9).position, 1000);
  assertEquals(findBatch(bytes, 0, 0, 8).position, undefined);
  assertEquals(findBatch(bytes, 0, 10, MAX).position, undefined);
  assertEquals(findBatch(bytes, bytes.length, 0, 20).position, undefined);
  assertEquals(findBatch(new Uint8Array(0), 0, 0, 0).position, undefined);
  assertEquals(findBatch(batchOf(3, [counting(0)]), 0, 3, 3).position, 0);
});

Deno.test("findBatch() reports a batch that ends after the bytes", () => {
  const long = batchOf(9, [counting(5000)]);
  const bytes = joined([counting(100), long, batchOf(10, [counting(20)])]);
  const beyond = { position: 100, length: long.length };
  const whole = 100 + long.length;
  for (
    const end of [100, 355, 356, 357, 403, 404, 4096, whole - 1, whole]
  ) {
    assertEquals(findBatch(bytes.slice(0, end), 0, 9, 20), {
      position: end >= whole ? 100 : undefined,
      beyond: end >= 356 && end < whole ? beyond : undefined,
    });
  }
  // The first of several, also where a valid one follows within the bytes.
  const head = long.subarray(0, 1000);
  const cut = joined([head, head, batchOf(10, [counting(20)])]);
  for (const [start, at] of [[0, 0], [1, 1000], [1001, undefined]] as const) {
    assertEquals(findBatch(cut, start, 9, 20), {
      position: 2000,
      beyond: at === undefined
        ? undefined
        : { position: at, length: long.length },
    });
  }
  assertEquals(findBatch(cut, 0, 10, 20).beyond, undefined);
});

Deno.test("findBatch() reports the length of a batch above 4 GiB", () => {
  const bytes = batchOf(5, [counting(10)]);
  const view = new DataView(bytes.buffer);
  view.setUint32(48, 0xffff_ffff, true);
  view.setBigUint64(32, 2n ** 40n, true);
  assertEquals(findBatch(bytes, 0, 5, 5), {
    position: undefined,
    beyond: { position: 0, length: 2 ** 40 },
  });
});

Deno.test("findBatch() gives up on batches made to overlap, and reports where", () => {
  // Each batch is the payload of the one before. Only the checksums of their frames are wrong.
  const count = 20_000;
  const bytes = new Uint8Array(count * 304 + 4_000_000);
  const template = batchOf(1, [counting(0)]);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < count * 304; at += 304) {
    bytes.set(template, at);
    const rest = bytes.length - at;
    view.setUint32(at + 32, rest, true);
    view.setUint32(at + 256 + 36, rest - 304, true);
    view.setBigUint64(
      at + 40,
      batchChecksum(bytes.slice(at, at + 304)),
      true,
    );
  }
  const { position, beyond } = findBatch(bytes, 0, 0, MAX);
  assertEquals(position, undefined);
  assert(beyond!.position % 304 === 0);
  assertEquals(beyond!.position + beyond!.length, bytes.length);
  // The search continues from there.
  const next = findBatch(bytes, beyond!.position + 1, 0, MAX).beyond!;
  assert(next.position > beyond!.position);
});

Deno.test("findBatch() refuses arguments out of range by name", () => {
  const refused = (name: string, ...rest: [number, number, number]) =>
    assertThrows(
      () => findBatch(new Uint8Array(10), ...rest),
      RangeError,
      `'${name}'`,
    );
  refused("start", 11, 0, 0);
  refused("start", 0.5, 0, 0);
  refused("minOffset", 0, -1, 0);
  refused("minOffset", 0, 2, 1);
  refused("maxOffset", 0, 0, 2 ** 53);
  refused("maxOffset", 0, 0, NaN);
});
