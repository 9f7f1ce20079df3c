import { checked, native } from "../native/mod.ts";

/** Returns where the last byte that is not 0 ends; 0 if there is none. */
export function nonzeroEnd(bytes: Uint8Array<ArrayBuffer>): number {
  const end = native().basalt_nonzero_end(bytes, bytes.length);
  return checked(end, "basalt_nonzero_end");
}
