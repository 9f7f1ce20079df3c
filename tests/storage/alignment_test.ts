import { assertEquals, assertThrows } from "@std/assert";
import {
  alignDown,
  alignUp,
  checkAligned,
  checkInteger,
} from "../../lib/storage/alignment.ts";

const argument = { action: "read 'a.log'", name: "position" };

Deno.test("alignDown() and alignUp() enclose a value by the nearest multiples", () => {
  for (const alignment of [1, 512, 4096, 1536]) {
    for (let value = 0; value < 5000; value += 7) {
      const [down, up] = [
        alignDown(value, alignment),
        alignUp(value, alignment),
      ];
      assertEquals([down % alignment, up % alignment], [0, 0]);
      assertEquals(down <= value && value <= up, true);
      assertEquals(up - down, value % alignment === 0 ? 0 : alignment);
    }
  }
  assertEquals(alignDown(2 ** 53 - 1, 4096), 2 ** 53 - 4096);
});

Deno.test("checkInteger() names the argument, the range and what it got", () => {
  checkInteger(argument, 0);
  checkInteger(argument, 2 ** 53 - 1);
  for (const value of [-1, 0.5, NaN, Infinity, 2 ** 53, 2 ** 60]) {
    assertThrows(
      () => checkInteger(argument, value),
      RangeError,
      `Cannot read 'a.log' as 'position' must be an integer of at least 0, at most 2^53 - 1: received ${value}`,
    );
  }
  assertThrows(
    () => checkInteger(argument, 11, 1, 10),
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
      () => checkInteger(argument, value as unknown as number),
      TypeError,
      `'position' must be a number: received ${shown}`,
    );
  }
});

Deno.test("checkAligned() names the nearest right values that are possible", () => {
  checkAligned(argument, 8192, 4096);
  const message = (value: number, min?: number, max?: number): string =>
    assertThrows(() => checkAligned(argument, value, 512, min, max), RangeError)
      .message;
  assertEquals(
    message(700),
    "Cannot read 'a.log' as 'position' must be a multiple of 512: received 700, nearest are 512 and 1024",
  );
  assertEquals(message(100).endsWith("nearest are 0 and 512"), true);
  assertEquals(message(100, 1).endsWith("nearest is 512"), true);
  assertEquals(message(700, 1, 1000).endsWith("nearest is 512"), true);
  assertEquals(
    message(100, 1, 200).endsWith("and none lies between 1 and 200"),
    true,
  );
});
