import { checkInteger } from "../base/mod.ts";

/** The largest `u32`: what positions and lengths in memory must not be above. */
export const MAX_UINT32 = 0xffff_ffff;

/** Checks that native code can take bytes, and that they have a position. */
export function checkBytes(
  action: string,
  name: string,
  bytes: Uint8Array,
  start: number = 0,
): void {
  checkInteger(action, name, bytes.length, 0, MAX_UINT32);
  checkInteger(action, "start", start, 0, bytes.length);
}
