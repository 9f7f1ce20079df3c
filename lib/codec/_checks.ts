/** The largest `u32`: what positions and lengths in memory must not be above. */
export const MAX_UINT32 = 0xffff_ffff;

/** Whether a value is an integer from 0 to `max`. */
export function isIntegerTo(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= max;
}
