import { checkInteger } from "../base/mod.ts";
import { checked, native } from "../native/mod.ts";
import { checkBytes } from "./_checks.ts";

/** Result of a search. */
export interface Found {
  /** Where the first valid batch or message starts in the bytes; `undefined` if none was found. */
  position: number | undefined;
  /**
   * Where the first candidate before that position starts which these bytes do not decide, and its
   * length. It ends after the bytes, and all of it that is there is plausible. Or, of batches only,
   * it ends within them, and the search gave up: see {@linkcode findBatch}.
   */
  beyond: { position: number; length: number } | undefined;
}

const out = new Float64Array(3);

/**
 * Searches damaged bytes for the first valid batch at or after `start`, at any byte, whose base
 * offset lies in [`minOffset`, `maxOffset`].
 *
 * It searches several GB/s of random bytes or zeros. Bytes made to hold many batches that overlap
 * and fail at their last payload would cost the square of their number. So the search gives up
 * after hashing 32 times as many bytes as there are: it has not looked at what follows the last
 * candidate, which is `beyond` unless there was one before it. Searching again from the position
 * after `beyond` goes on.
 *
 * @throws {RangeError} If `start` lies after the bytes, an offset is no integer from 0 to
 * `Number.MAX_SAFE_INTEGER`, `minOffset` is above `maxOffset`, or there are 2^32 bytes or more.
 */
export function findBatch(
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  minOffset: number,
  maxOffset: number,
): Found {
  return search("basalt_find", bytes, start, minOffset, maxOffset);
}

/** Searches for a batch, or for a message with a header of its own. */
export function search(
  symbol: "basalt_find" | "basalt_legacy_find",
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  minOffset: number,
  maxOffset: number,
): Found {
  const task = "search bytes";
  checkBytes(task, "bytes.length", bytes, start);
  checkInteger(task, "maxOffset", maxOffset);
  checkInteger(task, "minOffset", minOffset, 0, maxOffset);
  const { length } = bytes;
  const find = native()[symbol];
  checked(find(bytes, length, start, minOffset, maxOffset, out), symbol);
  const [position, beyond, beyondLength] = out as unknown as [
    number,
    number,
    number,
  ];
  return {
    position: position < 0 ? undefined : position,
    beyond: beyond < 0 ? undefined : { position: beyond, length: beyondLength },
  };
}

/** Returns where the last byte that is not 0 ends; 0 if there is none. */
export function nonzeroEnd(bytes: Uint8Array<ArrayBuffer>): number {
  const end = native().basalt_nonzero_end(bytes, bytes.length);
  return checked(end, "basalt_nonzero_end");
}
