import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  decodeUserHeaders,
  encodeUserHeaders,
  type HeaderField,
  type UserHeader,
} from "../../lib/codec/mod.ts";

/** Each kind with the limits of its range, and the bytes of the format. */
const FIELDS: readonly [field: HeaderField, code: number, hex: string][] = [
  [{ kind: "raw", value: Uint8Array.of(0, 255) }, 1, "00ff"],
  [{ kind: "string", value: "é€😀" }, 2, "c3a9e282acf09f9880"],
  [{ kind: "string", value: "\ufeff" }, 2, "efbbbf"],
  [{ kind: "bool", value: false }, 3, "00"],
  [{ kind: "bool", value: true }, 3, "01"],
  [{ kind: "int8", value: -128 }, 4, "80"],
  [{ kind: "int8", value: 127 }, 4, "7f"],
  [{ kind: "int16", value: -32768 }, 5, "0080"],
  [{ kind: "int16", value: 32767 }, 5, "ff7f"],
  [{ kind: "int32", value: -(2 ** 31) }, 6, "00000080"],
  [{ kind: "int32", value: 2 ** 31 - 1 }, 6, "ffffff7f"],
  [{ kind: "int64", value: -(2n ** 63n) }, 7, "0000000000000080"],
  [{ kind: "int64", value: 2n ** 63n - 1n }, 7, "ffffffffffffff7f"],
  [{ kind: "int128", value: -(2n ** 127n) }, 8, "00".repeat(15) + "80"],
  [{ kind: "int128", value: 2n ** 127n - 1n }, 8, "ff".repeat(15) + "7f"],
  [{ kind: "int128", value: -2n }, 8, "fe" + "ff".repeat(15)],
  [{ kind: "uint8", value: 255 }, 9, "ff"],
  [{ kind: "uint16", value: 65534 }, 10, "feff"],
  [{ kind: "uint32", value: 2 ** 32 - 2 }, 11, "feffffff"],
  [{ kind: "uint64", value: 2n ** 64n - 2n }, 12, "fe" + "ff".repeat(7)],
  [{ kind: "uint128", value: 2n ** 128n - 2n }, 13, "fe" + "ff".repeat(15)],
  [
    { kind: "uint128", value: 1n << 64n },
    13,
    "0000000000000000" + "0100000000000000",
  ],
  [{ kind: "float32", value: 1.5 }, 14, "0000c03f"],
  [{ kind: "float32", value: -Infinity }, 14, "000080ff"],
  [{ kind: "float64", value: -0.1 }, 15, "9a9999999999b9bf"],
  [{ kind: "float64", value: -0 }, 15, "0000000000000080"],
];

const KEY: HeaderField = { kind: "string", value: "k" };

Deno.test("encodeUserHeaders() encodes every kind, as key and as value, and decodeUserHeaders() decodes it", () => {
  assertEquals(new Set(FIELDS.map(([, code]) => code)).size, 15);
  for (const [field, code, hex] of FIELDS) {
    const encoded = [code, hex.length / 2, 0, 0, 0].map((byte) =>
      byte.toString(16).padStart(2, "0")
    ).join("") + hex;
    const asValue = encodeUserHeaders([{ key: KEY, value: field }]);
    assertEquals(asValue.toHex(), "02010000006b" + encoded);
    const [header] = decodeUserHeaders(asValue);
    assertEquals(header, { key: KEY, value: field });
    assert(Object.is(header!.value.value, field.value) || field.kind === "raw");
    const asKey = encodeUserHeaders([{ key: field, value: KEY }]);
    assertEquals(asKey.toHex(), encoded + "02010000006b");
    assertEquals(decodeUserHeaders(asKey), [{ key: field, value: KEY }]);
  }
});

const anyField: fc.Arbitrary<HeaderField> = fc.constantFrom(...FIELDS).map(
  ([field]) => field,
);

Deno.test("encodeUserHeaders() sorts by kind and bytes of the key; of a duplicate key the last value counts", () => {
  fc.assert(fc.property(
    fc.array(fc.record({ key: anyField, value: anyField }), { maxLength: 30 }),
    (headers) => {
      const keyOf = (key: HeaderField) => {
        const [, code, hex] = FIELDS.find(([field]) => field === key)!;
        return String(code).padStart(2, "0") + hex;
      };
      const naive = new Map(
        headers.map((header) => [keyOf(header.key), header]),
      );
      const expected = [...naive].sort(([a], [b]) => a < b ? -1 : 1)
        .map(([, header]) => header);
      const bytes = encodeUserHeaders(headers);
      assertEquals(decodeUserHeaders(bytes), expected);
      assertEquals(encodeUserHeaders(expected), bytes);
    },
  ));
});

Deno.test("encodeUserHeaders() takes an object, with each type of value as its documented kind", () => {
  const bytes = encodeUserHeaders({
    f: { kind: "uint8", value: 7 },
    e: Uint8Array.of(1),
    d: 5n,
    c: true,
    b: 1,
    a: "text",
  });
  const value = (kind: string) =>
    decodeUserHeaders(bytes).find(({ key }) => key.value === kind)!.value;
  assertEquals(value("a"), { kind: "string", value: "text" });
  assertEquals(value("b"), { kind: "float64", value: 1 });
  assertEquals(value("c"), { kind: "bool", value: true });
  assertEquals(value("d"), { kind: "int64", value: 5n });
  assertEquals(value("e"), { kind: "raw", value: Uint8Array.of(1) });
  assertEquals(value("f"), { kind: "uint8", value: 7 });
  assertEquals(
    decodeUserHeaders(bytes).map(({ key }) => key.value),
    ["a", "b", "c", "d", "e", "f"],
  );
  assertEquals(encodeUserHeaders({}).length, 0);
  assertEquals(encodeUserHeaders([]).length, 0);
});

Deno.test("encodeUserHeaders() refuses what a kind cannot hold, and names the header", () => {
  // deno-lint-ignore no-explicit-any -- wrong types are the point
  const cases: [value: any, type: typeof Error, named: string][] = [
    [{ kind: "int8", value: 128 }, RangeError, "from -128 to 127"],
    [{ kind: "int8", value: -129 }, RangeError, "received -129"],
    [{ kind: "uint8", value: -1 }, RangeError, "from 0 to 255"],
    [{ kind: "uint16", value: 65536 }, RangeError, "from 0 to 65535"],
    [{ kind: "int32", value: 0.5 }, RangeError, "received 0.5"],
    [{ kind: "uint32", value: NaN }, RangeError, "received NaN"],
    [{ kind: "uint32", value: 1n }, TypeError, "must be a number: received 1n"],
    [{ kind: "int64", value: 1 }, TypeError, "must be a bigint: received 1"],
    [{ kind: "int64", value: 2n ** 63n }, RangeError, "int64"],
    [{ kind: "uint64", value: -1n }, RangeError, "from 0 to 1844"],
    [{ kind: "uint64", value: 2n ** 64n }, RangeError, "uint64"],
    [{ kind: "int128", value: -(2n ** 127n) - 1n }, RangeError, "int128"],
    [{ kind: "uint128", value: 2n ** 128n }, RangeError, "uint128"],
    [{ kind: "float32", value: 1e39 }, RangeError, "too large for float32"],
    [{ kind: "float64", value: "1" }, TypeError, 'received "1"'],
    [{ kind: "bool", value: 1 }, TypeError, "must be a boolean"],
    [{ kind: "string", value: 1 }, TypeError, "must be a string"],
    [{ kind: "string", value: "" }, RangeError, "1 to 255 bytes: received 0"],
    [{ kind: "string", value: "é".repeat(128) }, RangeError, "received 256"],
    [{ kind: "string", value: "\ud800" }, TypeError, "lone surrogates"],
    [{ kind: "raw", value: new Uint8Array(0) }, RangeError, "received 0"],
    [{ kind: "raw", value: new Uint8Array(256) }, RangeError, "received 256"],
    [{ kind: "raw", value: [1] }, TypeError, "must be a Uint8Array"],
    [{ kind: "int7", value: 1 }, TypeError, 'received "int7"'],
    [null, TypeError, "received null"],
    [undefined, TypeError, "received undefined"],
    [[1], TypeError, "received"],
    [2n ** 63n, RangeError, "int64"],
  ];
  for (const [value, type, named] of cases) {
    const error = assertThrows(
      () => encodeUserHeaders({ name: value }),
      type,
      'value of user header "name"',
    );
    assert((error as Error).message.includes(named), (error as Error).message);
  }
  assertThrows(
    () => encodeUserHeaders({ "": 1 }),
    RangeError,
    'key of user header ""',
  );
  assertThrows(
    () =>
      encodeUserHeaders([
        { key: KEY, value: KEY },
        { key: { kind: "uint8", value: 256 }, value: KEY },
      ]),
    RangeError,
    "key of user header 1",
  );
});

Deno.test("encodeUserHeaders() holds 100 000 bytes, and not one more", () => {
  const header = (i: number, length: number): UserHeader => ({
    key: { kind: "uint32", value: i },
    value: { kind: "raw", value: new Uint8Array(length) },
  });
  // 371 headers of 269 bytes are 99 799, and one of 201 fills the rest.
  const headers = Array.from({ length: 371 }, (_, i) => header(i, 255));
  const full = encodeUserHeaders([...headers, header(999, 187)]);
  assertEquals(full.length, 100_000);
  assertEquals(decodeUserHeaders(full).length, 372);
  assertThrows(
    () => encodeUserHeaders([...headers, header(999, 188)]),
    RangeError,
    "at most 100000 bytes: these 372 have 100001",
  );
  assertThrows(
    () => decodeUserHeaders(new Uint8Array(100_001)),
    Deno.errors.InvalidData,
    "found 100001",
  );
});

Deno.test("decodeUserHeaders() keeps the order of the bytes, and the last value of a duplicate key", () => {
  const entry = (key: string, value: number) =>
    encodeUserHeaders({ [key]: { kind: "uint8", value } }).toHex();
  const bytes = Uint8Array.fromHex(
    entry("b", 1) + entry("a", 2) + entry("b", 3) + entry("c", 4),
  );
  assertEquals(
    decodeUserHeaders(bytes).map(({ key, value }) => [key.value, value.value]),
    [["b", 3], ["a", 2], ["c", 4]],
  );
});

Deno.test("decodeUserHeaders() gives values that stay valid without the bytes", () => {
  const bytes = encodeUserHeaders({ k: Uint8Array.of(1, 2) });
  const headers = decodeUserHeaders(bytes);
  bytes.fill(0);
  assertEquals(headers[0]!.value.value, Uint8Array.of(1, 2));
});

Deno.test("decodeUserHeaders() refuses every bad encoding, with position and reason", () => {
  const cases: [hex: string, named: string][] = [
    ["00", "key at byte 0 of user headers as its kind and length take 5 bytes"],
    ["0201000000", "key at byte 0 of user headers as its length is 1: only 0"],
    ["0200000000", "its length must be 1 to 255: found 0"],
    ["0200010000", "its length must be 1 to 255: found 256"],
    ["02000000ff", "found 4278190080"],
    ["000100000001", "its kind must be from 1 to 15: found 0"],
    ["100100000001", "its kind must be from 1 to 15: found 16"],
    ["0201000000ff", "a string must be valid UTF-8"],
    ["02010000006b", "value at byte 6 of user headers as its kind and length"],
    ["02010000006b0b0300000000", "only 1 bytes are left"],
    [
      "02010000006b0b03000000000000",
      "value at byte 6 of user headers as a uint32 must have 4 bytes: found 3",
    ],
    ["02010000006b030100000002", "a bool must be 0 or 1: found 2"],
    ["02010000006b0401000000ff02", "key at byte 12"],
  ];
  for (const [hex, named] of cases) {
    const bytes = Uint8Array.fromHex(hex);
    assertThrows(
      () => decodeUserHeaders(bytes),
      Deno.errors.InvalidData,
      named,
    );
  }
});

Deno.test("decodeUserHeaders() refuses every wrong size of a fixed kind", () => {
  for (const [field, code, hex] of FIELDS) {
    if (field.kind === "raw" || field.kind === "string") continue;
    for (let size = 1; size < 20; size++) {
      const bytes = Uint8Array.of(2, 1, 0, 0, 0, 65, code, size, 0, 0, 0);
      const whole = new Uint8Array(bytes.length + size);
      whole.set(bytes);
      const good = size === hex.length / 2;
      if (good) decodeUserHeaders(whole);
      else {assertThrows(() =>
          decodeUserHeaders(whole), Deno.errors.InvalidData);}
    }
  }
});

Deno.test("decodeUserHeaders() of any bytes returns or throws InvalidData", () => {
  const good = encodeUserHeaders({ a: "text", b: 1, c: true, d: 2n });
  for (let at = 0; at < good.length; at++) {
    for (let value = 0; value < 256; value++) {
      const bytes = good.slice();
      bytes[at] = value;
      decodes(bytes);
    }
  }
  for (let length = 0; length < good.length; length++) {
    decodes(good.slice(0, length));
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), decodes));
});

function decodes(bytes: Uint8Array): void {
  try {
    decodeUserHeaders(bytes);
  } catch (error) {
    assert(error instanceof Deno.errors.InvalidData);
  }
}
