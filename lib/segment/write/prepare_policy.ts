/** A durable flush of at most this many bytes is faster into prepared blocks; a larger one is as fast without them. */
const SMALL_FLUSH_BYTES = 64 * 1024;
/** So many small durable flushes in a row are needed before anything is prepared. */
const LEAST_FLUSHES = 4;
/** The first window. */
const FIRST_WINDOW_BYTES = 64 * 1024;
/** The largest window of a log that is written now and then. */
const SLOW_WINDOW_BYTES = 1024 * 1024;
/** A window that lasted less than this, in microseconds, is followed by a larger one. */
const FAST_MICROS = 10_000_000;

/**
 * Decides how far ahead of the data a log's file is allocated and zeroed.
 *
 * A durable write into blocks that are there needs no commit of the filesystem's journal. That pays for small
 * writes only, and the zeros are written in addition to the data. So the window follows need: nothing before
 * a few small durable flushes came in a row; then 64 KiB, and twice as much each time that a window was used
 * up within 10 s; never more than 1 MiB for a log that is written now and then; nothing after a large flush.
 */
export class PreparePolicy {
  readonly #maxBytes: number;
  #smallFlushes = 0;
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
      this.#smallFlushes = this.#windowBytes = 0;
      this.#preparedAt = undefined;
    } else if (isDurable && bytes > 0) this.#smallFlushes++;
  }

  /** Whether a window should be prepared, with `leftBytes` left of the last one. */
  wants(leftBytes: number): boolean {
    return this.#maxBytes > 0 && this.#smallFlushes >= LEAST_FLUSHES &&
      leftBytes <= this.#windowBytes / 4;
  }

  /** Returns how long the window is that is prepared now, in bytes. */
  next(nowMicros: number): number {
    const before = this.#preparedAt;
    const wasFast = before !== undefined && nowMicros - before < FAST_MICROS;
    this.#preparedAt = nowMicros;
    const grown = before === undefined
      ? FIRST_WINDOW_BYTES
      : wasFast
      ? 2 * this.#windowBytes
      : Math.min(this.#windowBytes, SLOW_WINDOW_BYTES);
    return this.#windowBytes = Math.min(grown, this.#maxBytes);
  }
}
