import { assertEquals, assertThrows } from "@std/assert";
import { microsOf, type Time } from "../../lib/base/mod.ts";

Deno.test("microsOf() returns whole microseconds of each type of time", () => {
  const instant = Temporal.Instant.from("2024-01-01T00:00:00.123456789Z");
  const times: [Time, number][] = [
    [0, 0],
    [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
    [new Date(0), 0],
    [new Date("2024-01-01T00:00:00.123Z"), 1_704_067_200_123_000],
    [instant, 1_704_067_200_123_456],
    [Temporal.Instant.fromEpochMilliseconds(0), 0],
  ];
  for (const [time, micros] of times) {
    assertEquals(microsOf("read", "since", time), micros);
  }
});

Deno.test("microsOf() refuses what is not a time, and names it", () => {
  const before = Temporal.Instant.fromEpochNanoseconds(-1n);
  const refused: [unknown, string][] = [
    [-1, "-1"],
    [0.5, "0.5"],
    [NaN, "NaN"],
    [2 ** 53, "9007199254740992"],
    [new Date(NaN), "Invalid Date"],
    [new Date(-1), "1969-12-31T23:59:59.999Z"],
    [before, "1969-12-31T23:59:59.999999999Z"],
    ["2024-01-01", '"2024-01-01"'],
    [1n, "1n"],
    [null, "null"],
    [{}, "object"],
  ];
  for (const [time, text] of refused) {
    const isTime = typeof time === "number" || time instanceof Date ||
      time === before;
    const { message } = assertThrows(
      () => microsOf("read", "since", time as Time),
      isTime ? RangeError : TypeError,
    );
    assertEquals(
      message,
      `Cannot read as 'since' must be a Date, a Temporal.Instant or an integer of microseconds from 0 to 9007199254740991: received ${text}`,
    );
  }
});
