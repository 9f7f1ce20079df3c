/** The longest delay of a timer in milliseconds, some 24 days. A longer one would end at once. */
const MAX_DELAY_MS = 2 ** 31 - 1;

/**
 * Checks how long to wait, in milliseconds or parts of one.
 *
 * @throws {TypeError} If it is not a number.
 * @throws {RangeError} If it is not from 0 to 2^31 - 1.
 */
export function checkDelay(durationMs: number, name = "durationMs"): void {
  if (typeof durationMs !== "number") {
    throw new TypeError(
      `Cannot wait as '${name}' must be a number: received ${typeof durationMs}`,
    );
  }
  if (durationMs >= 0 && durationMs <= MAX_DELAY_MS) return;
  throw new RangeError(
    `Cannot wait as '${name}' must be from 0 to ${MAX_DELAY_MS}: received ${durationMs}`,
  );
}
