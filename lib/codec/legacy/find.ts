import { checkInteger } from "../../base/mod.ts";
import { checked, native } from "../../native/mod.ts";

const MAX_INT32 = 0x7fff_ffff;

/** What {@linkcode findMessage} found. */
export interface FoundMessage {
  /** Where the first valid message starts in the bytes; `undefined` if there is none. */
  position: number | undefined;
  /**
   * The first message before that position which may be valid but ends behind the bytes, so that
   * only more of them can tell: where it starts, and its length.
   */
  beyond: { position: number; length: number } | undefined;
}

/**
 * Searches damaged bytes for a message: the position of the first one at or behind `start`, at any
 * byte, whose offset lies in [`minOffset`, `maxOffset`], whose reserved field is 0, whose lengths
 * are within the format's, that lies wholly inside the bytes and whose checksum is right. One valid
 * message in 10^13 is passed over: one whose checksum has 6 or more bytes of 0, as sparse data has
 * them everywhere.
 *
 * It looks at some GB/s of random bytes or zeros. Bytes made to look like headers of long messages
 * cost a hash of each such length, so bound the bytes where they are somebody else's.
 *
 * @throws {RangeError} If `start` lies behind the bytes, an offset is no integer from 0 to
 * `Number.MAX_SAFE_INTEGER`, `minOffset` is above `maxOffset`, or there are 2^31 bytes or more.
 */
export function findMessage(
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  minOffset: number,
  maxOffset: number,
): FoundMessage {
  if (bytes.length > MAX_INT32) {
    throw new RangeError(
      `Cannot find message as 'bytes' must have at most ${MAX_INT32} bytes: received ${bytes.length}`,
    );
  }
  checkInteger("find message", "start", start, 0, bytes.length);
  checkInteger("find message", "maxOffset", maxOffset);
  checkInteger("find message", "minOffset", minOffset, 0, maxOffset);
  const { length } = bytes;
  const out = new Uint32Array(2);
  const status = native().basalt_legacy_find(
    bytes,
    length,
    start,
    minOffset,
    maxOffset,
    out,
  );
  const found = checked(status, "basalt_legacy_find");
  // No message can start at the end: the end stands for no message.
  return {
    position: found === length ? undefined : found,
    beyond: out[1] === 0 ? undefined : { position: out[0]!, length: out[1]! },
  };
}
