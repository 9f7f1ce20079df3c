import { MAX_LENGTH } from "./size_class.ts";

/** Quotes a value for a message. */
export function shown(value: unknown): string {
  return typeof value === "string" ? `'${value}'` : String(value);
}

/** Throws a `RangeError` unless `value` is an integer of the range. */
export function checkInteger(
  action: string,
  name: string,
  value: number,
  min: number,
  max: number,
): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw new RangeError(
    `Cannot ${action} as '${name}' must be an integer from ${min} to ${max}: received ${
      shown(value)
    }`,
  );
}

/** Throws a `RangeError` unless a block can have that many bytes. */
export function checkLength(action: string, length: number): void {
  checkInteger(action, "length", length, 0, MAX_LENGTH);
}
