import { checkInteger } from "../base/mod.ts";
import type { LeaseToken } from "./_lease.ts";
import { LEND, Loan } from "./loan.ts";
import type { BufferPool } from "./pool.ts";

/**
 * Shares memory that is no longer written. Made by `PooledBuffer.freeze()`.
 *
 * Slices are holders of the same bytes, without a copy. When the last holder is dropped, the block
 * goes back to the pool and every view of it becomes empty.
 *
 * JavaScript has no read-only views: writing through `bytes` or `view` is misuse that spoils the
 * bytes for the other holders.
 *
 * @example Two holders
 * ```ts
 * import { BufferPool } from "@basalt/io";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = new BufferPool();
 * const buffer = pool.acquireSync(0);
 * buffer.append("hello, world");
 * const frozen = buffer.freeze();
 * const world = frozen.slice(7);
 * frozen.drop();
 * assertEquals(new TextDecoder().decode(world.bytes), "world");
 * world.drop();
 * assertEquals(pool.stats().inUseBytes, 0);
 * ```
 */
export class FrozenBuffer implements Disposable {
  /** The pool that the memory belongs to. */
  readonly pool: BufferPool;
  /** `null` once this holder is dropped. */
  #token: LeaseToken | null;
  /** The first byte, counted from the lease's. */
  readonly #start: number;
  readonly #length: number;
  #bytes: Uint8Array<ArrayBuffer> | null = null;
  #view: DataView<ArrayBuffer> | null = null;
  #isLost = false;

  /** @ignore Takes over a holder of a lease. */
  constructor(
    pool: BufferPool,
    token: LeaseToken,
    start: number,
    length: number,
  ) {
    this.pool = pool;
    this.#token = token;
    this.#start = start;
    this.#length = length;
  }

  /** The owner of the memory: `"frozen"` until this holder is dropped. */
  get state(): "frozen" | "dropped" | "lost" {
    if (this.#token !== null) return "frozen";
    return this.#isLost ? "lost" : "dropped";
  }

  /**
   * The length in bytes.
   * @throws {TypeError} If this holder was dropped.
   */
  get length(): number {
    if (this.#token === null) this.#refuse("read 'length' of");
    return this.#length;
  }

  /**
   * The bytes, not to be written.
   *
   * @throws {TypeError} If this holder was dropped, or if a view was detached, which loses the
   *   memory.
   */
  get bytes(): Uint8Array<ArrayBuffer> {
    const token = this.#token;
    const bytes = this.#bytes;
    // A detached view has no length.
    if (token !== null && bytes !== null && bytes.length !== 0) return bytes;
    const buffer = this.#use("use").lease.expose();
    return this.#bytes = new Uint8Array(buffer, this.#start, this.#length);
  }

  /**
   * The same bytes as a `DataView`, for numbers.
   *
   * @throws {TypeError} If this holder was dropped, or if a view was detached, which loses the
   *   memory.
   */
  get view(): DataView<ArrayBuffer> {
    const { buffer, byteOffset, length } = this.bytes;
    if (this.#view !== null && length !== 0) return this.#view;
    return this.#view = new DataView(buffer, byteOffset, length);
  }

  /**
   * Makes another holder of the bytes from `start` to `end`, without a copy.
   *
   * @throws {RangeError} If the range is not within `[0, length]`.
   * @throws {TypeError} If this holder was dropped.
   */
  slice(start = 0, end: number = this.length): FrozenBuffer {
    const token = this.#use("slice");
    checkInteger("slice buffer", "start", start, 0, this.#length);
    checkInteger("slice buffer", "end", end, start, this.#length);
    token.lease.holders++;
    return new FrozenBuffer(this.pool, token, this.#start + start, end - start);
  }

  /**
   * Makes another holder of the same bytes.
   * @throws {TypeError} If this holder was dropped.
   */
  retain(): FrozenBuffer {
    return this.slice();
  }

  /**
   * Keeps the memory until a promise settles, even if the last holder is dropped before.
   *
   * @returns A promise that settles as the given one.
   */
  hold<T>(promise: Promise<T>): Promise<T> {
    const token = this.#use("hold");
    return token.lease.hold(token, promise);
  }

  /**
   * Ends this holder; with the last one, and the last loan and promise, the memory goes back to the
   * pool. Dropping again does nothing.
   */
  drop(): void {
    const token = this.#token;
    if (token === null) return;
    this.#token = this.#bytes = this.#view = null;
    token.lease.drop(token);
  }

  /** Does what {@linkcode FrozenBuffer.drop} does. */
  [Symbol.dispose](): void {
    this.drop();
  }

  /** @ignore Lends a range, for reading only. */
  [LEND](
    start: number,
    length: number | undefined,
    access: "read" | "write" = "read",
  ): Loan {
    if (access === "write") {
      throw new TypeError(
        "Cannot lend buffer to be written to: the buffer is frozen",
      );
    }
    const token = this.#use("lend");
    checkInteger("lend buffer", "start", start, 0, this.#length);
    const count = length ?? this.#length - start;
    checkInteger("lend buffer", "length", count, 0, this.#length - start);
    return new Loan(token, this.#start + start, count, access);
  }

  /** Returns the token; throws if this holder was dropped, or the view was detached. */
  #use(action: string): LeaseToken {
    const token = this.#token;
    if (token === null) this.#refuse(action);
    const { lease } = token;
    if (lease.state !== "frozen" || lease.isStolen) {
      this.#token = this.#bytes = this.#view = null;
      this.#isLost = true;
      lease.end(token);
      this.#refuse(action);
    }
    return token;
  }

  #refuse(action: string): never {
    throw new TypeError(
      `Cannot ${action} buffer: ${
        this.#isLost
          ? "its view was detached by someone else (transfer or postMessage), and its memory is lost to the pool"
          : "the buffer was dropped"
      }`,
    );
  }
}
