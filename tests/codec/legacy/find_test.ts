import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { findMessage } from "../../../lib/codec/legacy/mod.ts";
import { counting, joined, parsed, run } from "./_naive.ts";

Deno.test("findMessage() agrees with a check of every position", () => {
  const noise = fc.array(
    fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat({ max: 255 })),
    { maxLength: 200 },
  ).map((bytes) => Uint8Array.from(bytes));
  fc.assert(fc.property(
    noise,
    noise,
    fc.nat({ max: 300 }),
    fc.nat({ max: 300 }),
    fc.nat({ max: 30 }),
    fc.nat({ max: 3 }),
    fc.nat({ max: 3 }),
    (before, payload, start, flip, cut, min, width) => {
      const bytes = joined([before, run(1, [counting(5), payload])]);
      if (flip < bytes.length) bytes[flip]! ^= 4;
      const cutBytes = bytes.subarray(0, bytes.length - cut);
      fc.pre(start <= cutBytes.length);
      let expected: number | undefined;
      for (let at = start; at < cutBytes.length; at++) {
        const offset = parsed(cutBytes.subarray(at))?.offset;
        if (offset !== undefined && offset >= min && offset <= min + width) {
          expected = at;
          break;
        }
      }
      assertEquals(
        findMessage(cutBytes, start, min, min + width).position,
        expected,
      );
    },
  ));
});

Deno.test("findMessage() skips zeros, false headers and other offsets", () => {
  const bytes = joined([new Uint8Array(1000), run(9, [counting(20)])]);
  bytes[500] = 1;
  for (let start = 0; start <= 1000; start++) {
    assertEquals(findMessage(bytes, start, 0, 20).position, 1000);
  }
  assertEquals(findMessage(bytes, 1001, 0, 20).position, undefined);
  assertEquals(findMessage(bytes, 0, 9, 9).position, 1000);
  assertEquals(findMessage(bytes, 0, 0, 8).position, undefined);
  assertEquals(
    findMessage(bytes, 0, 10, Number.MAX_SAFE_INTEGER).position,
    undefined,
  );
  assertEquals(findMessage(bytes, bytes.length, 0, 20).position, undefined);
  assertEquals(findMessage(new Uint8Array(0), 0, 0, 0).position, undefined);
  assertEquals(findMessage(run(3, [counting(0)]), 0, 3, 3).position, 0);
});

Deno.test("findMessage() reports a message that ends after the bytes", () => {
  const long = run(9, [counting(5000)]);
  const bytes = joined([counting(100), long, run(10, [counting(20)])]);
  const beyond = { position: 100, length: long.length };
  const whole = 100 + long.length;
  for (
    const end of [100, 163, 164, 165, 4096, whole - 1, whole, bytes.length]
  ) {
    assertEquals(findMessage(bytes.slice(0, end), 0, 9, 20), {
      position: end >= whole ? 100 : undefined,
      beyond: end >= 164 && end < whole ? beyond : undefined,
    });
  }
  // The first of several, also where a valid one follows within the bytes.
  const header = long.subarray(0, 64);
  const cut = joined([header, header, run(10, [counting(20)])]);
  for (const [start, position] of [[0, 0], [1, 64], [65, undefined]] as const) {
    assertEquals(findMessage(cut, start, 9, 20), {
      position: 128,
      beyond: position === undefined
        ? undefined
        : { position, length: long.length },
    });
  }
  // The offset of its header counts, too.
  assertEquals(findMessage(cut, 0, 10, 20).beyond, undefined);
});

Deno.test("findMessage() refuses arguments out of range by name", () => {
  const refused = (name: string, ...rest: [number, number, number]) =>
    assertThrows(
      () => findMessage(new Uint8Array(10), ...rest),
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
