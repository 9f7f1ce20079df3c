import { payload } from "../_support.ts";

/**
 * What the message with an offset holds, in every process: mostly short, now and then larger than a
 * block.
 */
export function processPayload(offset: number): Uint8Array<ArrayBuffer> {
  const length = offset % 97 === 0 ? 50_000 : (offset * 997) % 3000;
  return payload(offset, length);
}
