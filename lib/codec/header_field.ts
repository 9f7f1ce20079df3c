/**
 * A typed value of at most 255 bytes: a key or a value of a user header. Integers of 64 bits and
 * more are `bigint`, all other numbers `number`.
 */
export type HeaderField =
  | { readonly kind: "raw"; readonly value: Uint8Array }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "bool"; readonly value: boolean }
  | {
    readonly kind:
      | "int8"
      | "int16"
      | "int32"
      | "uint8"
      | "uint16"
      | "uint32"
      | "float32"
      | "float64";
    readonly value: number;
  }
  | {
    readonly kind: "int64" | "int128" | "uint64" | "uint128";
    readonly value: bigint;
  };

/** The name of a field's type. */
export type HeaderKind = HeaderField["kind"];

/** The longest field, in bytes; the shortest has one. */
const MAX_FIELD_BYTES = 255;

/** Bytes of a field's kind and length, which are before it. */
export const FIELD_HEAD_BYTES = 5;

/** What follows `get` and `set` in the names of a number's accessors in `DataView`. */
type NumberType =
  | "Int8"
  | "Int16"
  | "Int32"
  | "BigInt64"
  | "Uint8"
  | "Uint16"
  | "Uint32"
  | "BigUint64"
  | "Float32"
  | "Float64";

/**
 * The kinds by number, from 1; the bytes of those that have a fixed size; the accessors of numbers,
 * which 128 bits do not have.
 */
const KINDS: readonly (readonly [HeaderKind, size?: number, NumberType?])[] = [
  ["raw"],
  ["string"],
  ["bool", 1],
  ["int8", 1, "Int8"],
  ["int16", 2, "Int16"],
  ["int32", 4, "Int32"],
  ["int64", 8, "BigInt64"],
  ["int128", 16],
  ["uint8", 1, "Uint8"],
  ["uint16", 2, "Uint16"],
  ["uint32", 4, "Uint32"],
  ["uint64", 8, "BigUint64"],
  ["uint128", 16],
  ["float32", 4, "Float32"],
  ["float64", 8, "Float64"],
];

const CODES: ReadonlyMap<HeaderKind, number> = new Map(
  KINDS.map(([kind], i) => [kind, i + 1]),
);

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** An encoded field. */
export interface EncodedField {
  /** The kind's number. */
  readonly code: number;
  /** 1 to 255 bytes. */
  readonly bytes: Uint8Array;
}

/**
 * Encodes a field.
 *
 * @param name What to call the field in an error.
 * @throws {TypeError} If the kind is unknown, or the value is not of the kind's type.
 * @throws {RangeError} If the value is out of the kind's range, or has no or more than 255 bytes.
 */
export function encodeField(field: HeaderField, name: string): EncodedField {
  const code = CODES.get(field.kind);
  if (code === undefined) {
    throw new TypeError(
      `Cannot encode ${name} as its kind must be one of ${
        KINDS.map(([kind]) => kind).join(", ")
      }: received ${quoted(field.kind)}`,
    );
  }
  const bytes = fieldBytes(field, name);
  if (bytes.length < 1 || bytes.length > MAX_FIELD_BYTES) {
    throw new RangeError(
      `Cannot encode ${name} as it must have 1 to ${MAX_FIELD_BYTES} bytes: received ${bytes.length}`,
    );
  }
  return { code, bytes };
}

function fieldBytes(field: HeaderField, name: string): Uint8Array {
  const { kind, value } = field;
  const refuse = (type: string): never => {
    throw new TypeError(
      `Cannot encode ${name} as a ${kind} must be ${type}: received ${
        quoted(value)
      }`,
    );
  };
  switch (kind) {
    case "raw":
      return value instanceof Uint8Array ? value : refuse("a Uint8Array");
    case "string":
      if (typeof value !== "string") refuse("a string");
      if (!value.isWellFormed()) {
        throw new TypeError(
          `Cannot encode ${name} as it must have no lone surrogates: received ${
            quoted(value)
          }`,
        );
      }
      return encoder.encode(value);
    case "bool":
      if (typeof value !== "boolean") refuse("a boolean");
      return Uint8Array.of(value ? 1 : 0);
    case "int64":
    case "int128":
    case "uint64":
    case "uint128":
      if (typeof value !== "bigint") refuse("a bigint");
      break;
    default:
      if (typeof value !== "number") refuse("a number");
  }
  return numberBytes(kind, value, name);
}

function numberBytes(
  kind: HeaderKind,
  value: number | bigint,
  name: string,
): Uint8Array {
  const [, size, type] = KINDS[CODES.get(kind)! - 1]!;
  const bytes = new Uint8Array(size!);
  const view = new DataView(bytes.buffer);
  if (type !== undefined) view[`set${type}`](0, value as never, true);
  else {
    view.setBigUint64(0, BigInt.asUintN(64, value as bigint), true);
    view.setBigUint64(8, BigInt.asUintN(64, value as bigint >> 64n), true);
  }
  const written = numberAt(view, 0, kind, type);
  if (
    kind === "float32" && Number.isFinite(value) && !Number.isFinite(written)
  ) {
    throw new RangeError(
      `Cannot encode ${name} as it is too large for float32: received ${value}`,
    );
  }
  // Integers are written modulo their size.
  if (!kind.startsWith("float") && written !== value) {
    const bits = 8n * BigInt(size!) - (kind.startsWith("int") ? 1n : 0n);
    const min = kind.startsWith("int") ? -(2n ** bits) : 0n;
    throw new RangeError(
      `Cannot encode ${name} as ${kind} must be an integer from ${min} to ${
        2n ** bits - 1n
      }: received ${value}`,
    );
  }
  return bytes;
}

function numberAt(
  view: DataView,
  at: number,
  kind: HeaderKind,
  type: NumberType | undefined,
): number | bigint {
  if (type !== undefined) return view[`get${type}`](at, true);
  const high = view.getBigUint64(at + 8, true);
  const low = view.getBigUint64(at, true);
  return (kind === "int128" ? BigInt.asIntN(64, high) : high) << 64n | low;
}

/** Shows a value in an error message: short, and strings in quotes. */
export function quoted(value: unknown): string {
  return Deno.inspect(value, { depth: 0, strAbbreviateSize: 60 });
}

/** A field and its encoding. */
export interface DecodedField extends EncodedField {
  /** The field, which shares no memory with its encoding. */
  readonly field: HeaderField;
}

/**
 * Decodes the key or the value whose head is at byte `at` of user headers.
 *
 * @throws {Deno.errors.InvalidData} If the encoding is invalid; the message says why.
 */
export function decodeField(
  view: DataView<ArrayBufferLike>,
  at: number,
  part: "key" | "value",
): DecodedField {
  const fail = (why: string) =>
    new Deno.errors.InvalidData(
      `Cannot decode ${part} at byte ${at} of user headers as ${why}`,
    );
  const start = at + FIELD_HEAD_BYTES;
  if (start > view.byteLength) {
    const found = view.byteLength - at;
    throw fail(
      `its kind and length take ${FIELD_HEAD_BYTES} bytes: found ${found}`,
    );
  }
  const length = view.getUint32(at + 1, true);
  if (length < 1 || length > MAX_FIELD_BYTES) {
    throw fail(`its length must be 1 to ${MAX_FIELD_BYTES}: found ${length}`);
  }
  const left = view.byteLength - start;
  if (length > left) {
    throw fail(`its length is ${length}: only ${left} bytes are left`);
  }
  const code = view.getUint8(at);
  const entry = KINDS[code - 1];
  if (entry === undefined) {
    throw fail(`its kind must be from 1 to ${KINDS.length}: found ${code}`);
  }
  const [kind, size, type] = entry;
  if (size !== undefined && length !== size) {
    throw fail(`a ${kind} must have ${size} bytes: found ${length}`);
  }
  const bytes = new Uint8Array(view.buffer, view.byteOffset + start, length);
  const decode = (): HeaderField["value"] => {
    switch (kind) {
      case "raw":
        return bytes.slice();
      case "string":
        try {
          return decoder.decode(bytes);
        } catch {
          throw fail("a string must be valid UTF-8");
        }
      case "bool":
        if (bytes[0]! <= 1) return bytes[0] === 1;
        throw fail(`a bool must be 0 or 1: found ${bytes[0]}`);
      default:
        return numberAt(view, start, kind, type);
    }
  };
  return { code, bytes, field: { kind, value: decode() } as HeaderField };
}
