import { nativeBuffer } from "../native/mod.ts";
import type { Anchor } from "./region.ts";

/** Loans whose bytes are in use: they live until they end, for a view of theirs could outlive them. */
const viewed = new Set<Loan>();

/** Makes a loan of bytes that the caller has pinned: internal to the pool. */
export let makeLoan: (
  anchor: Anchor,
  start: number,
  length: number,
  access: "read" | "write",
) => Loan;

/**
 * Memory that is lent to an operation in flight: the only way by which a pool's memory reaches I/O.
 *
 * It names the bytes for native code by pool, slot, generation, start and length (no address), and shows them as a private view to a simulation.
 * {@linkcode BufferPool.lend} makes it; whoever asked for it calls {@linkcode Loan.end} when the operation is complete.
 *
 * @example Lending and getting back
 * ```ts
 * import { BufferPool } from "@basalt/io";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * using pool = new BufferPool();
 * using buffer = pool.acquireSync(4096, { zeroed: true });
 * const view = buffer.bytes;
 *
 * const loan = pool.lend(buffer);
 * assertEquals(view.length, 0);
 * assertThrows(() => buffer.bytes, TypeError, "lent to an operation in flight");
 * loan.bytes[0] = 7;
 * loan.end();
 * assertEquals(buffer.getUint8(0), 7);
 * ```
 */
export class Loan {
  /** The pool's number. */
  readonly poolId: number;
  /** The number of the block's slot in the pool. */
  readonly slot: number;
  /** The slot's generation, by which native code recognises a loan that came too late. */
  readonly generation: number;
  /** The first byte, counted from the block's. */
  readonly start: number;
  /** Bytes. */
  readonly length: number;
  /** What the operation does with the memory. */
  readonly access: "read" | "write";
  #anchor: Anchor | null;
  #bytes: Uint8Array<ArrayBuffer> | null = null;

  static {
    makeLoan = (anchor, start, length, access) =>
      new Loan(anchor, start, length, access);
  }

  private constructor(
    anchor: Anchor,
    start: number,
    length: number,
    access: "read" | "write",
  ) {
    const { region } = anchor;
    const block = region.block!;
    this.#anchor = anchor;
    this.poolId = region.ledger.id;
    this.slot = block.slot;
    this.generation = block.generation;
    this.start = region.start + start;
    this.length = length;
    this.access = access;
  }

  /**
   * A view of the lent bytes that nobody else has; empty once the loan ends.
   *
   * @throws {TypeError} If the loan has ended.
   */
  get bytes(): Uint8Array<ArrayBuffer> {
    if (this.#bytes !== null) return this.#bytes;
    if (this.#anchor === null) {
      throw new TypeError("Cannot use loan: it has ended");
    }
    if (this.length === 0) return this.#bytes = new Uint8Array(0);
    const { low, high } = this.#anchor.region.block!;
    viewed.add(this);
    return this.#bytes = new Uint8Array(
      nativeBuffer([low, high], this.start, this.length),
    );
  }

  /** Ends the loan: the memory is its owner's again, or the pool's if the owner has dropped it. Ending twice does nothing. */
  end(): void {
    const anchor = this.#anchor;
    if (anchor === null) return;
    this.#anchor = null;
    const { region } = anchor;
    const bytes = this.#bytes;
    if (bytes !== null && this.length > 0) {
      this.#bytes = null;
      viewed.delete(this);
      if (bytes.buffer.detached) region.block!.lost = true;
      else bytes.buffer.transfer(0);
    }
    this.#bytes = null;
    region.lent = false;
    region.unpin(anchor);
  }
}
