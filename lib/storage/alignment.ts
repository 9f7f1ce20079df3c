/** The argument that a check is about, and what was to be done: the parts of its message. */
export interface Argument {
  /** What was to be done, such as `"read 'a.log'"`. */
  action: string;
  /** The argument's name. */
  name: string;
}

/**
 * Checks a position or length: an integer of at least `min`, at most 2^53 - 1.
 *
 * @throws {TypeError} If it is not a number.
 * @throws {RangeError} If it is out of its range.
 */
export function checkInteger(
  argument: Argument,
  value: number,
  min: number = 0,
  max: number = Number.MAX_SAFE_INTEGER,
): void {
  if (typeof value !== "number") {
    throw new TypeError(
      `${wrong(argument)} must be a number: received ${shown(value)}`,
    );
  }
  if (Number.isInteger(value) && value >= min && value <= max) return;
  const range = max === Number.MAX_SAFE_INTEGER
    ? `of at least ${min}, at most 2^53 - 1`
    : `from ${min} to ${max}`;
  throw new RangeError(
    `${wrong(argument)} must be an integer ${range}: received ${value}`,
  );
}

/**
 * Checks that a value is a multiple of what the file asks for.
 *
 * @param max The greatest value that would be possible: no advice goes above it.
 * @throws {RangeError} Naming the nearest multiples from `min` to `max`.
 */
export function checkAligned(
  argument: Argument,
  value: number,
  alignment: number,
  min: number = 0,
  max: number = Number.MAX_SAFE_INTEGER,
): void {
  if (value % alignment === 0) return;
  throw new RangeError(
    `${
      wrong(argument)
    } must be a multiple of ${alignment}: received ${value}, ${
      nearest(value, alignment, min, max)
    }`,
  );
}

/** The nearest multiples on both sides of a value, in words. */
export function nearest(
  value: number,
  alignment: number,
  min: number,
  max: number,
): string {
  const below = value - value % alignment;
  const near = [below, below + alignment]
    .filter((each) => each >= min && each <= max);
  if (near.length === 0) {
    return `and none lies between ${min} and ${max}`;
  }
  return `nearest ${near.length === 1 ? "is" : "are"} ${near.join(" and ")}`;
}

/** The greatest multiple of `alignment` that is not above a value. */
export function alignDown(value: number, alignment: number): number {
  return value - value % alignment;
}

/** The smallest multiple of `alignment` that is not below a value. */
export function alignUp(value: number, alignment: number): number {
  const rest = value % alignment;
  return rest === 0 ? value : value + (alignment - rest);
}

function wrong({ action, name }: Argument): string {
  return `Cannot ${action} as '${name}'`;
}

function shown(value: unknown): string {
  if (value === null) return "null";
  return typeof value === "bigint" ? `${value}n` : typeof value;
}
