import { assert, assertEquals, assertThrows } from "@std/assert";
import { MessageScan, STOP } from "../../../lib/codec/legacy/mod.ts";
import { counting, joined, run } from "./_naive.ts";

function scanned(bytes: Uint8Array<ArrayBuffer>, offset = 5) {
  const scan = new MessageScan();
  scan.run(bytes, 0, offset);
  return [scan.count, scan.stop, scan.end, scan.neededBytes];
}

Deno.test("MessageScan finds each single byte flipped, in every bit", () => {
  const whole = run(5, [counting(5), counting(0), counting(90)]);
  const ends = [69, 133, 287];
  assertEquals(scanned(whole), [3, STOP.END, 287, 0]);
  for (let at = 0; at < whole.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const bytes = whole.slice();
      bytes[at]! ^= 1 << bit;
      const [count, stop] = scanned(bytes);
      assertEquals(count, ends.filter((end) => end <= at).length);
      assert(stop !== STOP.END, `byte ${at}, bit ${bit}`);
    }
  }
});

Deno.test("MessageScan reports every truncation as partial, with the length that it needs", () => {
  const whole = run(5, [counting(5), counting(90)]);
  for (let length = 0; length <= whole.length; length++) {
    const expected = length === 0
      ? [0, STOP.END, 0, 0]
      : length < 64
      ? [0, STOP.PARTIAL, 0, 64]
      : length < 69
      ? [0, STOP.PARTIAL, 0, 69]
      : length === 69
      ? [1, STOP.END, 69, 0]
      : length < 133
      ? [1, STOP.PARTIAL, 69, 64]
      : length < 223
      ? [1, STOP.PARTIAL, 69, 154]
      : [2, STOP.END, 223, 0];
    assertEquals(scanned(whole.slice(0, length)), expected, `${length} bytes`);
  }
});

Deno.test("MessageScan checks for the reasons in their order", () => {
  const good = run(5, [counting(10)]);
  const changed = (...changes: [at: number, bytes: number[]][]) => {
    const bytes = good.slice();
    for (const [at, change] of changes) bytes.set(change, at);
    return scanned(bytes);
  };
  const stopped = (stop: number, needed = 0) => [0, stop, 0, needed];
  const tooLongHeaders = [0xa1, 0x86, 0x01, 0];
  const longestHeaders = [0xa0, 0x86, 0x01, 0];
  const tooLongPayload = [0x01, 0x90, 0xd0, 0x03];
  const longestPayload = [0x00, 0x90, 0xd0, 0x03];
  const zeros = new Array(64).fill(0);
  assertEquals(changed([0, zeros]), stopped(STOP.ZEROS));
  assertEquals(
    changed([48, tooLongHeaders], [56, [1]], [24, [6]]),
    stopped(STOP.LENGTH),
  );
  assertEquals(changed([52, tooLongPayload], [56, [1]]), stopped(STOP.LENGTH));
  assertEquals(
    changed([52, longestPayload], [63, [1]], [24, [6]]),
    stopped(STOP.RESERVED),
  );
  assertEquals(changed([56, [1]]), stopped(STOP.RESERVED));
  assertEquals(changed([52, longestPayload], [24, [6]]), stopped(STOP.OFFSET));
  assertEquals(
    changed([52, longestPayload], [48, longestHeaders]),
    stopped(STOP.PARTIAL, 64_100_064),
  );
  assertEquals(changed([70, [99]]), stopped(STOP.CHECKSUM));
});

Deno.test("MessageScan takes a tail of zeros, of any length, for unwritten", () => {
  const good = run(5, [counting(10)]);
  for (let length = 1; length < 200; length++) {
    const bytes = joined([good, new Uint8Array(length)]);
    assertEquals(scanned(bytes), [1, STOP.ZEROS, 74, 0]);
  }
  const almost = joined([good, new Uint8Array(30)]);
  almost[almost.length - 1] = 1;
  assertEquals(scanned(almost), [1, STOP.PARTIAL, 74, 64]);
});

Deno.test("MessageScan grows its arrays as needed, and stops at 'maxCount'", () => {
  const payloads = Array.from({ length: 100 }, (_, i) => counting(i % 7));
  const bytes = run(1000, payloads);
  const scan = new MessageScan(1);
  assertEquals(scan.run(bytes, 0, 1000), 100);
  assertEquals([scan.stop, scan.end], [STOP.END, bytes.length]);
  let at = 0;
  payloads.forEach((payload, i) => {
    assertEquals([scan.starts[i], scan.lengths[i]], [at, payload.length]);
    at += 64 + payload.length;
  });
  assertEquals(scan.starts[100], bytes.length);

  const middle = scan.starts[40]!;
  for (const max of [0, 1, 3, 59]) {
    assertEquals(scan.run(bytes, middle, 1040, max), max);
    assertEquals(scan.stop, STOP.FULL);
    assertEquals([scan.starts[0], scan.starts[max]], [middle, scan.end]);
  }
  assertEquals(scan.run(bytes, middle, 1040, 60), 60);
  assertEquals(scan.stop, STOP.END);
});

Deno.test("MessageScan finds nothing in 0 bytes", () => {
  const scan = new MessageScan();
  assertEquals(scan.run(new Uint8Array(0), 0, 0), 0);
  assertEquals([scan.stop, scan.end, scan.starts[0]], [STOP.END, 0, 0]);
  scan.run(new Uint8Array(10), 10, 3);
  assertEquals([scan.stop, scan.end, scan.starts[0]], [STOP.END, 10, 10]);
});

Deno.test("MessageScan takes no offset above 2^53 - 1", () => {
  const last = Number.MAX_SAFE_INTEGER;
  const bytes = run(last, [counting(1), counting(2)]);
  const scan = new MessageScan(1);
  assertEquals(scan.run(bytes, 0, last), 1);
  assertEquals(scan.stop, STOP.OFFSET);
});

Deno.test("MessageScan refuses arguments out of range by name", () => {
  const bytes = new Uint8Array(10);
  const scan = new MessageScan();
  const refused = (name: string, ...rest: [number, number, number?]) =>
    assertThrows(() => scan.run(bytes, ...rest), RangeError, `'${name}'`);
  refused("start", 11, 0);
  refused("start", -1, 0);
  refused("start", 0.5, 0);
  refused("expectedOffset", 0, -1);
  refused("expectedOffset", 0, 2 ** 53);
  refused("expectedOffset", 0, NaN);
  refused("maxCount", 0, 0, -1);
  refused("maxCount", 0, 0, 1.5);
  bytes.buffer.transfer();
  refused("start", 1, 0);
  assertThrows(() => new MessageScan(0), RangeError, "'capacity'");
  assertThrows(() => new MessageScan(1.5), RangeError, "'capacity'");
});
