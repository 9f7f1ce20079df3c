import { MAX_USER_HEADERS_BYTES } from "./header.ts";
import {
  decodeField,
  type EncodedField,
  encodeField,
  FIELD_HEAD_BYTES,
  type HeaderField,
  type HeaderKind,
  quoted,
} from "./header_field.ts";

/** A typed key with a typed value. */
export interface UserHeader {
  /** The key; most programs use strings. */
  readonly key: HeaderField;
  /** The value. */
  readonly value: HeaderField;
}

/**
 * User headers as a list, or as an object whose keys have the kind `"string"`. Of its values, a
 * string becomes a `"string"`, a number a `"float64"`, a boolean a `"bool"`, a bigint an `"int64"`
 * and a `Uint8Array` a `"raw"`; a {@linkcode HeaderField} is used as it is.
 */
export type UserHeadersInit =
  | readonly UserHeader[]
  | Readonly<
    Record<
      string,
      string | number | boolean | bigint | Uint8Array | HeaderField
    >
  >;

/** The kinds of an object's values, by the types of the values. */
const KINDS_BY_TYPE: Readonly<Record<string, HeaderKind>> = {
  string: "string",
  number: "float64",
  boolean: "bool",
  bigint: "int64",
};

/**
 * Encodes user headers, sorted by the kind and then the bytes of the key. If a key occurs twice,
 * its last value counts.
 *
 * @returns The bytes; empty without headers.
 * @throws {TypeError} If a kind is unknown, or a value is not of its kind's type; the message names
 *   the header.
 * @throws {RangeError} If a value is out of the range of its kind, a key or value has 0 or more
 *   than 255 bytes, or the encoding exceeds 100 000 bytes.
 *
 * @example Usage
 * ```ts
 * import { decodeUserHeaders, encodeUserHeaders } from "@basalt/io";
 * import { assertEquals } from "@std/assert";
 *
 * const bytes = encodeUserHeaders({ source: "sensor-7", attempt: { kind: "uint8", value: 2 } });
 * assertEquals(decodeUserHeaders(bytes), [
 *   { key: { kind: "string", value: "attempt" }, value: { kind: "uint8", value: 2 } },
 *   { key: { kind: "string", value: "source" }, value: { kind: "string", value: "sensor-7" } },
 * ]);
 * ```
 */
export function encodeUserHeaders(
  headers: UserHeadersInit,
): Uint8Array<ArrayBuffer> {
  const entries: { key: EncodedField; value: EncodedField }[] = [];
  const add = (key: HeaderField, value: HeaderField, name: string) =>
    entries.push({
      key: encodeField(key, `key of user header ${name}`),
      value: encodeField(value, `value of user header ${name}`),
    });
  if (typeof headers !== "object" || headers === null) {
    throw new TypeError(
      `Cannot encode user headers as they must be an object or an array: received ${
        headers === null ? "null" : typeof headers
      }`,
    );
  }
  if (Array.isArray(headers)) {
    (headers as readonly UserHeader[]).forEach((header, i) =>
      add(header.key, header.value, String(i))
    );
  } else {
    for (const [key, value] of Object.entries(headers)) {
      const name = quoted(key);
      add({ kind: "string", value: key }, asField(value, name), name);
    }
  }
  // Sorting is stable, so of equal keys the last one given comes last.
  entries.sort((a, b) => compare(a.key, b.key));
  const kept = entries.filter(({ key }, i) =>
    i === entries.length - 1 || compare(key, entries[i + 1]!.key) !== 0
  );
  const length = kept.reduce(
    (sum, { key, value }) =>
      sum + 2 * FIELD_HEAD_BYTES + key.bytes.length + value.bytes.length,
    0,
  );
  if (length > MAX_USER_HEADERS_BYTES) {
    throw new RangeError(
      `Cannot encode user headers as they must have at most ${MAX_USER_HEADERS_BYTES} bytes: these ${kept.length} have ${length}`,
    );
  }
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const { key, value } of kept) {
    for (const field of [key, value]) {
      bytes[at] = field.code;
      view.setUint32(at + 1, field.bytes.length, true);
      bytes.set(field.bytes, at + FIELD_HEAD_BYTES);
      at += FIELD_HEAD_BYTES + field.bytes.length;
    }
  }
  return bytes;
}

function asField(value: unknown, name: string): HeaderField {
  const kind = KINDS_BY_TYPE[typeof value];
  if (kind !== undefined) return { kind, value } as HeaderField;
  if (value instanceof Uint8Array) return { kind: "raw", value };
  if (typeof value === "object" && value !== null && "kind" in value) {
    return value as HeaderField;
  }
  throw new TypeError(
    `Cannot encode value of user header ${name} as it must be a string, number, boolean, bigint, Uint8Array or an object with 'kind' and 'value': received ${
      quoted(value)
    }`,
  );
}

/** Compares keys by kind, then by bytes; a prefix comes first. */
function compare(a: EncodedField, b: EncodedField): number {
  if (a.code !== b.code) return a.code - b.code;
  const length = Math.min(a.bytes.length, b.bytes.length);
  for (let i = 0; i < length; i++) {
    const difference = a.bytes[i]! - b.bytes[i]!;
    if (difference !== 0) return difference;
  }
  return a.bytes.length - b.bytes.length;
}

/**
 * Decodes user headers, in the order of the bytes. If a key occurs twice, its last value takes the
 * first position. The result shares no memory with the bytes.
 *
 * @throws {Deno.errors.InvalidData} If the encoding is invalid; the message says where and why.
 *
 * @example Usage
 * ```ts
 * import { decodeUserHeaders, encodeUserHeaders } from "@basalt/io";
 * import { assertEquals } from "@std/assert";
 *
 * const [header] = decodeUserHeaders(encodeUserHeaders({ source: "sensor-7" }));
 * assertEquals(header?.value, { kind: "string", value: "sensor-7" });
 * ```
 */
export function decodeUserHeaders(bytes: Uint8Array): UserHeader[] {
  if (bytes.length > MAX_USER_HEADERS_BYTES) {
    throw new Deno.errors.InvalidData(
      `Cannot decode user headers as they must have at most ${MAX_USER_HEADERS_BYTES} bytes: found ${bytes.length}`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const keys: EncodedField[] = [];
  const headers: UserHeader[] = [];
  for (let at = 0; at < bytes.length;) {
    const key = decodeField(view, at, "key");
    at += FIELD_HEAD_BYTES + key.bytes.length;
    const value = decodeField(view, at, "value");
    at += FIELD_HEAD_BYTES + value.bytes.length;
    keys.push(key);
    headers.push({ key: key.field, value: value.field });
  }
  // Encoders sort the keys: then there are no duplicates.
  const isSorted = keys.every((key, i) =>
    i === 0 || compare(keys[i - 1]!, key) < 0
  );
  if (isSorted) return headers;
  const names = keys.map(({ code, bytes }) => `${code} ${bytes.toHex()}`);
  return [...new Map(headers.map((each, i) => [names[i], each])).values()];
}
