import { assertEquals, assertThrows } from "@std/assert";
import {
  checkChoice,
  checkInteger,
  formatBytes,
  isZero,
  roundDown,
  roundUp,
  sameBytes,
} from "../../lib/base/mod.ts";

const argument = ["read 'a.log'", "position"] as const;

Deno.test("roundDown() and roundUp() enclose a value by the nearest multiples", () => {
  for (const alignment of [1, 512, 4096, 1536]) {
    for (let value = 0; value < 5000; value += 7) {
      const [down, up] = [
        roundDown(value, alignment),
        roundUp(value, alignment),
      ];
      assertEquals([down % alignment, up % alignment], [0, 0]);
      assertEquals(down <= value && value <= up, true);
      assertEquals(up - down, value % alignment === 0 ? 0 : alignment);
    }
  }
  assertEquals(roundDown(2 ** 53 - 1, 4096), 2 ** 53 - 4096);
});

Deno.test("checkInteger() names the argument, the range and the value", () => {
  checkInteger(...argument, 0);
  checkInteger(...argument, 2 ** 53 - 1);
  for (const value of [-1, 0.5, NaN, Infinity, 2 ** 53, 2 ** 60]) {
    assertThrows(
      () => checkInteger(...argument, value),
      RangeError,
      `Cannot read 'a.log' as 'position' must be an integer of at least 0, at most 2^53 - 1: received ${value}`,
    );
  }
  assertThrows(
    () => checkInteger(...argument, 11, 1, 10),
    RangeError,
    "must be an integer from 1 to 10: received 11",
  );
  for (
    const [value, shown] of [["4096", "string"], [4096n, "4096n"], [
      null,
      "null",
    ]] as const
  ) {
    assertThrows(
      () => checkInteger(...argument, value as unknown as number),
      TypeError,
      `'position' must be a number: received ${shown}`,
    );
  }
});

Deno.test("checkChoice() names the choices and the value", () => {
  checkChoice("open file", "direct", "never", ["require", "never"]);
  for (
    const [value, shown] of [["no", '"no"'], [1, "number"], [null, "null"]]
  ) {
    assertThrows(
      () => checkChoice("open file", "direct", value, ["a", "b", "c"]),
      TypeError,
      `Cannot open file as 'direct' must be "a", "b" or "c": received ${shown}`,
    );
  }
});

Deno.test("formatBytes() takes the largest unit that keeps the figure at 1 or more", () => {
  const each: [bytes: number, text: string][] = [
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1 KiB"],
    [1536 * 1024, "1.5 MiB"],
    [2 ** 60, "1024 PiB"],
  ];
  for (const [bytes, text] of each) assertEquals(formatBytes(bytes), text);
});

Deno.test("isZero() and sameBytes() check every byte", () => {
  const bytes = new Uint8Array(9);
  assertEquals([isZero(bytes), isZero(new Uint8Array())], [true, true]);
  for (let i = 0; i < bytes.length; i++) {
    const other = bytes.slice();
    other[i] = 1;
    assertEquals([isZero(other), sameBytes(bytes, other)], [false, false]);
    assertEquals(sameBytes(other, other.slice()), true);
  }
  assertEquals(sameBytes(bytes, bytes.subarray(1)), false);
});
