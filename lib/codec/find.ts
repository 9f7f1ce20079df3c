import { checkInteger } from "../base/mod.ts";
import { checked, native } from "../native/mod.ts";
import { MAX_UINT32 } from "./_checks.ts";

/** What {@linkcode findBatch} found. */
export interface FoundBatch {
  /** Where the first valid batch starts in the bytes; `undefined` if none was found. */
  position: number | undefined;
  /**
   * The first candidate before that position which these bytes do not decide: where it starts, and
   * its length. It ends after the bytes, and all of it that is there is plausible; or it ends
   * within them, and the search gave up, see {@linkcode findBatch}.
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
): FoundBatch {
  const task = "find batch";
  checkInteger(task, "bytes.length", bytes.length, 0, MAX_UINT32);
  checkInteger(task, "start", start, 0, bytes.length);
  checkInteger(task, "maxOffset", maxOffset);
  checkInteger(task, "minOffset", minOffset, 0, maxOffset);
  const status = native().basalt_find(
    bytes,
    bytes.length,
    start,
    minOffset,
    maxOffset,
    out,
  );
  checked(status, "basalt_find");
  const [position, beyond, length] = out as unknown as [number, number, number];
  return {
    position: position < 0 ? undefined : position,
    beyond: beyond < 0 ? undefined : { position: beyond, length },
  };
}
