import { nativeBuffer } from "../native/mod.ts";
import type { Block } from "./block.ts";
import type { Ledger } from "./ledger.ts";

/**
 * What wrappers refer to while a region is leased, and nothing else does: when it is collected, every wrapper was forgotten.
 *
 * A whole block keeps its anchor from lease to lease, so that only the first one pays for the registration. The parts of a block have anchors of their own,
 * which refer to the block's: that one is watched for all of them, for the block comes back with the last of them anyway.
 */
export class Anchor {
  /** The memory that is leased. */
  readonly region: Region;
  /** The anchor of the whole block; `null` for anything but a part. */
  readonly whole: Anchor | null;

  /** Makes an anchor; {@linkcode newAnchor} also watches over it. */
  constructor(region: Region, whole: Anchor | null) {
    this.region = region;
    this.whole = whole;
  }
}

/** Makes the anchor of a whole block or of plain memory, and watches over it. */
export function newAnchor(region: Region): Anchor {
  const anchor = new Anchor(region, null);
  forgottenWrappers.register(anchor, region, region);
  return anchor;
}

/** A range of a block, or plain memory, with one `ArrayBuffer` over exactly it. */
export class Region {
  /** The books in which it is entered. */
  readonly ledger: Ledger;
  /** The block; `null` for plain memory. */
  readonly block: Block | null;
  /** The first byte, counted from the block's. */
  readonly start: number;
  /** Bytes; of plain memory it changes from lease to lease. */
  capacity: number;
  /** The one `ArrayBuffer` over the region; `null` until it is needed, and while only the garbage collector knows whether a view is left. */
  buffer: ArrayBuffer | null = null;
  /** For numbers: over the whole buffer, never handed out. */
  #numbers: DataView<ArrayBuffer> | null = null;
  /** Whether a view was handed out since the buffer was made: it must be detached before anybody else gets the memory. */
  exposed = false;
  /** Wrappers that have not been dropped. */
  holders = 0;
  /** Loans and promises that keep the lease alive. */
  pins = 0;
  /** Whether the pooled buffer is lent. */
  lent = false;
  /** Whether the region is shared by frozen buffers. */
  frozen = false;
  /** Where the lease was taken, if leaks are tracked. */
  stack: string | null = null;
  /** The anchor while the region is free; `null` while it is leased, for then only wrappers may hold it. */
  anchor: Anchor | null = null;

  /** Makes the record of a region that is not leased. */
  constructor(
    ledger: Ledger,
    block: Block | null,
    start: number,
    capacity: number,
  ) {
    this.ledger = ledger;
    this.block = block;
    this.start = start;
    this.capacity = capacity;
  }

  /** The `ArrayBuffer`, made if there is none yet. */
  open(): ArrayBuffer {
    if (this.buffer !== null) return this.buffer;
    const { block } = this;
    return this.buffer = block === null
      ? new ArrayBuffer(this.capacity)
      : nativeBuffer([block.low, block.high], this.start, this.capacity);
  }

  /** A view for numbers over the whole region. */
  numbers(): DataView<ArrayBuffer> {
    return this.#numbers ??= new DataView(this.open());
  }

  /** Whether someone else detached the view, and may be using the memory. */
  get stolen(): boolean {
    return this.exposed && this.buffer!.detached;
  }

  /** Makes every view that was handed out empty; the memory and what is in it stay. The region must not be stolen. */
  hide(): void {
    if (!this.exposed) return;
    this.buffer = this.buffer!.transfer();
    this.#numbers = null;
    this.exposed = false;
  }

  /** Forgets the buffer, and gives what V8 counts for it back at once. */
  discard(): void {
    this.buffer?.transfer(0);
    this.#abandon();
  }

  /** Refers to no buffer any more. */
  #abandon(): void {
    this.buffer = null;
    this.#numbers = null;
    this.exposed = false;
  }

  /** One wrapper less. */
  drop(anchor: Anchor): void {
    if (--this.holders === 0 && this.pins === 0) this.#end(anchor);
  }

  /** One loan or promise less. */
  unpin(anchor: Anchor): void {
    if (--this.pins === 0 && this.holders === 0) this.#end(anchor);
  }

  /** Ends the lease because the memory was stolen; what is still to be dropped does nothing any more. */
  lose(anchor: Anchor): void {
    if (this.anchor === null) this.#end(anchor);
  }

  #end(anchor: Anchor): void {
    if (this.anchor !== null) return;
    if (this.exposed) {
      if (this.buffer!.detached) {
        this.#abandon();
        if (this.block !== null) this.block.lost = true;
      } else {
        this.hide();
      }
    }
    this.anchor = anchor;
    this.ledger.end(this);
  }

  /** Every wrapper of the block or the plain memory was forgotten. */
  forget(): void {
    const parts = this.block?.parts;
    if (parts === undefined || parts.size === 0) this.#forget();
    else for (const part of [...parts]) part.#forget();
  }

  #forget(): void {
    if (this.anchor !== null) return;
    this.ledger.leaked(this);
    if (this.block === null) {
      this.#abandon();
    } else if (this.exposed && !this.buffer!.detached) {
      // A view may be in use still: from here on only the collector can tell.
      forgottenViews.register(this.buffer!, this);
      this.#abandon();
      return;
    }
    this.reclaim();
  }

  /** Ends the lease of a region whose anchor was collected. */
  reclaim(): void {
    this.holders = this.pins = 0;
    this.lent = false;
    const whole = this.block === null || this === this.block.whole;
    this.#end(whole ? newAnchor(this) : new Anchor(this, null));
  }
}

/**
 * Two stages, because a view that someone transferred away looks the same to the collector as one that nobody needs.
 * While a wrapper lives the region holds the buffer, so when the wrapper is gone it can still be asked whether it was detached.
 * Only then is the buffer left to its views, and the memory comes back when the last of them is gone.
 */
const forgottenWrappers: FinalizationRegistry<Region> =
  new FinalizationRegistry((region) => region.forget());
const forgottenViews: FinalizationRegistry<Region> = new FinalizationRegistry(
  (region) => region.reclaim(),
);

/** Stops watching over a region that is not used again. */
export function unwatch(region: Region): void {
  forgottenWrappers.unregister(region);
}
