import { type Found, search } from "../find.ts";

/**
 * Searches damaged bytes for the first valid message at or after `start`, at any byte, whose offset
 * lies in [`minOffset`, `maxOffset`].
 *
 * A valid message has a reserved field of 0 and plausible lengths, lies wholly within the bytes,
 * and has the right checksum. One valid message in 10^13 is passed over: one whose checksum has 6
 * or more bytes of 0, as many places in sparse data seem to have.
 *
 * It searches several GB/s of random bytes or zeros. Bytes made to look like headers of long
 * messages cost a hash of each such length, so the caller bounds the bytes of strangers.
 *
 * @throws {RangeError} If `start` lies after the bytes, an offset is no integer from 0 to
 * `Number.MAX_SAFE_INTEGER`, `minOffset` is above `maxOffset`, or there are 2^32 bytes or more.
 */
export function findMessage(
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  minOffset: number,
  maxOffset: number,
): Found {
  return search("basalt_legacy_find", bytes, start, minOffset, maxOffset);
}
