import {
  checked,
  native,
  nativeBuffer,
  STATUS,
  statusError,
} from "../native/mod.ts";
import { Block } from "./block.ts";
import { Anchor, newAnchor, Region, unwatch } from "./region.ts";
import type { LeakReport } from "./pool_stats.ts";
import { BLOCK_ALIGNMENT, SIZE_CLASSES } from "./size_class.ts";

/** The counters of `basalt_pool_count`: events that only JavaScript sees. */
export const COUNTER = {
  RESIZED: 0,
  FROZEN: 1,
  LEAKED: 2,
  PLAIN_IN_USE: 3,
  PLAIN_ACQUIRED: 4,
  WAITS: 5,
} as const;

/** The most reports of forgotten leases that are kept. */
const MAX_LEAKS = 1000;
/** The most records of plain memory that are kept for the next lease. */
const MAX_PLAIN = 256;

/** What an isolate knows of a pool: its records of slots, and every native call on them. */
export class Ledger {
  /** The pool's number. */
  readonly id: number;
  /** Whether blocks that come back are kept. */
  readonly enabled: boolean;
  /** Whether each lease remembers where it was taken. */
  readonly trackLeaks: boolean;
  /** Whether the last block that was leased is freshly mapped, so all zeros. */
  fresh = false;
  /** Called when memory came back. */
  onReturn: (() => void) | null = null;
  /** Called with a message when a tracked lease was found forgotten. */
  onLeak: ((message: string) => void) | null = null;
  /** What was found forgotten, oldest first. */
  readonly leaks: LeakReport[] = [];

  readonly #native = native();
  /** Where native code describes the last lease. */
  readonly #out: Uint32Array;
  /** Records by slot number. */
  readonly #blocks: (Block | undefined)[] = [];
  /** Free records of plain memory. */
  readonly #plain: Region[] = [];
  #closed = false;

  /** Opens the books of a pool. */
  constructor(id: number, enabled: boolean, trackLeaks: boolean) {
    this.id = id;
    this.enabled = enabled;
    this.trackLeaks = trackLeaks;
    const address = new Uint32Array(2);
    checked(
      this.#native.basalt_pool_lease_address(address),
      "basalt_pool_lease_address",
    );
    this.#out = new Uint32Array(
      nativeBuffer([address[0]!, address[1]!], 0, 32),
    );
  }

  /** Whether the pool was closed in this isolate. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Leases a block; `null` when the limit leaves no room. */
  lease(length: number, external: 0 | 1): Anchor | null {
    const out = this.#out;
    const status = this.#native.basalt_pool_acquire(
      this.id,
      length,
      external,
    );
    if (status !== 0) {
      if (status === STATUS.POOL_LIMIT) return null;
      throw statusError(
        status,
        status > -4096 ? "mmap" : "basalt_pool_acquire",
      );
    }
    this.fresh = (out[3]! & 2) !== 0;
    let block = this.#blocks[out[0]!];
    if (block === undefined || block.generation !== out[1]) {
      block = this.#adopt(out);
    }
    const region = block.whole;
    const anchor = region.anchor;
    if (anchor === null) {
      throw new Error(
        `Slot ${block.slot} of pool ${this.id} was leased twice: this is a defect of Basalt, please report it`,
      );
    }
    region.anchor = null;
    region.holders = 1;
    block.regions = 1;
    if (this.trackLeaks) region.stack = stackOfCaller();
    return anchor;
  }

  #adopt(out: Uint32Array): Block {
    const slot = out[0]!;
    const old = this.#blocks[slot];
    if (old !== undefined) this.#forget(old);
    const block = new Block(this, out);
    block.whole.anchor = newAnchor(block.whole);
    this.#blocks[slot] = block;
    return block;
  }

  #forget(block: Block): void {
    block.whole.discard();
    unwatch(block.whole);
    this.#blocks[block.slot] = undefined;
  }

  /** Leases plain memory of fewer than 4096 bytes; the next multiple of 64. */
  leasePlain(length: number): Anchor {
    const capacity = Math.min(
      Math.max(64, Math.ceil(length / 64) * 64),
      BLOCK_ALIGNMENT,
    );
    let region = this.#plain.pop();
    if (region === undefined) {
      region = new Region(this, null, 0, capacity);
      region.anchor = newAnchor(region);
    }
    const anchor = region.anchor!;
    region.capacity = capacity;
    region.anchor = null;
    region.holders = 1;
    this.fresh = true;
    if (this.trackLeaks) region.stack = stackOfCaller();
    this.count(COUNTER.PLAIN_IN_USE, 1);
    this.count(COUNTER.PLAIN_ACQUIRED, 1);
    return anchor;
  }

  /**
   * Divides a leased region in two. Its views must be hidden. Of plain memory the halves are copies, fewer than 4096 bytes.
   *
   * @returns The anchors of `[0, at)` and of the rest.
   */
  split(anchor: Anchor, at: number): [head: Anchor, tail: Anchor] {
    const { region } = anchor;
    const { block } = region;
    if (block === null) {
      const bytes = new Uint8Array(region.open());
      const head = this.leasePlain(at);
      const tail = this.leasePlain(region.capacity - at);
      tail.region.capacity = region.capacity - at;
      new Uint8Array(head.region.open()).set(bytes.subarray(0, at));
      new Uint8Array(tail.region.open()).set(bytes.subarray(at));
      head.region.stack = tail.region.stack = region.stack;
      region.drop(anchor);
      return [head, tail];
    }
    const whole = anchor.whole ?? anchor;
    const parts = block.parts ??= new Set();
    const part = (start: number, capacity: number): Anchor => {
      const made = new Region(this, block, start, capacity);
      made.holders = 1;
      made.stack = region.stack;
      parts.add(made);
      return new Anchor(made, whole);
    };
    block.regions++;
    region.holders = 0;
    if (region !== block.whole) this.#discardPart(region, parts);
    return [
      part(region.start, at),
      part(region.start + at, region.capacity - at),
    ];
  }

  #discardPart(region: Region, parts: Set<Region>): void {
    region.discard();
    parts.delete(region);
  }

  /** Enters the end of a region's lease; its views are hidden. */
  end(region: Region): void {
    const { block } = region;
    if (region.frozen) {
      region.frozen = false;
      if (block !== null) this.count(COUNTER.FROZEN, -1);
    }
    region.stack = null;
    if (block === null) {
      this.#endPlain(region);
    } else {
      if (region !== block.whole) this.#discardPart(region, block.parts!);
      if (--block.regions === 0) {
        // After the last part; if the parts were forgotten, the anchor is gone.
        block.whole.anchor ??= region.anchor!.whole ?? newAnchor(block.whole);
        this.#return(block);
      }
    }
    if (this.onReturn !== null) this.onReturn();
  }

  #endPlain(region: Region): void {
    region.discard();
    this.count(COUNTER.PLAIN_IN_USE, -1);
    if (
      region.holders === 0 && region.pins === 0 &&
      this.#plain.length < MAX_PLAIN && !this.#closed
    ) this.#plain.push(region);
    else unwatch(region);
  }

  #return(block: Block): void {
    const keep = !block.lost && this.enabled && !block.external &&
      !this.#closed;
    if (!keep) this.#forget(block);
    const status = block.lost
      ? this.#native.basalt_pool_quarantine(
        this.id,
        block.slot,
        block.generation,
      )
      : this.#native.basalt_pool_release(
        this.id,
        block.slot,
        block.generation,
      );
    if (status < 0) throw statusError(status, "basalt_pool_release");
  }

  /** Enters that a lease was found forgotten. */
  leaked(region: Region): void {
    this.count(COUNTER.LEAKED, 1);
    if (region.stack === null) return;
    const { capacity, stack } = region;
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

  /** Fills `values` with the figures. */
  stats(values: Float64Array<ArrayBuffer>): void {
    checked(
      this.#native.basalt_pool_stats(
        this.id,
        new Uint8Array(values.buffer),
        values.length,
      ),
      "basalt_pool_stats",
    );
  }

  /** Unmaps free blocks; the bytes that were given up. */
  trim(): number {
    this.#discardFree();
    return 1024 *
      checked(this.#native.basalt_pool_trim(this.id), "basalt_pool_trim");
  }

  /** Leaves the pool; leases go on. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#plain.forEach(unwatch);
    this.#plain.length = 0;
    this.#blocks.forEach((block) => {
      if (block !== undefined && block.regions === 0) this.#forget(block);
    });
    checked(this.#native.basalt_pool_close(this.id), "basalt_pool_close");
  }

  /** Gives back what V8 counts for the buffers of free blocks. */
  #discardFree(): void {
    for (const block of this.#blocks) {
      if (block !== undefined && block.regions === 0) block.whole.discard();
    }
  }
}

/** The sum of free room that could ever be had is too small for a request, whoever returns what. */
export function neverFits(
  length: number,
  limitBytes: number,
  quarantinedBytes: number,
): boolean {
  const size = SIZE_CLASSES.find((each) => each >= length)!;
  return size > limitBytes - quarantinedBytes;
}

function stackOfCaller(): string {
  const holder: { stack?: string } = {};
  Error.captureStackTrace(holder, stackOfCaller);
  // The first line is the error's name, and the next are Basalt's own.
  return (holder.stack ?? "").split("\n").slice(1).join("\n");
}
