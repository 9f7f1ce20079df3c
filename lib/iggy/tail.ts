import { isZero, type Task } from "../base/mod.ts";
import { BATCH_HEADER_BYTES, findBatch } from "../codec/mod.ts";
import { findMessage } from "../codec/legacy/mod.ts";
import type { FileWindow } from "./file_window.ts";

/** Finds a valid batch or message among bytes. */
export type Find = typeof findBatch | typeof findMessage;
export { findBatch, findMessage };

/** No batch or message that a server or a log writes is longer. */
const MAX_LENGTH = 64 * 1024 * 1024 + 1024 * 1024;

/** Whether a file has nothing but zeros from the start of its window. Consumes the window. */
export function* hasOnlyZeros(window: FileWindow): Task<boolean> {
  for (;;) {
    const { bytes, start, end } = window;
    if (!isZero(bytes.subarray(start, end))) return false;
    window.consumeTo(window.end);
    if (window.isEnd) return true;
    yield* window.fill();
  }
}

/** Whether a file has anything valid from the start of its window. Consumes the window. */
export function* hasValid(window: FileWindow, find: Find): Task<boolean> {
  let from = 0;
  for (;;) {
    const bytes = window.bytes.subarray(window.start);
    const found = find(bytes, from, 0, Number.MAX_SAFE_INTEGER);
    if (found.position !== undefined) return true;
    const { beyond } = found;
    if (beyond !== undefined) {
      const end = window.position + beyond.position + beyond.length;
      const isUndecided = beyond.position + beyond.length > bytes.length;
      const canBeThere = end <= window.size && beyond.length <= MAX_LENGTH;
      if (!isUndecided || !canBeThere) {
        from = beyond.position + 1;
        continue;
      }
      window.consumeTo(window.start + beyond.position);
      from = 0;
      yield* window.fill(beyond.length);
      continue;
    }
    if (window.isEnd) return false;
    // A header may begin within the last bytes.
    const kept = Math.min(bytes.length, BATCH_HEADER_BYTES - 1);
    window.consumeTo(window.end - kept);
    from = 0;
    yield* window.fill();
  }
}
