import { checkInteger } from "./checks.ts";
import { hold } from "./hold.ts";
import { type Loan, makeLoan } from "./loan.ts";
import type { BufferPool } from "./pool.ts";
import type { Anchor } from "./region.ts";

/** Makes the first holder of frozen memory: internal to the pool. */
export let makeFrozenBuffer: (
  pool: BufferPool,
  anchor: Anchor,
  start: number,
  length: number,
) => FrozenBuffer;

/** Lends a range of a frozen buffer for reading: internal to the pool. */
export let lendFrozenBuffer: (
  buffer: FrozenBuffer,
  start: number,
  length: number | undefined,
) => Loan;

/**
 * Shared memory that is no longer written: made by `PooledBuffer.freeze()`. Slices are holders of the same bytes, without a copy; when the last holder
 * is dropped, the block goes back to the pool and every view of it becomes empty.
 *
 * JavaScript has no read-only views: writing through `bytes` is misuse that spoils the bytes for the other holders.
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
  #anchor: Anchor | null;
  /** The first byte, counted from the region's. */
  readonly #start: number;
  readonly #length: number;
  #bytes: Uint8Array<ArrayBuffer> | null = null;
  #lost = false;

  static {
    makeFrozenBuffer = (pool, anchor, start, length) =>
      new FrozenBuffer(pool, anchor, start, length);
    lendFrozenBuffer = (buffer, start, length) => buffer.#lend(start, length);
  }

  private constructor(
    pool: BufferPool,
    anchor: Anchor,
    start: number,
    length: number,
  ) {
    this.pool = pool;
    this.#anchor = anchor;
    this.#start = start;
    this.#length = length;
  }

  /** Who has the memory: `"frozen"` until this holder is dropped. */
  get state(): "frozen" | "dropped" | "lost" {
    if (this.#anchor !== null) return "frozen";
    return this.#lost ? "lost" : "dropped";
  }

  /** Bytes. @throws {TypeError} If this holder was dropped. */
  get length(): number {
    if (this.#anchor === null) this.#refuse("read 'length' of");
    return this.#length;
  }

  /**
   * The bytes, not to be written.
   *
   * @throws {TypeError} If this holder was dropped, or someone detached the view: the memory is lost then.
   */
  get bytes(): Uint8Array<ArrayBuffer> {
    const anchor = this.#anchor;
    const bytes = this.#bytes;
    // A detached view has no length.
    if (anchor !== null && bytes !== null && bytes.length !== 0) return bytes;
    const { region } = this.#use("use");
    const buffer = region.open();
    region.exposed = true;
    return this.#bytes = new Uint8Array(buffer, this.#start, this.#length);
  }

  /**
   * Another holder of the bytes from `start` to `end`, without a copy.
   *
   * @throws {RangeError} If the range is not within `[0, length]`.
   * @throws {TypeError} If this holder was dropped.
   */
  slice(start = 0, end: number = this.length): FrozenBuffer {
    const anchor = this.#use("slice");
    checkInteger("slice buffer", "start", start, 0, this.#length);
    checkInteger("slice buffer", "end", end, start, this.#length);
    anchor.region.holders++;
    return new FrozenBuffer(
      this.pool,
      anchor,
      this.#start + start,
      end - start,
    );
  }

  /** Another holder of the same bytes. @throws {TypeError} If this holder was dropped. */
  retain(): FrozenBuffer {
    return this.slice();
  }

  /**
   * Keeps the memory until a promise settles, also if the last holder is dropped before.
   *
   * @returns A promise that settles as the given one.
   */
  hold<T>(promise: Promise<T>): Promise<T> {
    return hold(this.#use("hold"), promise);
  }

  /** Ends this holder; with the last one, and the last loan and promise, the memory goes back to the pool. Dropping again does nothing. */
  drop(): void {
    const anchor = this.#anchor;
    if (anchor === null) return;
    this.#anchor = this.#bytes = null;
    anchor.region.drop(anchor);
  }

  /** The same as {@linkcode FrozenBuffer.drop}. */
  [Symbol.dispose](): void {
    this.drop();
  }

  #lend(start: number, length: number | undefined): Loan {
    const anchor = this.#use("lend");
    if (anchor.region.block === null) {
      throw new TypeError(
        "Cannot lend buffer as it is plain memory: acquire it without 'aligned: false'",
      );
    }
    checkInteger("lend buffer", "start", start, 0, this.#length);
    const count = length ?? this.#length - start;
    checkInteger("lend buffer", "length", count, 0, this.#length - start);
    anchor.region.pins++;
    return makeLoan(anchor, this.#start + start, count, "read");
  }

  /** The anchor, unless this holder was dropped or someone detached the view. */
  #use(action: string): Anchor {
    const anchor = this.#anchor;
    if (anchor === null) this.#refuse(action);
    const { region } = anchor;
    if (region.anchor !== null || region.stolen) {
      this.#anchor = this.#bytes = null;
      this.#lost = true;
      region.lose(anchor);
      this.#refuse(action);
    }
    return anchor;
  }

  #refuse(action: string): never {
    throw new TypeError(
      `Cannot ${action} buffer: ${
        this.#lost
          ? "its view was detached by someone else (transfer or postMessage), and its memory is lost to the pool"
          : "the buffer was dropped"
      }`,
    );
  }
}
