import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { LineSplitter, LineTooLongError } from "../../lib/cli/_lines.ts";
import { MAX_PAYLOAD_BYTES } from "../../lib/codec/mod.ts";

/** Splits bytes that arrive in parts of the given lengths, in turn. */
function cut(
  bytes: Uint8Array,
  partLengths: readonly number[],
  terminator: number,
): Uint8Array[] {
  const splitter = new LineSplitter(terminator);
  const lines: Uint8Array[] = [];
  const take = (
    parts: Iterable<{ bytes: Uint8Array; lengths: Uint32Array }>,
  ) => {
    for (const { bytes, lengths } of parts) {
      let at = 0;
      for (const length of lengths) {
        lines.push(bytes.slice(at, at += length));
      }
      assertEquals(at, bytes.length);
    }
  };
  for (let at = 0, part = 0; at < bytes.length; part++) {
    const room = splitter.room();
    const length = Math.min(
      room.length,
      bytes.length - at,
      partLengths[part % partLengths.length]!,
    );
    room.set(bytes.subarray(at, at += length));
    take(splitter.push(length));
  }
  take(splitter.rest());
  return lines;
}

/** Splits bytes one by one. */
function naive(bytes: Uint8Array, terminator: number): Uint8Array[] {
  const lines: Uint8Array[] = [];
  let begin = 0;
  bytes.forEach((byte, at) => {
    if (byte !== terminator && at + 1 < bytes.length) return;
    lines.push(bytes.slice(begin, at + 1));
    begin = at + 1;
  });
  return lines;
}

Deno.test("LineSplitter splits any bytes at every terminator, and nowhere else", () => {
  for (const terminator of [0x0a, 0, 1, 0x7f, 0x80, 0xff]) {
    // Bytes that differ from the terminator in few bits, and are next to it.
    const near = [0, 1, 0x80, 0x81, 0xff, terminator, terminator ^ 0x80];
    const bytes = Uint8Array.from(
      { length: 3000 },
      (_, i) => near[(i * i + (i >> 3) * 5) % 23 % near.length]!,
    );
    for (const parts of [[1], [2, 3], [7, 64, 1], [1000]]) {
      assertEquals(
        cut(bytes, parts, terminator),
        naive(bytes, terminator),
        `terminator ${terminator}, parts ${parts}`,
      );
    }
  }
});

Deno.test("LineSplitter gives all lines of many batches, and one that outgrows its memory", () => {
  const bytes = new Uint8Array(12 * 2 ** 20).fill(0x61);
  // Lines of 2^19 bytes end where a batch does. The last 9 MiB are one line.
  for (let at = 2 ** 19 - 1; at < 3 * 2 ** 20; at += 2 ** 19) bytes[at] = 0x0a;
  const lines = cut(bytes, [3 * 2 ** 19, 2 ** 22], 0x0a);
  assertEquals(
    lines.map((each) => each.length),
    [...Array(6).fill(2 ** 19), 9 * 2 ** 20],
  );
});

Deno.test("LineSplitter refuses a line that is too long by its number, complete or not", () => {
  for (const isWhole of [false, true]) {
    const splitter = new LineSplitter();
    let left = MAX_PAYLOAD_BYTES + 1;
    splitter.room().set([0x61, 0x0a]);
    assertEquals([...splitter.push(2)].length, 1);
    const error = assertThrows(() => {
      for (;;) {
        const room = splitter.room().fill(0x61);
        const length = Math.min(room.length, left);
        left -= length;
        if (left === 0 && isWhole) room[length - 1] = 0x0a;
        for (const _ of splitter.push(length)) throw new Error("a line");
      }
    }, LineTooLongError) as Error;
    assertMatch(error.message, /^Line 2 has /);
    assertEquals(left, 0);
  }
});
