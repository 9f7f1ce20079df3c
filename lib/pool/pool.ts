import { checkInteger } from "../base/mod.ts";
import type { FrozenBuffer } from "./frozen_buffer.ts";
import type { Lease, LeaseToken } from "./_lease.ts";
import { LEND, type Loan } from "./loan.ts";
import type {
  AcquireOptions,
  AcquireSyncOptions,
  AtLimit,
  AttachOptions,
  BufferPoolOptions,
} from "./options.ts";
import { PoolHandle, type PoolSettings } from "./_pool_handle.ts";
import { PoolLimitError } from "./pool_limit_error.ts";
import { COUNTER, decodeStats, QUARANTINED_BYTES } from "./pool_stats.ts";
import type { LeakReport, PoolStats } from "./pool_stats.ts";
import { GROW, PooledBuffer } from "./pooled_buffer.ts";
import { formatReport } from "./_report.ts";
import { BLOCK_ALIGNMENT, checkLength, classBytes } from "./size_class.ts";
import { WaitQueue } from "./_wait_queue.ts";

const DEFAULT_LIMIT_BYTES = 4 * 1024 ** 3;
const DEFAULT_BUCKET_CAPACITY = 8192;

/** The option by which {@linkcode BufferPool.attach} names an open pool. */
const ID: unique symbol = Symbol("id");

interface Attachment extends AttachOptions {
  readonly [ID]?: number;
}

/**
 * Leases memory for I/O: blocks of 28 sizes, aligned to 4096 bytes, on huge pages where the system
 * allows, within a limit that is never exceeded.
 *
 * A request takes the smallest size that fits. At the limit, free blocks of other sizes are
 * unmapped first; after that the option `atLimit` decides. Several workers can use one pool by its
 * number: {@linkcode BufferPool.attach}. The blocks of a worker return to the pool when it ends.
 *
 * @example A pool of 64 MiB
 * ```ts
 * import { BufferPool } from "@basalt/io";
 * import { assertEquals } from "@std/assert";
 *
 * using pool = new BufferPool({ limitBytes: 64 * 1024 ** 2, atLimit: "wait" });
 * {
 *   using buffer = await pool.acquire(10_000);
 *   buffer.bytes.fill(1);
 *   assertEquals(buffer.capacity, 16384);
 *   assertEquals(pool.stats().inUseBytes, 16384);
 * }
 * assertEquals(pool.stats().inUseBytes, 0);
 * ```
 */
export class BufferPool implements Disposable {
  static #default: BufferPool | undefined;

  /** The pool's number, by which other workers attach to it. */
  readonly id: number;
  /** Whether returned blocks are kept. */
  readonly enabled: boolean;
  /** The most memory that the pool maps, in bytes. */
  readonly limitBytes: number;
  /** The most free blocks that are kept of each size. */
  readonly bucketCapacity: number;
  /** What happens at the limit, in this isolate. */
  readonly atLimit: AtLimit;
  readonly #handle: PoolHandle;
  readonly #queue: WaitQueue<PooledBuffer>;
  readonly #onWarning: (message: string) => void;
  #warned = false;
  /** Functions that give up memory which is not needed, such as that of a cache. */
  readonly #reclaimers = new Set<() => boolean>();

  /** Returns the default pool, which is made with default settings at its first use. */
  static default(): BufferPool {
    const shared = BufferPool.#default;
    if (shared !== undefined && !shared.#handle.isClosed) return shared;
    return BufferPool.#default = new BufferPool();
  }

  /**
   * Joins a pool by its number, usually that of another worker. Each attachment is closed
   * separately.
   *
   * @throws {RangeError} If no pool has that number, or an option is wrong.
   */
  static attach(id: number, options: AttachOptions = {}): BufferPool {
    checkInteger("attach to pool", "id", id, 1, 0x7fffffff);
    const attachment: Attachment = { ...options, [ID]: id };
    return new BufferPool(attachment);
  }

  /**
   * Makes a pool.
   *
   * @throws {RangeError} If an option is wrong; the message names it, its value and what is valid.
   * @throws {UnsupportedError} Where the native library cannot run.
   */
  constructor(options: BufferPoolOptions = {}) {
    const { atLimit = "wait", trackLeaks = false, onWarning = warn } = options;
    if (atLimit !== "wait" && atLimit !== "fail" && atLimit !== "external") {
      throw new RangeError(
        `Cannot create pool as 'atLimit' must be 'wait', 'fail' or 'external': received '${atLimit}'`,
      );
    }
    if (typeof onWarning !== "function") {
      throw new RangeError(
        `Cannot create pool as 'onWarning' must be a function: received ${onWarning}`,
      );
    }
    this.atLimit = atLimit;
    this.#onWarning = onWarning;
    const onLeak = trackLeaks ? onWarning : null;
    const id = (options as Attachment)[ID];
    this.#handle = id === undefined
      ? PoolHandle.open(checkedSettings(options), onLeak)
      : PoolHandle.attach(id, onLeak);
    const { enabled, limitBytes, bucketCapacity } = this.#handle.settings;
    this.id = this.#handle.id;
    this.enabled = enabled;
    this.limitBytes = limitBytes;
    this.bucketCapacity = bucketCapacity;
    const serve = (): void => this.#queue.serve();
    this.#queue = new WaitQueue((isWaiting) => {
      this.#handle.onReturn = isWaiting ? serve : null;
    });
  }

  /**
   * Leases memory of at least `length` bytes, 0 to 512 MiB.
   *
   * At the limit it waits its turn if `atLimit` is `"wait"`. Memory that this isolate drops is
   * passed on at once, memory of other workers within 5 ms.
   *
   * @throws {RangeError} If the length is out of range.
   * @throws {PoolLimitError} At the limit, if `atLimit` is `"fail"`, or if the pool could never
   *   give that much.
   * @throws {TypeError} If the pool is closed.
   */
  async acquire(
    length: number,
    options?: AcquireOptions,
  ): Promise<PooledBuffer> {
    const signal = options?.signal;
    signal?.throwIfAborted();
    const buffer = this.#atOnce(length, options);
    if (buffer !== null) return buffer;
    if (this.atLimit !== "wait") return this.#atLimitSync(length, options);
    this.#warnAtLimit();
    this.#refuseImpossible(length);
    this.#handle.count(COUNTER.WAITS, 1);
    const attempt = (): PooledBuffer | null => {
      const buffer = this.#attempt(length, options);
      if (buffer === null) this.#refuseImpossible(length);
      return buffer;
    };
    return await this.#queue.wait(attempt, signal);
  }

  /**
   * Leases memory as {@linkcode BufferPool.acquire} does, but never waits. Waiting requests come
   * first.
   *
   * @throws {RangeError} If the length is out of range.
   * @throws {PoolLimitError} At the limit, unless `atLimit` is `"external"`, and while requests
   *   wait.
   * @throws {TypeError} If the pool is closed.
   */
  acquireSync(length: number, options?: AcquireSyncOptions): PooledBuffer {
    return this.#atOnce(length, options) ?? this.#atLimitSync(length, options);
  }

  /**
   * Lends memory to an operation in flight; the caller ends the loan on completion.
   *
   * A pooled buffer is lent as a whole to one operation: until the loan ends its views are empty
   * and every use of it is a `TypeError`. The range may go up to its capacity, because devices
   * transfer whole sectors. A frozen buffer may be lent many times, for reading only, and its views
   * stay.
   *
   * @param start The first byte, counted from the buffer's. 0 if not given.
   * @param length Bytes; to the end of the bytes in use if not given.
   * @param access What the operation does with the memory: `"read"` it (to write a file) or
   *   `"write"` to it (to read a file). `"write"` if not given, for a frozen buffer `"read"`.
   * @throws {RangeError} If the range is not within the buffer.
   * @throws {TypeError} If the buffer is another pool's, dropped, lent, held, or plain memory, or
   *   if it is frozen and would be written to.
   */
  lend(
    buffer: PooledBuffer | FrozenBuffer,
    start = 0,
    length?: number,
    access?: "read" | "write",
  ): Loan {
    const foreign = buffer.pool !== this && buffer.pool.id !== this.id;
    if (foreign) {
      throw new TypeError(
        `Cannot lend buffer as it belongs to another pool: received one of pool ${buffer.pool.id}, this is pool ${this.id}`,
      );
    }
    return buffer[LEND](start, length, access);
  }

  /**
   * Registers a reclaimer: `release` gives up memory that is not needed, such as that of a cache,
   * before a request at the limit waits or fails. It returns whether there was any.
   *
   * @returns A function that ends the registration.
   * @ignore
   */
  addReclaimer(release: () => boolean): () => void {
    this.#reclaimers.add(release);
    return () => this.#reclaimers.delete(release);
  }

  /**
   * Returns a snapshot of the figures.
   * @throws {TypeError} If the pool is closed.
   */
  stats(): PoolStats {
    this.#checkOpen("read statistics");
    return decodeStats(this.#handle.stats(), this.#queue.size);
  }

  /**
   * Returns the figures as a readable table.
   * @throws {TypeError} If the pool is closed.
   */
  report(): string {
    return formatReport(this.id, this.stats());
  }

  /**
   * Unmaps the free blocks.
   * @returns The bytes that were unmapped.
   * @throws {TypeError} If the pool is closed.
   */
  trim(): number {
    this.#checkOpen("trim pool");
    return this.#handle.trim();
  }

  /**
   * Returns the last 1000 forgotten leases of this isolate, oldest first; empty unless `trackLeaks`
   * is set.
   */
  leaks(): LeakReport[] {
    return [...this.#handle.leaks];
  }

  /**
   * Detaches from the pool: waiting requests are rejected with a `TypeError`, and later ones fail.
   *
   * Leased buffers can still be used and dropped. When all isolates have detached, free memory is
   * unmapped. Closing twice does nothing.
   */
  close(): void {
    if (this.#handle.isClosed) return;
    this.#queue.clear(
      new TypeError("Cannot acquire buffer: the pool was closed"),
    );
    this.#handle.close();
  }

  /** Does what {@linkcode BufferPool.close} does. */
  [Symbol.dispose](): void {
    this.close();
  }

  #check(length: number): void {
    // Inline for the usual case; `checkLength` makes the error.
    if (
      !(length >= 0 && length <= 536870912 && length === Math.floor(length))
    ) {
      checkLength("acquire buffer", length);
    }
    this.#checkOpen("acquire buffer");
  }

  #checkOpen(action: string): void {
    if (!this.#handle.isClosed) return;
    throw new TypeError(`Cannot ${action}: the pool is closed`);
  }

  /** Leases without waiting; `null` if there is no room, or others wait for it. */
  #atOnce(
    length: number,
    options: AcquireSyncOptions | undefined,
  ): PooledBuffer | null {
    this.#check(length);
    if (options?.aligned === false && length < BLOCK_ALIGNMENT) {
      return new PooledBuffer(this, this.#handle.leasePlain(length), length);
    }
    return this.#queue.size > 0 ? null : this.#attempt(length, options);
  }

  /** Leases within the limit; `null` if there is no room. */
  #attempt(
    length: number,
    options: AcquireSyncOptions | undefined,
  ): PooledBuffer | null {
    const token = this.#lease(length);
    return token === null ? null : this.#wrap(token, length, options);
  }

  /** Leases within the limit. If there is no room, reclaimers give memory up first. */
  #lease(length: number): LeaseToken | null {
    return this.#handle.lease(length, 0) ??
      (this.#reclaim() ? this.#handle.lease(length, 0) : null);
  }

  /** Calls all reclaimers. Returns whether one gave memory up. */
  #reclaim(): boolean {
    let hasReclaimed = false;
    for (const release of this.#reclaimers) {
      if (release()) hasReclaimed = true;
    }
    return hasReclaimed;
  }

  #wrap(
    token: LeaseToken,
    length: number,
    options: AcquireSyncOptions | undefined,
  ): PooledBuffer {
    if (options?.zeroed === true && !this.#handle.isFresh) {
      new Uint8Array(token.lease.open(), 0, length).fill(0);
    }
    return new PooledBuffer(this, token, length);
  }

  /** Serves a request that found no room and does not wait. */
  #atLimitSync(
    length: number,
    options: AcquireSyncOptions | undefined,
  ): PooledBuffer {
    return this.#wrap(this.#beyond(length, "acquire"), length, options);
  }

  /** @ignore Leases larger memory for a buffer, also before requests that wait. */
  [GROW](from: Lease, length: number): LeaseToken {
    let token: LeaseToken;
    if (from.block === null && length < BLOCK_ALIGNMENT) {
      // Plain memory doubles: it has no classes that make growing rare.
      const doubled = Math.min(2 * from.capacity, BLOCK_ALIGNMENT - 1);
      token = this.#handle.leasePlain(Math.max(length, doubled));
    } else {
      this.#checkOpen("grow buffer");
      token = this.#lease(length) ?? this.#beyond(length, "grow");
    }
    this.#handle.count(COUNTER.RESIZED, 1);
    return token;
  }

  #beyond(length: number, action: string): LeaseToken {
    this.#warnAtLimit();
    if (this.atLimit === "external") {
      const token = this.#handle.lease(length, 1);
      if (token !== null) return token;
    }
    throw this.#limitError(length, action);
  }

  #limitError(length: number, action: string): PoolLimitError {
    const { limitBytes, mappedBytes, inUseBytes, quarantinedBytes, waiting } =
      this.stats();
    const waits = waiting === 1 ? "request waits" : "requests wait";
    const lost = quarantinedBytes > 0
      ? `, ${quarantinedBytes} quarantined`
      : "";
    const reason = waiting > 0
      ? `${waiting} ${waits} before it`
      : `the pool's limit is reached: 'limitBytes' is ${limitBytes}, ${inUseBytes} bytes are in use${lost}`;
    return new PoolLimitError(
      `Cannot ${action} buffer of ${length} bytes as ${reason}`,
      { limitBytes, mappedBytes, inUseBytes, waiting, requestedBytes: length },
    );
  }

  /** Refuses a request that never fits: quarantined memory does not come back. */
  #refuseImpossible(length: number): void {
    const quarantinedBytes = this.#handle.stats()[QUARANTINED_BYTES]!;
    if (classBytes(length) > this.limitBytes - quarantinedBytes) {
      throw this.#limitError(length, "acquire");
    }
  }

  #warnAtLimit(): void {
    if (this.#warned) return;
    this.#warned = true;
    const doing = {
      wait: "requests wait",
      fail: "requests fail",
      external: "memory is taken beyond it",
    }[this.atLimit];
    this.#onWarning(
      `Pool ${this.id} has reached its limit of ${this.limitBytes} bytes: ${doing} ('atLimit' is '${this.atLimit}')`,
    );
  }
}

function checkedSettings(options: BufferPoolOptions): PoolSettings {
  const {
    enabled = true,
    limitBytes = DEFAULT_LIMIT_BYTES,
    bucketCapacity = DEFAULT_BUCKET_CAPACITY,
  } = options;
  const action = "create pool";
  checkInteger(action, "limitBytes", limitBytes, BLOCK_ALIGNMENT, 2 ** 53);
  checkInteger(action, "bucketCapacity", bucketCapacity, 0, 0xffffffff);
  return { enabled: Boolean(enabled), limitBytes, bucketCapacity };
}

function warn(message: string): void {
  // deno-lint-ignore no-console -- the default of `onWarning`
  console.warn(message);
}
