import type { Task } from "../base/mod.ts";
import { BATCH_HEADER_BYTES, BatchScan } from "../codec/mod.ts";
import type { FileWindow } from "./file_window.ts";

/** No batch is longer: the longest that a pool has memory for. */
export const MAX_READ_BYTES: number = 256 * 1024 * 1024;

/** Reads the valid batches of a segment, window by window, and stops at the first other bytes. */
export class BatchReader {
  /** What lies in the window; the results of its last run. */
  readonly scan: BatchScan = new BatchScan(4096);
  /** The bytes. */
  readonly window: FileWindow;
  /** Offset of the next message. */
  nextOffset: number;
  /** Append time of the last batch. */
  lastTimestamp: number;
  #needed = 0;

  /** Begins at the first batch of a segment. */
  constructor(window: FileWindow, firstOffset: number, minTimestamp: number) {
    this.window = window;
    this.nextOffset = firstOffset;
    this.lastTimestamp = minTimestamp;
  }

  /**
   * Goes on to the next valid batches, which lie in the window from `window.start` to `scan.end`.
   * The caller consumes them.
   *
   * @param meanwhile Runs while the first block is read.
   * @returns Whether there are any. If not, `scan.stop` says why, at the start of the window.
   */
  *next(meanwhile?: Task<void>): Task<boolean> {
    const { window, scan } = this;
    let other = meanwhile;
    for (;;) {
      yield* window.fill(this.#needed, other);
      other = undefined;
      scan.run(window.bytes, window.start, this.nextOffset, this.lastTimestamp);
      this.#needed = this.#neededBytes();
      if (scan.count > 0) {
        this.nextOffset = scan.nextOffset;
        this.lastTimestamp = scan.lastTimestamp;
        return true;
      }
      if (window.isEnd || this.#needed === 0) return false;
    }
  }

  /** Returns how many bytes after the last valid batch would decide more; 0 if none would. */
  #neededBytes(): number {
    const { window, scan } = this;
    const rest = window.end - scan.end;
    if (scan.stop === "partial") {
      const position = window.position + scan.end - window.start;
      const isThere = position + scan.neededBytes <= window.size;
      return isThere && scan.neededBytes <= MAX_READ_BYTES
        ? scan.neededBytes
        : 0;
    }
    // Zeros at the end of a window may be the beginning of a header.
    const isOpen = scan.stop === "end" ||
      scan.stop === "zeros" && rest < BATCH_HEADER_BYTES;
    return isOpen ? BATCH_HEADER_BYTES : 0;
  }
}
