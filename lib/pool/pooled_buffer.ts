import { checkInteger } from "../base/mod.ts";
import { FrozenBuffer } from "./frozen_buffer.ts";
import type { Lease, LeaseToken } from "./_lease.ts";
import { LEND, Loan } from "./loan.ts";
import type { BufferPool } from "./pool.ts";
import { BLOCK_ALIGNMENT, checkLength, MAX_LENGTH } from "./size_class.ts";

/**
 * The owner of the memory of a {@linkcode PooledBuffer}.
 *
 * - `"leased"`: the buffer's own.
 * - `"lent"`: an operation in flight.
 * - `"frozen"`: the `FrozenBuffer` that `freeze()` returned.
 * - `"dropped"`: the pool.
 * - `"lost"`: the code that detached a view; the pool never uses the block again.
 */
export type BufferState = "leased" | "lent" | "frozen" | "dropped" | "lost";

/** The method of a pool by which a buffer gets larger memory. */
export const GROW: unique symbol = Symbol("grow");

const encoder = new TextEncoder();

/**
 * Owns memory leased from a pool: a block, a part of one, or plain memory. Its one owner ends the
 * lease by `drop()` or `using`.
 *
 * `length` bytes are in use, of the `capacity` that the memory has. When the lease ends, every view
 * of the bytes becomes empty (length 0). Using the buffer after that is a `TypeError`, dropping it
 * again does nothing. The memory of a forgotten buffer returns when neither the buffer nor a view
 * of it can be reached, at a time that the garbage collector chooses.
 *
 * There is one exception. Bytes that are handed to an asynchronous function of the runtime must
 * stay leased until it settles: see {@linkcode PooledBuffer.hold}. A view must not be transferred
 * (`postMessage`, `structuredClone`, `ArrayBuffer.prototype.transfer`, byte streams). Its block is
 * then lost to the pool, which notices at the next use of the buffer, or when it is dropped or
 * collected. The pool cannot notice a transfer after the buffer was collected, nor one in a worker
 * that ends before it drops the buffer.
 *
 * @example A lease
 * ```ts
 * import { BufferPool } from "@basalt/io";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * using pool = new BufferPool();
 * const buffer = pool.acquireSync(100);
 * buffer.view.setUint32(0, 7, true);
 * const bytes = buffer.bytes;
 * assertEquals([buffer.length, buffer.capacity, bytes[0]], [100, 4096, 7]);
 *
 * buffer.drop();
 * assertEquals(bytes.length, 0);
 * assertThrows(() => buffer.bytes, TypeError, "was dropped");
 * ```
 */
export class PooledBuffer implements Disposable {
  /** The pool that the memory belongs to. */
  readonly pool: BufferPool;
  /** `null` when the lease is no longer this object's. */
  #token: LeaseToken | null;
  #length: number;
  /** The views that were handed out, while the memory is the same. */
  #bytes: Uint8Array<ArrayBuffer> | null = null;
  #view: DataView<ArrayBuffer> | null = null;
  /** How the lease ended. */
  #end: "frozen" | "dropped" | "lost" = "dropped";

  /** @ignore Takes a lease that has begun. */
  constructor(pool: BufferPool, token: LeaseToken, length: number) {
    this.pool = pool;
    this.#token = token;
    this.#length = length;
  }

  /** The owner of the memory. */
  get state(): BufferState {
    const token = this.#token;
    if (token === null) return this.#end;
    return token.lease.state === "lent" ? "lent" : "leased";
  }

  /**
   * Bytes in use; readable also while the buffer is lent.
   *
   * @throws {TypeError} If the lease has ended.
   */
  get length(): number {
    this.#own("read 'length' of");
    return this.#length;
  }

  /**
   * Bytes that the memory has, from the buffer's first: `length` can grow to it in place.
   *
   * @throws {TypeError} If the lease has ended.
   */
  get capacity(): number {
    return this.#own("read 'capacity' of").lease.capacity;
  }

  /**
   * Whether the memory lies beyond the pool's limit.
   *
   * @throws {TypeError} If the lease has ended.
   */
  get external(): boolean {
    return this.#own("read 'external' of").lease.block?.external ?? false;
  }

  /**
   * Whether the first byte's address is a multiple of 4096. Plain memory is never aligned, the
   * second half of a split only if it begins so.
   *
   * @throws {TypeError} If the lease has ended.
   */
  get aligned(): boolean {
    const { lease } = this.#own("read 'aligned' of");
    return lease.block !== null && lease.start % BLOCK_ALIGNMENT === 0;
  }

  /**
   * The bytes in use, `[0, length)`: the same view until the length changes or the memory moves.
   * They may be those of an earlier owner, unless zeros were requested.
   *
   * @throws {TypeError} If the lease has ended or the buffer is lent, or if a view was detached,
   *   which loses the memory.
   */
  get bytes(): Uint8Array<ArrayBuffer> {
    const lease = this.#use("use");
    const bytes = this.#bytes;
    // A detached view has no length.
    if (bytes !== null && bytes.length !== 0 && bytes.length === this.#length) {
      return bytes;
    }
    this.#keep(lease, "use");
    return this.#bytes = new Uint8Array(lease.expose(), 0, this.#length);
  }

  /**
   * The same bytes as a `DataView`, for numbers: the same view as long as `bytes` is.
   *
   * @throws {TypeError} If the lease has ended or the buffer is lent, or if a view was detached,
   *   which loses the memory.
   *
   * @example A number with its byte order
   * ```ts
   * import { BufferPool } from "@basalt/io";
   * import { assertEquals } from "@std/assert";
   *
   * using pool = new BufferPool();
   * using buffer = pool.acquireSync(16);
   * buffer.view.setBigUint64(8, 2n ** 53n, true);
   * assertEquals(buffer.view.getUint32(12, true), 2 ** 21);
   * ```
   */
  get view(): DataView<ArrayBuffer> {
    // Asking a detached `DataView` for its length throws: `bytes` finds out whether it is.
    const { buffer, length } = this.bytes;
    const view = this.#view;
    if (view !== null && length !== 0 && view.byteLength === length) {
      return view;
    }
    return this.#view = new DataView(buffer, 0, length);
  }

  /**
   * Adds bytes, or a string as UTF-8, after the last byte. The memory moves where there is no room
   * (see {@linkcode PooledBuffer.reserve}).
   *
   * @returns The position of the first byte that was added.
   * @throws {PoolLimitError} If the memory must move and the limit leaves no room; nothing was
   *   added then.
   *
   * @example From empty
   * ```ts
   * import { BufferPool } from "@basalt/io";
   * import { assertEquals } from "@std/assert";
   *
   * using pool = new BufferPool();
   * using buffer = pool.acquireSync(4096);
   * buffer.truncate(0);
   * assertEquals(buffer.append("naïve "), 0);
   * assertEquals(buffer.append(new Uint8Array([1, 2])), 7);
   * assertEquals(buffer.length, 9);
   * ```
   */
  append(bytes: Uint8Array | string): number {
    let lease = this.#checked("append to");
    const position = this.#length;
    let source = typeof bytes === "string" ? encoder.encode(bytes) : bytes;
    const count = source.length;
    // A view of this buffer is empty after the memory has moved.
    const moves = count > lease.capacity - position;
    if (moves && source.buffer === lease.buffer) source = source.slice();
    lease = this.#room(lease, count);
    new Uint8Array(lease.open(), position, count).set(source);
    this.#length = position + count;
    return position;
  }

  /**
   * Makes room for this many bytes more than `length`. Where the memory has no room, the bytes in
   * use are copied to a larger block and views become empty, which statistics count as resized. The
   * larger block is taken before requests that wait for memory, so that its owner can finish.
   *
   * @throws {PoolLimitError} If the memory must move and the limit leaves no room.
   * @throws {TypeError} If the buffer is lent, or held for a promise and must move.
   */
  reserve(additionalBytes: number): void {
    const lease = this.#checked("reserve room in");
    const most = MAX_LENGTH - this.#length;
    checkInteger("reserve room", "additionalBytes", additionalBytes, 0, most);
    this.#room(lease, additionalBytes);
  }

  /**
   * Makes the buffer shorter; its capacity stays.
   *
   * @throws {RangeError} If `length` is larger than it was.
   */
  truncate(length: number): void {
    this.#checked("truncate");
    checkInteger("truncate buffer", "length", length, 0, this.#length);
    this.#length = length;
  }

  /**
   * Makes the buffer shorter or longer; bytes that it gains are zeros. The memory moves where the
   * capacity does not suffice.
   *
   * @throws {PoolLimitError} If the memory must move and the limit leaves no room.
   */
  resize(length: number): void {
    let lease = this.#checked("resize");
    checkLength("resize buffer", length);
    const gained = length - this.#length;
    if (gained > 0) {
      lease = this.#room(lease, gained);
      new Uint8Array(lease.open(), this.#length, gained).fill(0);
    }
    this.#length = length;
  }

  /**
   * Divides the buffer without a copy: the result owns `[0, at)`, this buffer keeps the rest, with
   * positions from 0. Views become empty and each half makes its own. The block returns to the pool
   * when both are dropped. A forgotten half is found when the other has ended. Plain memory, less
   * than 4096 bytes, is copied.
   *
   * @throws {RangeError} If `at` is outside `[0, length]`.
   * @throws {TypeError} If the buffer is lent or held.
   *
   * @example Sharing a block
   * ```ts
   * import { BufferPool } from "@basalt/io";
   * import { assertEquals } from "@std/assert";
   *
   * using pool = new BufferPool();
   * using rest = pool.acquireSync(4096);
   * using head = rest.splitTo(512);
   * assertEquals([head.length, rest.length], [512, 3584]);
   * assertEquals(pool.stats().inUseBytes, 4096);
   * ```
   */
  splitTo(at: number): PooledBuffer {
    const lease = this.#still("split");
    checkInteger("split buffer", "at", at, 0, this.#length);
    this.#hide(lease);
    const [head, rest] = lease.split(this.#token!, at);
    this.#token = rest;
    this.#length -= at;
    return new PooledBuffer(this.pool, head, at);
  }

  /**
   * Makes the bytes in use shareable. This buffer cannot be used afterwards, and its views become
   * empty.
   *
   * @throws {TypeError} If the buffer is lent or held.
   */
  freeze(): FrozenBuffer {
    const lease = this.#still("freeze");
    this.#hide(lease);
    const token = this.#token!;
    this.#token = null;
    this.#end = "frozen";
    lease.freeze();
    return new FrozenBuffer(this.pool, token, 0, this.#length);
  }

  /**
   * Keeps the memory leased until a promise settles, even if the buffer is dropped before, for
   * asynchronous functions of the runtime that read or fill its bytes. Meanwhile the buffer can be
   * used, but not lent, frozen, split or moved.
   *
   * @returns A promise that settles as the given one.
   *
   * @example Hashing
   * ```ts
   * import { BufferPool } from "@basalt/io";
   * import { assertEquals } from "@std/assert";
   *
   * using pool = new BufferPool();
   * const buffer = pool.acquireSync(5, { zeroed: true });
   * const digest = buffer.hold(crypto.subtle.digest("SHA-256", buffer.bytes));
   * buffer.drop();
   * assertEquals((await digest).byteLength, 32);
   * assertEquals(pool.stats().inUseBytes, 0);
   * ```
   */
  hold<T>(promise: Promise<T>): Promise<T> {
    return this.#checked("hold").hold(this.#token!, promise);
  }

  /**
   * Ends the lease, once the last loan and promise that use the memory have ended; views become
   * empty. Dropping again does nothing.
   */
  drop(): void {
    const token = this.#token;
    if (token === null) return;
    this.#token = this.#bytes = this.#view = null;
    token.lease.drop(token);
  }

  /** Does what {@linkcode PooledBuffer.drop} does. */
  [Symbol.dispose](): void {
    this.drop();
  }

  /** @ignore Lends a range that may go up to the capacity. */
  [LEND](
    start: number,
    length: number | undefined,
    access: "read" | "write" = "write",
  ): Loan {
    const lease = this.#still("lend");
    checkInteger("lend buffer", "start", start, 0, lease.capacity);
    const count = length ?? Math.max(this.#length - start, 0);
    checkInteger("lend buffer", "length", count, 0, lease.capacity - start);
    const loan = new Loan(this.#token!, start, count, access);
    this.#hide(lease);
    lease.state = "lent";
    return loan;
  }

  /** Returns the token; throws if the lease has ended. */
  #own(action: string): LeaseToken {
    return this.#token ?? this.#refuse(action);
  }

  /** Returns the lease; throws if it has ended, or the buffer is lent. */
  #use(action: string): Lease {
    const token = this.#token;
    if (token === null || token.lease.state === "lent") this.#refuse(action);
    return token.lease;
  }

  /** Does the same, and throws if a view was detached. */
  #checked(action: string): Lease {
    const lease = this.#use(action);
    this.#keep(lease, action);
    return lease;
  }

  /** Does the same, and throws if the buffer is held for a promise. */
  #still(action: string): Lease {
    const lease = this.#checked(action);
    if (lease.pins > 0) {
      throw new TypeError(
        `Cannot ${action} buffer: the buffer is held for a promise that is pending`,
      );
    }
    return lease;
  }

  /** Ends the lease and throws if a view was detached. */
  #keep(lease: Lease, action: string): void {
    if (!lease.isStolen) return;
    const token = this.#token!;
    this.#token = this.#bytes = this.#view = null;
    this.#end = "lost";
    lease.end(token);
    this.#refuse(action);
  }

  #refuse(action: string): never {
    const reason = this.#token !== null
      ? "the buffer is lent to an operation in flight"
      : this.#end === "frozen"
      ? "the buffer was frozen, use the FrozenBuffer"
      : this.#end === "lost"
      ? "its view was detached by someone else (transfer or postMessage), and its memory is lost to the pool"
      : "the buffer was dropped";
    throw new TypeError(`Cannot ${action} buffer: ${reason}`);
  }

  #hide(lease: Lease): void {
    lease.hide();
    this.#bytes = this.#view = null;
  }

  /** Returns the lease with room for more bytes: another one if the memory had to move. */
  #room(lease: Lease, additionalBytes: number): Lease {
    const needed = this.#length + additionalBytes;
    if (needed <= lease.capacity) return lease;
    checkLength("grow buffer", needed);
    this.#still("grow");
    const token = this.pool[GROW](lease, needed);
    const moved = token.lease;
    new Uint8Array(moved.open()).set(
      new Uint8Array(lease.open(), 0, this.#length),
    );
    const old = this.#token!;
    this.#token = token;
    this.#bytes = this.#view = null;
    lease.drop(old);
    return moved;
  }
}
