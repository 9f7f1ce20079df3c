import { roundUp } from "../base/mod.ts";
import {
  checked,
  native,
  nativeBuffer,
  STATUS,
  statusError,
} from "../native/mod.ts";
import { Block, Lease, type LeaseToken, unwatch, watch } from "./_lease.ts";
import type { BufferPoolOptions } from "./options.ts";
import { COUNTER, type LeakReport, STATS_COUNT } from "./pool_stats.ts";

/** The most reports of forgotten leases that are kept. */
const MAX_LEAKS = 1000;
/** The most records of plain memory that are kept for the next lease. */
const MAX_PLAIN = 256;

/** The settings that all isolates of a pool share. */
export type PoolSettings = Required<
  Pick<BufferPoolOptions, "enabled" | "limitBytes" | "bucketCapacity">
>;

/** Makes every native call on a pool, and keeps this isolate's records of its blocks. */
export class PoolHandle {
  /** The pool's number. */
  readonly id: number;
  /** The settings of the pool. */
  readonly settings: PoolSettings;
  /** Whether the last block that was leased is freshly mapped, so all zeros. */
  isFresh = false;
  /** Whether the pool was closed in this isolate. */
  isClosed = false;
  /** Called when memory came back. */
  onReturn: (() => void) | null = null;
  /** Called with a message when a tracked lease was found forgotten. */
  readonly onLeak: ((message: string) => void) | null;
  /** Leases that were found forgotten, oldest first. */
  readonly leaks: LeakReport[] = [];

  readonly #native = native();
  /** Where native code describes the last lease. */
  readonly #out: Uint32Array;
  /** Records by slot number. */
  readonly #blocks: (Block | undefined)[] = [];
  /** Free records of plain memory. */
  readonly #plain: Lease[] = [];

  private constructor(
    id: number,
    settings: PoolSettings,
    onLeak: ((message: string) => void) | null,
  ) {
    this.id = id;
    this.settings = settings;
    this.onLeak = onLeak;
    const address = new Uint32Array(2);
    checked(
      this.#native.basalt_pool_lease_address(address),
      "basalt_pool_lease_address",
    );
    this.#out = new Uint32Array(
      nativeBuffer([address[0]!, address[1]!], 0, 32),
    );
  }

  /** Makes a pool. With `onLeak`, each lease remembers where it was taken. */
  static open(
    settings: PoolSettings,
    onLeak: ((message: string) => void) | null,
  ): PoolHandle {
    const { enabled, limitBytes, bucketCapacity } = settings;
    const id = checked(
      native().basalt_pool_open(enabled ? 1 : 0, limitBytes, bucketCapacity),
      "basalt_pool_open",
    );
    return new PoolHandle(id, settings, onLeak);
  }

  /**
   * Joins a pool by its number.
   *
   * @throws {RangeError} If no open pool has that number.
   */
  static attach(
    id: number,
    onLeak: ((message: string) => void) | null,
  ): PoolHandle {
    const out = new Float64Array(3);
    if (native().basalt_pool_attach(id, out) !== 0) {
      throw new RangeError(
        `Cannot attach to pool as 'id' must be the number of an open pool: received ${id}`,
      );
    }
    const [isEnabled, limitBytes = 0, bucketCapacity = 0] = out;
    const enabled = isEnabled === 1;
    return new PoolHandle(id, { enabled, limitBytes, bucketCapacity }, onLeak);
  }

  /** Leases a block; returns `null` when the limit leaves no room. */
  lease(length: number, external: 0 | 1): LeaseToken | null {
    const out = this.#out;
    const status = this.#native.basalt_pool_acquire(this.id, length, external);
    if (status !== 0) {
      if (status === STATUS.POOL_LIMIT) return null;
      throw statusError(
        status,
        status > -4096 ? "mmap" : "basalt_pool_acquire",
      );
    }
    this.isFresh = (out[3]! & 2) !== 0;
    let block = this.#blocks[out[0]!];
    if (block === undefined || block.generation !== out[1]) {
      block = this.#adopt(out);
    }
    const token = block.whole.begin();
    if (this.onLeak !== null) block.whole.stack = stackOfCaller();
    return token;
  }

  #adopt(out: Uint32Array): Block {
    const slot = out[0]!;
    const old = this.#blocks[slot];
    if (old !== undefined) this.#forget(old);
    return this.#blocks[slot] = new Block(this, out);
  }

  #forget(block: Block): void {
    block.whole.discard();
    unwatch(block.whole);
    this.#blocks[block.slot] = undefined;
  }

  /** Leases plain memory of fewer than 4096 bytes, rounded up to a multiple of 64. */
  leasePlain(length: number): LeaseToken {
    let lease = this.#plain.pop();
    if (lease === undefined) {
      lease = new Lease(this, null, 0, 0);
      lease.token = watch(lease);
    }
    lease.capacity = Math.max(64, roundUp(length, 64));
    const token = lease.begin();
    this.isFresh = true;
    if (this.onLeak !== null) lease.stack = stackOfCaller();
    this.count(COUNTER.PLAIN_IN_USE, 1);
    this.count(COUNTER.PLAIN_ACQUIRED, 1);
    return token;
  }

  /** Takes plain memory back. */
  takeBackPlain(lease: Lease): void {
    lease.discard();
    this.count(COUNTER.PLAIN_IN_USE, -1);
    const isKept = lease.state === "free" && this.#plain.length < MAX_PLAIN &&
      !this.isClosed;
    if (isKept) this.#plain.push(lease);
    else unwatch(lease);
  }

  /** Takes a block back of which nothing is leased any more. */
  takeBack(block: Block): void {
    const { slot, generation, isLost } = block;
    const isKept = !isLost && this.settings.enabled && !block.external &&
      !this.isClosed;
    if (!isKept) this.#forget(block);
    const status = isLost
      ? this.#native.basalt_pool_quarantine(this.id, slot, generation)
      : this.#native.basalt_pool_release(this.id, slot, generation);
    if (status < 0) throw statusError(status, "basalt_pool_release");
  }

  /** Counts a forgotten lease, and reports it if leaks are tracked. */
  forgotten(lease: Lease): void {
    this.count(COUNTER.LEAKED, 1);
    if (lease.stack === null) return;
    const { capacity, stack } = lease;
    if (this.leaks.length === MAX_LEAKS) this.leaks.shift();
    this.leaks.push({ capacity, stack });
    this.onLeak?.(
      `A buffer of ${capacity} bytes was forgotten without 'drop()'; it was acquired\n${stack}`,
    );
  }

  /** Adds to a counter. */
  count(counter: number, delta: number): void {
    this.#native.basalt_pool_count(this.id, counter, delta);
  }

  /** Returns the figures, as `decodeStats` takes them. */
  stats(): Float64Array {
    const values = new Float64Array(STATS_COUNT);
    checked(
      this.#native.basalt_pool_stats(this.id, values, values.length),
      "basalt_pool_stats",
    );
    return values;
  }

  /** Unmaps free blocks. Returns the bytes that were given up. */
  trim(): number {
    // V8 counts the buffers of free blocks, too.
    for (const block of this.#blocks) {
      if (block?.whole.state === "free") block.whole.discard();
    }
    return 1024 *
      checked(this.#native.basalt_pool_trim(this.id), "basalt_pool_trim");
  }

  /** Leaves the pool; leases go on. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#plain.forEach(unwatch);
    this.#plain.length = 0;
    for (const block of this.#blocks) {
      if (block?.whole.state === "free") this.#forget(block);
    }
    checked(this.#native.basalt_pool_close(this.id), "basalt_pool_close");
  }
}

function stackOfCaller(): string {
  const holder: { stack?: string } = {};
  Error.captureStackTrace(holder, stackOfCaller);
  // The first line is the error's name, and the next are Basalt's own.
  return (holder.stack ?? "").split("\n").slice(1).join("\n");
}
