import { payload } from "../_support.ts";

/**
 * Returns the payload of the message with an offset, the same in every process: usually short, and
 * sometimes larger than a block.
 */
export function processPayload(offset: number): Uint8Array<ArrayBuffer> {
  const length = offset % 97 === 0 ? 50_000 : (offset * 997) % 3000;
  return payload(offset, length);
}
