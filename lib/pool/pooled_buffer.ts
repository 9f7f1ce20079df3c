import { checkInteger, checkLength, shown } from "./checks.ts";
import { type FrozenBuffer, makeFrozenBuffer } from "./frozen_buffer.ts";
import { COUNTER } from "./ledger.ts";
import { hold } from "./hold.ts";
import { type Loan, makeLoan } from "./loan.ts";
import type { BufferPool } from "./pool.ts";
import type { Anchor, Region } from "./region.ts";
import { BLOCK_ALIGNMENT, MAX_LENGTH } from "./size_class.ts";

/**
 * Who has the memory of a {@linkcode PooledBuffer}.
 *
 * - `"leased"`: its owner.
 * - `"lent"`: an operation in flight.
 * - `"frozen"`: the `FrozenBuffer` that `freeze()` returned.
 * - `"dropped"`: the pool.
 * - `"lost"`: someone who detached the view; the pool never uses the block again.
 */
export type BufferState = "leased" | "lent" | "frozen" | "dropped" | "lost";

/** Where a pooled buffer gets other memory from when it must grow. */
export type Grow = (length: number) => Anchor;

/** Makes a buffer of leased memory: internal to the pool. */
export let makePooledBuffer: (
  pool: BufferPool,
  anchor: Anchor,
  length: number,
) => PooledBuffer;

/** Lends a range of a buffer: internal to the pool. */
export let lendPooledBuffer: (
  buffer: PooledBuffer,
  start: number,
  length: number | undefined,
  access: "read" | "write",
) => Loan;

/** Gives the function by which the buffers of a pool grow: internal to the pool. */
export const growth: WeakMap<BufferPool, Grow> = new WeakMap();

const encoder = new TextEncoder();

/**
 * Memory leased from a pool: a block, a part of one, or plain memory. It has one owner, who ends the lease by `drop()` or `using`.
 *
 * `length` bytes are in use, of the `capacity` that the memory has. Numbers are little-endian. When the lease ends, every view of the bytes becomes
 * empty (length 0); using the buffer after that is a `TypeError`, dropping it again does nothing. A buffer that is forgotten comes back when neither it
 * nor a view of it can be reached any more, at some time that the garbage collector chooses.
 *
 * The exception to all this: bytes that are handed to an asynchronous function of the runtime must stay leased until it settles, for which there is
 * {@linkcode PooledBuffer.hold}. A view must not be transferred (`postMessage`, `structuredClone`, `ArrayBuffer.prototype.transfer`, byte streams): its
 * block is then lost to the pool, which notices when the buffer is next used, dropped or collected. Of a view that is transferred after its buffer was
 * collected, or by a worker that ends before it drops the buffer, nobody is left to notice.
 *
 * @example A lease
 * ```ts
 * import { BufferPool } from "@basalt/io";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * using pool = new BufferPool();
 * const buffer = pool.acquireSync(100);
 * buffer.putUint32(0, 7);
 * const view = buffer.bytes;
 * assertEquals([buffer.length, buffer.capacity, view[0]], [100, 4096, 7]);
 *
 * buffer.drop();
 * assertEquals(view.length, 0);
 * assertThrows(() => buffer.bytes, TypeError, "was dropped");
 * ```
 */
export class PooledBuffer implements Disposable {
  /** The pool that the memory belongs to. */
  readonly pool: BufferPool;
  /** `null` when the lease is no longer this object's. */
  #anchor: Anchor | null;
  #length: number;
  /** The view that was handed out, if it still fits. */
  #bytes: Uint8Array<ArrayBuffer> | null = null;
  /** How the lease ended. */
  #end: "frozen" | "dropped" | "lost" = "dropped";

  static {
    makePooledBuffer = (pool, anchor, length) =>
      new PooledBuffer(pool, anchor, length);
    lendPooledBuffer = (buffer, start, length, access) =>
      buffer.#lend(start, length, access);
  }

  private constructor(pool: BufferPool, anchor: Anchor, length: number) {
    this.pool = pool;
    this.#anchor = anchor;
    this.#length = length;
  }

  /** Who has the memory. */
  get state(): BufferState {
    const anchor = this.#anchor;
    if (anchor === null) return this.#end;
    return anchor.region.lent ? "lent" : "leased";
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
    return this.#own("read 'capacity' of").region.capacity;
  }

  /**
   * Whether the memory lies beyond the pool's limit.
   *
   * @throws {TypeError} If the lease has ended.
   */
  get external(): boolean {
    return this.#own("read 'external' of").region.block?.external ?? false;
  }

  /**
   * Whether the first byte's address is a multiple of 4096. Plain memory is never aligned, the second half of a split only if it begins so.
   *
   * @throws {TypeError} If the lease has ended.
   */
  get aligned(): boolean {
    const { region } = this.#own("read 'aligned' of");
    return region.block !== null && region.start % BLOCK_ALIGNMENT === 0;
  }

  /**
   * The bytes in use, `[0, length)`: the same view until the length changes or the memory moves. What they hold is what an earlier owner left, unless
   * zeros were asked for.
   *
   * @throws {TypeError} If the lease has ended or the buffer is lent, or if someone detached the view: the memory is lost then.
   */
  get bytes(): Uint8Array<ArrayBuffer> {
    const region = this.#use("use");
    const bytes = this.#bytes;
    // A detached view has no length.
    if (bytes !== null && bytes.length !== 0 && bytes.length === this.#length) {
      return bytes;
    }
    this.#keep(region, "use");
    const buffer = region.open();
    region.exposed = true;
    return this.#bytes = new Uint8Array(buffer, 0, this.#length);
  }

  /** Writes a byte, 0 to 255. @throws {RangeError} Outside `[0, length)`, or if the value does not fit. */
  putUint8(position: number, value: number): void {
    checkValue(value, 0, 0xff);
    this.#at("put", position, 1).setUint8(position, value);
  }

  /** Writes 2 bytes, 0 to 2^16 - 1. @throws {RangeError} Outside `[0, length)`, or if the value does not fit. */
  putUint16(position: number, value: number): void {
    checkValue(value, 0, 0xffff);
    this.#at("put", position, 2).setUint16(position, value, true);
  }

  /** Writes 4 bytes, 0 to 2^32 - 1. @throws {RangeError} Outside `[0, length)`, or if the value does not fit. */
  putUint32(position: number, value: number): void {
    checkValue(value, 0, 0xffffffff);
    this.#at("put", position, 4).setUint32(position, value, true);
  }

  /** Writes 8 bytes, 0 to 2^53. @throws {RangeError} Outside `[0, length)`, or if the value does not fit. */
  putUint64(position: number, value: number): void {
    checkValue(value, 0, MAX_EXACT);
    const numbers = this.#at("put", position, 8);
    numbers.setUint32(position, value >>> 0, true);
    numbers.setUint32(position + 4, Math.floor(value / 2 ** 32), true);
  }

  /** Writes 8 bytes, 0 to 2^64 - 1. @throws {RangeError} Outside `[0, length)`, or if the value does not fit. */
  putBigUint64(position: number, value: bigint): void {
    checkValue(value, 0n, 2n ** 64n - 1n);
    this.#at("put", position, 8).setBigUint64(position, value, true);
  }

  /** Writes a byte, -128 to 127. @throws {RangeError} Outside `[0, length)`, or if the value does not fit. */
  putInt8(position: number, value: number): void {
    checkValue(value, -0x80, 0x7f);
    this.#at("put", position, 1).setInt8(position, value);
  }

  /** Writes 2 bytes, -2^15 to 2^15 - 1. @throws {RangeError} Outside `[0, length)`, or if the value does not fit. */
  putInt16(position: number, value: number): void {
    checkValue(value, -0x8000, 0x7fff);
    this.#at("put", position, 2).setInt16(position, value, true);
  }

  /** Writes 4 bytes, -2^31 to 2^31 - 1. @throws {RangeError} Outside `[0, length)`, or if the value does not fit. */
  putInt32(position: number, value: number): void {
    checkValue(value, -0x80000000, 0x7fffffff);
    this.#at("put", position, 4).setInt32(position, value, true);
  }

  /** Writes 8 bytes, -2^63 to 2^63 - 1. @throws {RangeError} Outside `[0, length)`, or if the value does not fit. */
  putBigInt64(position: number, value: bigint): void {
    checkValue(value, -(2n ** 63n), 2n ** 63n - 1n);
    this.#at("put", position, 8).setBigInt64(position, value, true);
  }

  /** Writes a number in 4 bytes (IEEE 754 single precision, rounded). @throws {RangeError} Outside `[0, length)`. */
  putFloat32(position: number, value: number): void {
    this.#at("put", position, 4).setFloat32(position, value, true);
  }

  /** Writes a number in 8 bytes (IEEE 754 double precision). @throws {RangeError} Outside `[0, length)`. */
  putFloat64(position: number, value: number): void {
    this.#at("put", position, 8).setFloat64(position, value, true);
  }

  /** Reads a byte. @throws {RangeError} Outside `[0, length)`. */
  getUint8(position: number): number {
    return this.#at("get", position, 1).getUint8(position);
  }

  /** Reads 2 bytes. @throws {RangeError} Outside `[0, length)`. */
  getUint16(position: number): number {
    return this.#at("get", position, 2).getUint16(position, true);
  }

  /** Reads 4 bytes. @throws {RangeError} Outside `[0, length)`. */
  getUint32(position: number): number {
    return this.#at("get", position, 4).getUint32(position, true);
  }

  /** Reads 8 bytes as a number. @throws {RangeError} Outside `[0, length)`, or if the value is above 2^53, where numbers are not exact. */
  getUint64(position: number): number {
    const numbers = this.#at("get", position, 8);
    const value = numbers.getUint32(position + 4, true) * 2 ** 32 +
      numbers.getUint32(position, true);
    if (
      value > MAX_EXACT ||
      value === MAX_EXACT && numbers.getUint32(position, true) !== 0
    ) {
      throw new RangeError(
        `Cannot get number at ${position} as it is above 2^53: read ${
          numbers.getBigUint64(position, true)
        }, which needs 'getBigUint64'`,
      );
    }
    return value;
  }

  /** Reads 8 bytes. @throws {RangeError} Outside `[0, length)`. */
  getBigUint64(position: number): bigint {
    return this.#at("get", position, 8).getBigUint64(position, true);
  }

  /** Reads a byte with its sign. @throws {RangeError} Outside `[0, length)`. */
  getInt8(position: number): number {
    return this.#at("get", position, 1).getInt8(position);
  }

  /** Reads 2 bytes with their sign. @throws {RangeError} Outside `[0, length)`. */
  getInt16(position: number): number {
    return this.#at("get", position, 2).getInt16(position, true);
  }

  /** Reads 4 bytes with their sign. @throws {RangeError} Outside `[0, length)`. */
  getInt32(position: number): number {
    return this.#at("get", position, 4).getInt32(position, true);
  }

  /** Reads 8 bytes with their sign. @throws {RangeError} Outside `[0, length)`. */
  getBigInt64(position: number): bigint {
    return this.#at("get", position, 8).getBigInt64(position, true);
  }

  /** Reads 4 bytes as a number in single precision. @throws {RangeError} Outside `[0, length)`. */
  getFloat32(position: number): number {
    return this.#at("get", position, 4).getFloat32(position, true);
  }

  /** Reads 8 bytes as a number in double precision. @throws {RangeError} Outside `[0, length)`. */
  getFloat64(position: number): number {
    return this.#at("get", position, 8).getFloat64(position, true);
  }

  /**
   * Adds bytes, or a string as UTF-8, after the last byte; the memory moves where there is no room (see {@linkcode PooledBuffer.reserve}).
   *
   * @returns The position of the first byte that was added.
   * @throws {PoolLimitError} If the memory must move and the limit leaves no room; nothing was added then.
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
    let region = this.#checked("append to");
    const position = this.#length;
    if (typeof bytes === "string") {
      const count = utf8Length(bytes);
      region = this.#room(region, count);
      encoder.encodeInto(
        bytes,
        new Uint8Array(region.open(), position, count),
      );
      this.#length = position + count;
      return position;
    }
    let source = bytes;
    if (
      bytes.buffer === region.buffer &&
      region.capacity - position < bytes.length
    ) source = bytes.slice(); // A view of this buffer dies when the memory moves.
    const count = source.length;
    region = this.#room(region, count);
    new Uint8Array(region.open(), position, count).set(source);
    this.#length = position + count;
    return position;
  }

  /**
   * Makes room for so many bytes more than `length`. Where the memory has it, nothing happens; else the bytes in use are copied to a larger block and
   * views become empty, which statistics count as resized. The larger block is taken before those who wait for memory: its owner can then finish.
   *
   * @throws {PoolLimitError} If the memory must move and the limit leaves no room.
   * @throws {TypeError} If the buffer is lent, or held for a promise and must move.
   */
  reserve(additionalBytes: number): void {
    const region = this.#checked("reserve room in");
    checkInteger(
      "reserve room",
      "additionalBytes",
      additionalBytes,
      0,
      MAX_LENGTH - this.#length,
    );
    this.#room(region, additionalBytes);
  }

  /** Makes the buffer shorter; its capacity stays. @throws {RangeError} If `length` is larger than it was. */
  truncate(length: number): void {
    this.#checked("truncate");
    checkInteger("truncate buffer", "length", length, 0, this.#length);
    this.#length = length;
  }

  /**
   * Makes the buffer shorter or longer; bytes that it gains are zeros. The memory moves where the capacity does not suffice.
   *
   * @throws {PoolLimitError} If the memory must move and the limit leaves no room.
   */
  resize(length: number): void {
    let region = this.#checked("resize");
    checkLength("resize buffer", length);
    const gained = length - this.#length;
    if (gained > 0) {
      region = this.#room(region, gained);
      new Uint8Array(region.open(), this.#length, gained).fill(0);
    }
    this.#length = length;
  }

  /**
   * Divides the buffer without a copy: the result owns `[0, at)`, this buffer keeps the rest, with positions from 0. Views become empty and each half
   * makes its own. The block comes back when both are dropped; a half that is forgotten is found when the other has ended. (Plain memory is copied: less
   * than 4096 bytes.)
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
    const region = this.#still("split");
    checkInteger("split buffer", "at", at, 0, this.#length);
    this.#hide(region);
    const [head, tail] = region.ledger.split(this.#anchor!, at);
    this.#anchor = tail;
    this.#length -= at;
    return new PooledBuffer(this.pool, head, at);
  }

  /**
   * Makes the bytes in use shareable: from here on this buffer cannot be used, and views of it become empty.
   *
   * @throws {TypeError} If the buffer is lent or held.
   */
  freeze(): FrozenBuffer {
    const region = this.#still("freeze");
    this.#hide(region);
    const anchor = this.#anchor!;
    this.#anchor = null;
    this.#end = "frozen";
    region.frozen = true;
    if (region.block !== null) region.ledger.count(COUNTER.FROZEN, 1);
    return makeFrozenBuffer(this.pool, anchor, 0, this.#length);
  }

  /**
   * Keeps the memory leased until a promise settles, also if the buffer is dropped before: for asynchronous functions of the runtime that read or fill
   * its bytes. Meanwhile the buffer can be used, but not lent, frozen, split or moved.
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
    this.#checked("hold");
    return hold(this.#anchor!, promise);
  }

  /** Ends the lease, once the last loan and promise that use the memory have ended; views become empty. Dropping again does nothing. */
  drop(): void {
    const anchor = this.#anchor;
    if (anchor === null) return;
    this.#anchor = this.#bytes = null;
    anchor.region.drop(anchor);
  }

  /** The same as {@linkcode PooledBuffer.drop}. */
  [Symbol.dispose](): void {
    this.drop();
  }

  #lend(
    start: number,
    length: number | undefined,
    access: "read" | "write",
  ): Loan {
    const region = this.#still("lend");
    if (region.block === null) {
      throw new TypeError(
        "Cannot lend buffer as it is plain memory: acquire it without 'aligned: false'",
      );
    }
    checkInteger("lend buffer", "start", start, 0, region.capacity);
    const count = length ?? Math.max(this.#length - start, 0);
    checkInteger("lend buffer", "length", count, 0, region.capacity - start);
    this.#hide(region);
    region.lent = true;
    region.pins++;
    return makeLoan(this.#anchor!, start, count, access);
  }

  /** The anchor, unless the lease has ended. */
  #own(action: string): Anchor {
    return this.#anchor ?? this.#refuse(action);
  }

  /** The region, unless the lease has ended or the buffer is lent. */
  #use(action: string): Region {
    const anchor = this.#anchor;
    if (anchor === null || anchor.region.lent) this.#refuse(action);
    return anchor.region;
  }

  /** The same, unless someone detached the view. */
  #checked(action: string): Region {
    const region = this.#use(action);
    this.#keep(region, action);
    return region;
  }

  /** The same, unless a promise needs the views to stay. */
  #still(action: string): Region {
    const region = this.#checked(action);
    if (region.pins > 0) {
      throw new TypeError(
        `Cannot ${action} buffer: the buffer is held for a promise that is pending`,
      );
    }
    return region;
  }

  #keep(region: Region, action: string): void {
    if (!region.stolen) return;
    const anchor = this.#anchor!;
    this.#anchor = this.#bytes = null;
    this.#end = "lost";
    region.lose(anchor);
    this.#refuse(action);
  }

  #refuse(action: string): never {
    const reason = this.#anchor !== null
      ? "the buffer is lent to an operation in flight"
      : this.#end === "frozen"
      ? "the buffer was frozen, use the FrozenBuffer"
      : this.#end === "lost"
      ? "its view was detached by someone else (transfer or postMessage), and its memory is lost to the pool"
      : "the buffer was dropped";
    throw new TypeError(`Cannot ${action} buffer: ${reason}`);
  }

  #hide(region: Region): void {
    region.hide();
    this.#bytes = null;
  }

  /** The view for numbers, if so many bytes at `position` are in use. */
  #at(action: string, position: number, count: number): DataView<ArrayBuffer> {
    const region = this.#use(action === "put" ? "write to" : "read from");
    // Also false for NaN, and for a fraction by the second test.
    if (
      !(position >= 0 && position + count <= this.#length) ||
      !Number.isInteger(position)
    ) {
      this.#outside(action, position, count);
    }
    if (region.exposed) {
      this.#keep(region, action === "put" ? "write to" : "read from");
    }
    return region.numbers();
  }

  #outside(action: string, position: number, count: number): never {
    throw new RangeError(
      `Cannot ${action} ${count} ${count === 1 ? "byte" : "bytes"} as ${
        this.#length < count
          ? `the buffer has ${this.#length}`
          : `'position' must be an integer from 0 to ${this.#length - count}`
      }: received ${shown(position)}`,
    );
  }

  /** The region with room for so many bytes more; another one if it had to move. */
  #room(region: Region, additionalBytes: number): Region {
    const needed = this.#length + additionalBytes;
    if (needed <= region.capacity) return region;
    checkLength("grow buffer", needed);
    this.#still("grow");
    // Plain memory doubles: it has no classes that make growing rare.
    const wanted = region.block === null && needed < BLOCK_ALIGNMENT
      ? Math.min(Math.max(needed, 2 * region.capacity), BLOCK_ALIGNMENT - 1)
      : needed;
    const anchor = region.block === null && wanted < BLOCK_ALIGNMENT
      ? region.ledger.leasePlain(wanted)
      : growth.get(this.pool)!(wanted);
    const moved = anchor.region;
    new Uint8Array(moved.open()).set(
      new Uint8Array(region.open(), 0, this.#length),
    );
    region.ledger.count(COUNTER.RESIZED, 1);
    const old = this.#anchor!;
    this.#anchor = anchor;
    this.#bytes = null;
    region.drop(old);
    return moved;
  }
}

/** The largest number that `putUint64` and `getUint64` handle: up to it every integer is exact. */
const MAX_EXACT = 2 ** 53;

function checkValue<T extends number | bigint>(value: T, min: T, max: T): void {
  if (
    typeof value === typeof min && value >= min && value <= max &&
    (typeof value === "bigint" || Number.isInteger(value))
  ) return;
  throw new RangeError(
    `Cannot put number as 'value' must be an integer from ${min} to ${max}: received ${
      shown(value)
    }`,
  );
}

/** How many bytes `TextEncoder` makes of a string; half a surrogate pair becomes U+FFFD, 3 bytes. */
function utf8Length(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    if (unit < 0x800) {
      bytes++;
      continue;
    }
    bytes += 2;
    if (unit >= 0xd800 && unit < 0xdc00 && i + 1 < text.length) {
      const next = text.charCodeAt(i + 1);
      // A pair is 2 units and 4 bytes.
      if (next >= 0xdc00 && next < 0xe000) i++;
    }
  }
  return bytes;
}
