import { assertEquals, assertThrows } from "@std/assert";
import { checkAligned } from "../../lib/storage/lend_range.ts";

const argument = ["read 'a.log'", "position"] as const;

Deno.test("checkAligned() names the nearest possible values", () => {
  checkAligned(...argument, 8192, 4096);
  const message = (value: number, min?: number, max?: number): string =>
    assertThrows(
      () => checkAligned(...argument, value, 512, min, max),
      RangeError,
    )
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
