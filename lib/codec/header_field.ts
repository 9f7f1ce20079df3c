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
export const MAX_FIELD_BYTES = 255;

/** The kinds by number, and the bytes of those that have a fixed size. */
const KINDS: readonly (readonly [kind: HeaderKind, size?: number])[] = [
  ["raw"],
  ["string"],
  ["bool", 1],
  ["int8", 1],
  ["int16", 2],
  ["int32", 4],
  ["int64", 8],
  ["int128", 16],
  ["uint8", 1],
  ["uint16", 2],
  ["uint32", 4],
  ["uint64", 8],
  ["uint128", 16],
  ["float32", 4],
  ["float64", 8],
];

const CODES: ReadonlyMap<HeaderKind, number> = new Map(
  KINDS.map(([kind], i) => [kind, i + 1]),
);

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A field as the format has it. */
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
  switch (kind) {
    case "raw":
      if (!(value instanceof Uint8Array)) {
        throw wrongType(name, kind, "a Uint8Array", value);
      }
      return value;
    case "string":
      if (typeof value !== "string") {
        throw wrongType(name, kind, "a string", value);
      }
      if (!value.isWellFormed()) {
        throw new TypeError(
          `Cannot encode ${name} as it must have no lone surrogates: received ${
            quoted(value)
          }`,
        );
      }
      return encoder.encode(value);
    case "bool":
      if (typeof value !== "boolean") {
        throw wrongType(name, kind, "a boolean", value);
      }
      return Uint8Array.of(value ? 1 : 0);
    case "float32":
    case "float64":
      return floatBytes(kind, value, name);
    default:
      return integerBytes(kind, value, name);
  }
}

function floatBytes(
  kind: "float32" | "float64",
  value: number,
  name: string,
): Uint8Array {
  if (typeof value !== "number") {
    throw wrongType(name, kind, "a number", value);
  }
  if (kind === "float64") {
    return bytesOf(8, (view) => view.setFloat64(0, value, true));
  }
  if (Number.isFinite(value) && !Number.isFinite(Math.fround(value))) {
    throw new RangeError(
      `Cannot encode ${name} as it is too large for float32: received ${value}`,
    );
  }
  return bytesOf(4, (view) => view.setFloat32(0, value, true));
}

function integerBytes(
  kind: HeaderKind,
  value: number | bigint,
  name: string,
): Uint8Array {
  const size = KINDS[CODES.get(kind)! - 1]![1]!;
  const signed = kind.startsWith("int");
  if (size < 8) {
    if (typeof value !== "number") {
      throw wrongType(name, kind, "a number", value);
    }
    const min = signed ? -(2 ** (8 * size - 1)) : 0;
    const max = 2 ** (8 * size - (signed ? 1 : 0)) - 1;
    if (!Number.isInteger(value) || value < min || value > max) {
      throw outOfRange(name, kind, min, max, value);
    }
    // Setters take the value modulo their size, so the unsigned ones do for both.
    return bytesOf(size, (view) => {
      if (size === 1) view.setUint8(0, value);
      else if (size === 2) view.setUint16(0, value, true);
      else view.setUint32(0, value, true);
    });
  }
  if (typeof value !== "bigint") {
    throw wrongType(name, kind, "a bigint", value);
  }
  const bits = 8 * size;
  if ((signed ? BigInt.asIntN : BigInt.asUintN)(bits, value) !== value) {
    const min = signed ? -(2n ** BigInt(bits - 1)) : 0n;
    const max = 2n ** BigInt(bits - (signed ? 1 : 0)) - 1n;
    throw outOfRange(name, kind, min, max, value);
  }
  return bytesOf(size, (view) => {
    view.setBigUint64(0, BigInt.asUintN(64, value), true);
    if (size === 16) {
      view.setBigUint64(8, BigInt.asUintN(64, value >> 64n), true);
    }
  });
}

function bytesOf(size: number, write: (view: DataView) => void): Uint8Array {
  const bytes = new Uint8Array(size);
  write(new DataView(bytes.buffer));
  return bytes;
}

function wrongType(
  name: string,
  kind: HeaderKind,
  type: string,
  value: unknown,
): TypeError {
  return new TypeError(
    `Cannot encode ${name} as a ${kind} must be ${type}: received ${
      quoted(value)
    }`,
  );
}

function outOfRange(
  name: string,
  kind: HeaderKind,
  min: number | bigint,
  max: number | bigint,
  value: number | bigint,
): RangeError {
  return new RangeError(
    `Cannot encode ${name} as ${kind} must be an integer from ${min} to ${max}: received ${value}`,
  );
}

/** A value for an error message, short and with its quotes. */
export function quoted(value: unknown): string {
  return Deno.inspect(value, { depth: 0, strAbbreviateSize: 60 });
}

/**
 * What is wrong with an encoded field; `undefined` if nothing is.
 */
export function fieldFault(
  code: number,
  bytes: Uint8Array,
): string | undefined {
  const entry = KINDS[code - 1];
  if (entry === undefined) {
    return `its kind must be from 1 to ${KINDS.length}: found ${code}`;
  }
  const [kind, size] = entry;
  if (size !== undefined && bytes.length !== size) {
    return `a ${kind} must have ${size} bytes: found ${bytes.length}`;
  }
  if (kind === "bool" && bytes[0]! > 1) {
    return `a bool must be 0 or 1: found ${bytes[0]}`;
  }
  if (kind === "string" && utf8(bytes) === undefined) {
    return "a string must be valid UTF-8";
  }
  return undefined;
}

function utf8(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/**
 * Decodes a field in which {@linkcode fieldFault} found nothing wrong. The result shares no memory
 * with `bytes`.
 */
export function decodeField(code: number, bytes: Uint8Array): HeaderField {
  const [kind, size] = KINDS[code - 1]!;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (kind) {
    case "raw":
      return { kind, value: new Uint8Array(bytes) };
    case "string":
      return { kind, value: decoder.decode(bytes) };
    case "bool":
      return { kind, value: bytes[0] === 1 };
    case "float32":
      return { kind, value: view.getFloat32(0, true) };
    case "float64":
      return { kind, value: view.getFloat64(0, true) };
    case "int8":
      return { kind, value: view.getInt8(0) };
    case "int16":
      return { kind, value: view.getInt16(0, true) };
    case "int32":
      return { kind, value: view.getInt32(0, true) };
    case "uint8":
      return { kind, value: view.getUint8(0) };
    case "uint16":
      return { kind, value: view.getUint16(0, true) };
    case "uint32":
      return { kind, value: view.getUint32(0, true) };
    case "int64":
    case "int128":
      return {
        kind,
        value: BigInt.asIntN(8 * size!, unsigned(view, size!)),
      };
    case "uint64":
    case "uint128":
      return { kind, value: unsigned(view, size!) };
  }
}

function unsigned(view: DataView, size: number): bigint {
  const low = view.getBigUint64(0, true);
  return size === 8 ? low : view.getBigUint64(8, true) << 64n | low;
}
