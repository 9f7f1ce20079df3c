/**
 * Checks that a value is an integer of a range.
 *
 * @param action What was to be done, such as `"read 'a.log'"`.
 * @param name The name of the argument.
 * @throws {TypeError} If it is not a number.
 * @throws {RangeError} If it is out of its range.
 */
export function checkInteger(
  action: string,
  name: string,
  value: number,
  min: number = 0,
  max: number = Number.MAX_SAFE_INTEGER,
): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  const wrong = `Cannot ${action} as '${name}' must be`;
  if (typeof value !== "number") {
    throw new TypeError(`${wrong} a number: received ${typeName(value)}`);
  }
  const range = max === Number.MAX_SAFE_INTEGER
    ? `of at least ${min}, at most 2^53 - 1`
    : `from ${min} to ${max}`;
  throw new RangeError(`${wrong} an integer ${range}: received ${value}`);
}

/**
 * Checks that a value is one of several strings.
 *
 * @throws {TypeError} If it is not.
 */
export function checkChoice(
  action: string,
  name: string,
  value: unknown,
  choices: readonly string[],
): void {
  if (typeof value === "string" && choices.includes(value)) return;
  const quoted = choices.map((each) => `"${each}"`);
  const right = `${quoted.slice(0, -1).join(", ")} or ${quoted.at(-1)}`;
  throw new TypeError(
    `Cannot ${action} as '${name}' must be ${right}: received ${shown(value)}`,
  );
}

/** Shows a string in quotes, and anything else by its type. */
export function shown(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value) : typeName(value);
}

function typeName(value: unknown): string {
  if (value === null) return "null";
  return typeof value === "bigint" ? `${value}n` : typeof value;
}
