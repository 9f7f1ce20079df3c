import type { Ledger } from "./ledger.ts";
import { Region } from "./region.ts";

/** What an isolate remembers of a slot of the pool, from lease to lease. */
export class Block {
  /** The number of the slot. */
  readonly slot: number;
  /** The slot's generation: another one means other memory. */
  readonly generation: number;
  /** The low word of the address. */
  readonly low: number;
  /** The high word of the address. */
  readonly high: number;
  /** Bytes. */
  readonly capacity: number;
  /** Whether the block lies beyond the limit, and ends with its lease. */
  readonly external: boolean;
  /** The region that is the whole block. */
  readonly whole: Region;
  /** Regions that are leased: the whole, or the parts. */
  regions = 0;
  /** The parts that are leased, if the block was ever split. */
  parts: Set<Region> | undefined;
  /** Whether someone else detached a view: the block must never be used again. */
  lost = false;

  /** Makes the record from what `basalt_pool_acquire` wrote. */
  constructor(ledger: Ledger, out: Uint32Array) {
    this.slot = out[0]!;
    this.generation = out[1]!;
    this.capacity = out[2]!;
    this.external = (out[3]! & 1) !== 0;
    this.low = out[4]!;
    this.high = out[5]!;
    this.whole = new Region(ledger, this, 0, this.capacity);
  }
}
