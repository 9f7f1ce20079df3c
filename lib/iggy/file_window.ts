import { type Task, together } from "../base/mod.ts";
import { acquire, type BufferPool, type PooledBuffer } from "../pool/mod.ts";
import type { TaskFile } from "../storage/mod.ts";
import { type Place, withFile } from "./files.ts";

/** Bytes that are read at a time. */
export const BLOCK_BYTES: number = 4 * 1024 * 1024;
/** Room for what the block before left over; it grows as needed. */
const CARRY_BYTES = 2 * 1024 * 1024;
/** Lengths and places are multiples of this, or of what the file asks for. */
const PAGE_BYTES = 4096;

/**
 * Reads a file once, from its beginning: a window over its bytes, whose consumed front gives way to
 * the next block.
 *
 * ```
 * buffer   |        | carried | block                 |
 *                   start     #carryBytes             end
 * ```
 *
 * What is carried over is moved in front of the room for the next block, so that the block is read
 * to an aligned place.
 */
export class FileWindow implements Disposable {
  /** Where the bytes that are there begin in `bytes`. */
  start = 0;
  /** Where they end. */
  end = 0;
  readonly #file: TaskFile | undefined;
  readonly #pool: BufferPool;
  readonly #size: number;
  readonly #blockBytes: number;
  readonly #unit: number;
  #buffer: PooledBuffer | undefined;
  #carryBytes: number;
  /** Where the next block begins in the file. */
  #next = 0;

  /** Reads an open file, which the caller closes, up to `size`; or nothing. */
  constructor(
    file: TaskFile | undefined,
    pool: BufferPool,
    size: number,
    blockBytes: number = BLOCK_BYTES,
  ) {
    this.#file = file;
    this.#pool = pool;
    this.#size = size;
    this.#blockBytes = blockBytes;
    this.#carryBytes = Math.min(CARRY_BYTES, blockBytes);
    const unit = file?.capabilities.readOffsetAlignment ?? 0;
    this.#unit = Math.max(PAGE_BYTES, unit);
  }

  /** The memory: only `[start, end)` counts, and only until the next `fill`. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#buffer?.bytes.subarray(0, this.end) ?? new Uint8Array(0);
  }

  /** Position of `start` in the file. */
  get position(): number {
    return Math.min(this.#next, this.#size) - (this.end - this.start);
  }

  /** Whether the window reaches the end of the file. */
  get isEnd(): boolean {
    return this.#next >= this.#size;
  }

  /** Size of the file, in bytes. */
  get size(): number {
    return this.#size;
  }

  /** Moves the front of the window to an index in `bytes`. */
  consumeTo(index: number): void {
    this.start = index;
  }

  /**
   * Reads the next block, or more so that the window has `needed` bytes, while another task runs.
   *
   * @throws {Deno.errors.Busy} If the file has become shorter.
   */
  *fill(needed: number = 0, meanwhile?: Task<void>): Task<void> {
    const tasks = [this.#read(needed)];
    if (meanwhile !== undefined) tasks.push(meanwhile);
    for (const outcome of yield* together(tasks)) {
      if (outcome.status === "rejected") throw outcome.reason;
    }
  }

  *#read(needed: number): Task<void> {
    const carried = this.end - this.start;
    const left = this.#size - this.#next;
    const wanted = Math.max(this.#blockBytes, needed - carried);
    const length = Math.min(this.#roundUp(wanted), left);
    const file = this.#file;
    if (length <= 0 || file === undefined) return;
    yield* this.#makeRoom(carried, this.#roundUp(length));
    const range = { start: this.#carryBytes, length: this.#roundUp(length) };
    const read = yield* file.read(this.#buffer!, this.#next, range);
    if (read < length) {
      throw new Deno.errors.Busy(
        `Cannot read '${file.path}': it became shorter than ${this.#size} bytes meanwhile`,
      );
    }
    this.end = this.#carryBytes + length;
    this.#next += this.#roundUp(length);
  }

  /** Moves what is carried in front of the room for a block, in a larger buffer if need be. */
  *#makeRoom(carried: number, blockBytes: number): Task<void> {
    const carry = Math.max(this.#carryBytes, this.#roundUp(carried));
    const before = this.#buffer;
    const fits = before !== undefined && carry === this.#carryBytes &&
      carry + blockBytes <= before.bytes.length;
    if (fits) {
      const to = carry - carried;
      before.bytes.copyWithin(to, this.start, this.end);
    } else {
      const block = Math.max(blockBytes, this.#firstBlock());
      const buffer = yield* acquire(this.#pool, carry + block);
      if (carried > 0) {
        const from = before!.bytes.subarray(this.start, this.end);
        buffer.bytes.set(from, carry - carried);
      }
      before?.[Symbol.dispose]();
      this.#buffer = buffer;
    }
    this.#carryBytes = carry;
    this.start = carry - carried;
    this.end = carry;
  }

  #firstBlock(): number {
    return Math.min(this.#blockBytes, this.#roundUp(this.#size));
  }

  /** Gives the memory back. */
  [Symbol.dispose](): void {
    this.#buffer?.[Symbol.dispose]();
    this.#buffer = undefined;
    this.start = this.end = 0;
  }

  #roundUp(length: number): number {
    return Math.ceil(length / this.#unit) * this.#unit;
  }
}

/** Opens a file and a window over it; an empty one without a path. */
export function* withWindow<T>(
  place: Place,
  path: string | undefined,
  blockBytes: number | undefined,
  use: (window: FileWindow) => Task<T>,
): Task<T> {
  if (path === undefined) {
    using window = new FileWindow(undefined, place.pool, 0);
    return yield* use(window);
  }
  return yield* withFile(place, path, {}, function* (file): Task<T> {
    const size = yield* file.size();
    using window = new FileWindow(file, place.pool, size, blockBytes);
    return yield* use(window);
  });
}
