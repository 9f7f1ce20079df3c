import { assertEquals, assertThrows } from "@std/assert";
import { formatUuid, parseUuid } from "../../lib/codec/mod.ts";

Deno.test("parseUuid() and formatUuid() are inverse to each other", () => {
  for (let i = 0; i < 100; i++) {
    const text = crypto.randomUUID();
    const bytes = parseUuid(text);
    assertEquals(bytes.length, 16);
    assertEquals(formatUuid(bytes), text);
    assertEquals(parseUuid(text.toUpperCase()), bytes);
    assertEquals(formatUuid(Uint8Array.of(9, ...bytes, 9), 1), text);
  }
});

Deno.test("parseUuid() keeps the order of bytes in the text", () => {
  assertEquals(
    parseUuid("00112233-4455-4677-8899-aabbccddeeff").toHex(),
    "00112233445546778899aabbccddeeff",
  );
});

Deno.test("parseUuid() refuses anything else, and quotes it", () => {
  const good = "00112233-4455-4677-8899-aabbccddeeff";
  for (
    const bad of [
      "",
      good.slice(1),
      `${good}0`,
      ` ${good}`,
      `${good}\n`,
      good.replace("a", "g"),
      good.replaceAll("-", ""),
      `{${good}}`,
    ]
  ) {
    assertThrows(() => parseUuid(bad), SyntaxError, JSON.stringify(bad));
  }
});

Deno.test("formatUuid() refuses to read outside the bytes", () => {
  for (const start of [-1, 1, NaN]) {
    assertThrows(() => formatUuid(new Uint8Array(16), start), RangeError);
  }
});
