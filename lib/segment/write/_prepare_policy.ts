/** Prepared blocks make a durable flush of at most this many bytes faster, but not a larger one. */
const SMALL_FLUSH_BYTES = 64 * 1024;
/** Nothing is prepared before this many small durable flushes in a row. */
const LEAST_FLUSHES = 4;
/** The smallest window. */
const LEAST_WINDOW_BYTES = 64 * 1024;
/** A window is at most this share of the bytes that small durable flushes have written. */
const WINDOW_SHARE = 1 / 8;
/** The largest window of a log that is written now and then. */
const SLOW_WINDOW_BYTES = 1024 * 1024;
/** A log whose last window lasted longer than this, in microseconds, is written now and then. */
const SLOW_MICROS = 10_000_000;

/**
 * Decides how far ahead of the data a log's file is allocated and zeroed.
 *
 * A durable write into existing blocks needs no commit of the filesystem's journal. That pays for
 * small writes only, and the zeros are written in addition to the data. So the window follows need:
 * - nothing before a few small durable flushes in a row,
 * - then an eighth of the bytes that they have written, at least 64 KiB,
 * - at most 1 MiB for a log that is written now and then,
 * - nothing after a large flush.
 *
 * So zeros that were written in vain are at most an eighth of the data.
 */
export class PreparePolicy {
  readonly #maxBytes: number;
  /** Small durable flushes since the last large flush, and their bytes. */
  #smallFlushes = 0;
  #smallBytes = 0;
  #windowBytes = 0;
  /** When the window was prepared, in microseconds; `undefined` before the first. */
  #preparedAt: number | undefined;

  /** @param maxBytes The largest window; 0 for none. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Notes a flush. */
  flushed(bytes: number, isDurable: boolean): void {
    if (bytes > SMALL_FLUSH_BYTES) {
      this.#smallFlushes = this.#smallBytes = this.#windowBytes = 0;
      this.#preparedAt = undefined;
    } else if (isDurable && bytes > 0) {
      this.#smallFlushes++;
      this.#smallBytes += bytes;
    }
  }

  /** Whether to prepare a window when `leftBytes` of the last one are left. */
  wants(leftBytes: number): boolean {
    return this.#maxBytes > 0 && this.#smallFlushes >= LEAST_FLUSHES &&
      leftBytes <= this.#windowBytes / 4;
  }

  /** Returns the length of the next window, in bytes. */
  next(nowMicros: number): number {
    const before = this.#preparedAt;
    const isSlow = before !== undefined && nowMicros - before > SLOW_MICROS;
    this.#preparedAt = nowMicros;
    const wanted = Math.max(
      LEAST_WINDOW_BYTES,
      this.#smallBytes * WINDOW_SHARE,
    );
    const most = isSlow ? SLOW_WINDOW_BYTES : this.#maxBytes;
    return this.#windowBytes = Math.min(wanted, most, this.#maxBytes);
  }
}
