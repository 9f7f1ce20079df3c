const FIRST_BYTES = 4096;
/** No more than this is kept when a queue ends. */
const MAX_SPARE_BYTES = 8 * 1024 * 1024;
/** Memory of a queue that ended, for the next segment's: each grows to megabytes, and new memory is cleared first. */
let spare: Uint8Array<ArrayBuffer> | undefined;

/**
 * Index entries in the order of their messages, in memory that is used again: stamping writes them at the end, the index takes them from the front
 * when their messages are in the log.
 */
export class EntryQueue {
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(FIRST_BYTES);
  #start = 0;
  #end = 0;

  /** `bytes` more at the end, for the caller to fill at once. */
  extend(bytes: number): Uint8Array<ArrayBuffer> {
    if (this.#end + bytes > this.#bytes.length) this.#makeRoom(bytes);
    const start = this.#end;
    this.#end += bytes;
    return this.#bytes.subarray(start, this.#end);
  }

  /** Moves `bytes` from the front to `target`. */
  take(bytes: number, target: Uint8Array, at: number): void {
    const end = this.#start + bytes;
    target.set(this.#bytes.subarray(this.#start, end), at);
    this.#start = end;
    if (end === this.#end) this.#start = this.#end = 0;
  }

  /** Gives the memory up; the queue is empty then. */
  release(): void {
    const { length } = this.#bytes;
    if (length <= MAX_SPARE_BYTES && length > (spare?.length ?? FIRST_BYTES)) {
      spare = this.#bytes;
    }
    this.#bytes = new Uint8Array(0);
    this.#start = this.#end = 0;
  }

  #makeRoom(bytes: number): void {
    const length = this.#end - this.#start;
    // Moved only if half of it is free then: else every few entries would move all others.
    if (2 * (length + bytes) <= this.#bytes.length) {
      this.#bytes.copyWithin(0, this.#start, this.#end);
    } else {
      const grown = allocate(
        Math.max(2 * this.#bytes.length, 2 * (length + bytes)),
      );
      grown.set(this.#bytes.subarray(this.#start, this.#end));
      this.#bytes = grown;
    }
    this.#start = 0;
    this.#end = length;
  }
}

/** At least so many bytes, of any content. */
function allocate(bytes: number): Uint8Array<ArrayBuffer> {
  const kept = spare;
  if (kept === undefined || kept.length < bytes) return new Uint8Array(bytes);
  spare = undefined;
  return kept;
}
