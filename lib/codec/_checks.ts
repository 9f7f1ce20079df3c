/** The largest `u32`: what positions and lengths in memory must not be above. */
export const MAX_UINT32 = 0xffff_ffff;

/** Whether a value is an integer from 0 to `max`. */
export function isIntegerTo(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= max;
}

/**
 * Checks an argument.
 *
 * @param task What cannot be done otherwise, as in "scan batches".
 * @throws {RangeError} If the value is no integer from 0 to `max`.
 */
export function check(
  task: string,
  name: string,
  value: number,
  max: number,
): void {
  if (!isIntegerTo(value, max)) {
    throw new RangeError(
      `Cannot ${task} as '${name}' must be an integer from 0 to ${max}: received ${value}`,
    );
  }
}
