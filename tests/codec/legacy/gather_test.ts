import { assert, assertEquals, assertThrows } from "@std/assert";
import type { StopReason } from "../../../lib/codec/mod.ts";
import { Gathering } from "../../../lib/codec/legacy/mod.ts";
import { counting, joined, run, TIME, written } from "./_naive.ts";

function gathered(bytes: Uint8Array<ArrayBuffer>, offset = 5) {
  const gathering = new Gathering(offset, 0);
  gathering.run(bytes, 0, true, new Uint8Array(5 * bytes.length + 304));
  const { count, stop, sourceEnd, neededBytes } = gathering;
  return [count, stop, sourceEnd, neededBytes];
}

Deno.test("Gathering finds each single byte flipped, in every bit", () => {
  const whole = run(5, [counting(5), counting(0), counting(90)]);
  const ends = [69, 133, 287];
  assertEquals(gathered(whole), [3, "end", 287, 0]);
  for (let at = 0; at < whole.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const bytes = whole.slice();
      bytes[at]! ^= 1 << bit;
      const [count, stop] = gathered(bytes);
      assertEquals(count, ends.filter((end) => end <= at).length);
      assert(stop !== "end", `byte ${at}, bit ${bit}`);
    }
  }
});

Deno.test("Gathering reports every truncation as partial, with the length that it needs", () => {
  const whole = run(5, [counting(5), counting(90)]);
  for (let length = 0; length <= whole.length; length++) {
    const expected = length === 0
      ? [0, "end", 0, 0]
      : length < 64
      ? [0, "partial", 0, 64]
      : length < 69
      ? [0, "partial", 0, 69]
      : length === 69
      ? [1, "end", 69, 0]
      : length < 133
      ? [1, "partial", 69, 64]
      : length < 223
      ? [1, "partial", 69, 154]
      : [2, "end", 223, 0];
    assertEquals(gathered(whole.slice(0, length)), expected, `${length} bytes`);
  }
});

Deno.test("Gathering checks for the reasons in their order", () => {
  const good = run(5, [counting(10)]);
  const changed = (...changes: [at: number, bytes: number[]][]) => {
    const bytes = good.slice();
    for (const [at, change] of changes) bytes.set(change, at);
    return gathered(bytes);
  };
  const stopped = (stop: StopReason, needed = 0) => [0, stop, 0, needed];
  const tooLongHeaders = [0xa1, 0x86, 0x01, 0];
  const longestHeaders = [0xa0, 0x86, 0x01, 0];
  const tooLongPayload = [0x01, 0x90, 0xd0, 0x03];
  const longestPayload = [0x00, 0x90, 0xd0, 0x03];
  const zeros = new Array(64).fill(0);
  assertEquals(changed([0, zeros]), stopped("zeros"));
  assertEquals(
    changed([48, tooLongHeaders], [56, [1]], [24, [6]]),
    stopped("length"),
  );
  assertEquals(changed([52, tooLongPayload], [56, [1]]), stopped("length"));
  assertEquals(
    changed([52, longestPayload], [63, [1]], [24, [6]]),
    stopped("reserved"),
  );
  assertEquals(changed([56, [1]]), stopped("reserved"));
  assertEquals(changed([52, longestPayload], [24, [6]]), stopped("offset"));
  assertEquals(
    changed([52, longestPayload], [48, longestHeaders]),
    stopped("partial", 64_100_064),
  );
  assertEquals(changed([70, [99]]), stopped("frame checksum"));
});

Deno.test("Gathering takes a tail of zeros, of any length, for unwritten", () => {
  const good = run(5, [counting(10)]);
  for (let length = 1; length < 200; length++) {
    const bytes = joined([good, new Uint8Array(length)]);
    assertEquals(gathered(bytes), [1, "zeros", 74, 0]);
  }
  const almost = joined([good, new Uint8Array(30)]);
  almost[almost.length - 1] = 1;
  assertEquals(gathered(almost), [1, "partial", 74, 64]);
});

Deno.test("Gathering without a target only checks, and stops at the first batch", () => {
  const bytes = run(5, [counting(5), counting(90)]);
  const gathering = new Gathering(5, 0);
  gathering.run(bytes, 0, true);
  assertEquals([gathering.isFull, gathering.count], [true, 0]);
  bytes[70]! ^= 1;
  gathering.run(bytes, 0, true);
  assertEquals(gathering.isFull, true);
  bytes[66]! ^= 1;
  gathering.run(bytes, 0, true);
  assertEquals(gathering.stop, "frame checksum");
});

Deno.test("Gathering finds nothing in 0 bytes", () => {
  assertEquals(gathered(new Uint8Array(0)), [0, "end", 0, 0]);
});

Deno.test("Gathering refuses offsets and times above 2^53 - 1", () => {
  const last = Number.MAX_SAFE_INTEGER;
  const bytes = run(last, [counting(1), counting(2)]);
  assertEquals(gathered(bytes, last), [1, "offset", 65, 0]);
  const late = written({
    id: counting(16),
    offset: 5n,
    timestamp: BigInt(last) + 1n,
    origin: BigInt(TIME),
    payload: counting(3),
    headers: counting(0),
  });
  assertEquals(gathered(late), [0, "timestamp", 0, 0]);
});

Deno.test("Gathering refuses arguments out of range by name", () => {
  const bytes = new Uint8Array(10);
  const gathering = new Gathering(0, 0);
  const refused = (start: number) =>
    assertThrows(
      () => gathering.run(bytes, start, true),
      RangeError,
      "'start'",
    );
  refused(11);
  refused(-1);
  refused(0.5);
  bytes.buffer.transfer();
  refused(1);
  for (const value of [-1, 0.5, NaN]) {
    const offset = () => new Gathering(value, 0);
    assertThrows(offset, RangeError, "'nextOffset'");
    const time = () => new Gathering(0, value);
    assertThrows(time, RangeError, "'minTimestamp'");
  }
});
