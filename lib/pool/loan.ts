import { nativeBuffer } from "../native/mod.ts";
import type { LeaseToken } from "./_lease.ts";

/** The method of a buffer by which {@linkcode BufferPool.lend} lends a range of it. */
export const LEND: unique symbol = Symbol("lend");

/** Loans whose bytes were viewed: kept until they end, because a view could outlive its loan. */
const viewed = new Set<Loan>();

/**
 * A range of memory lent to an operation in flight. All I/O with memory of a pool goes through
 * loans.
 *
 * Native code finds the bytes by pool, slot, generation, start and length, without an address; a
 * simulation by a private view. The caller of {@linkcode BufferPool.lend} calls
 * {@linkcode Loan.end} when the operation is complete.
 *
 * @example Lending and returning
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
 * assertEquals(buffer.bytes[0], 7);
 * ```
 */
export class Loan {
  /** The pool's number. */
  readonly poolId: number;
  /** The number of the block's slot in the pool. */
  readonly slot: number;
  /** The slot's generation, by which native code refuses a stale loan. */
  readonly generation: number;
  /** The first byte, counted from the block's. */
  readonly start: number;
  /** Bytes. */
  readonly length: number;
  /** What the operation does with the memory. */
  readonly access: "read" | "write";
  #token: LeaseToken | null;
  #bytes: Uint8Array<ArrayBuffer> | null = null;

  /**
   * Pins a range of a lease, counted from its first byte.
   *
   * @throws {TypeError} If the lease is plain memory.
   * @ignore
   */
  constructor(
    token: LeaseToken,
    start: number,
    length: number,
    access: "read" | "write",
  ) {
    const { lease } = token;
    const { block } = lease;
    if (block === null) {
      throw new TypeError(
        "Cannot lend buffer as it is plain memory: acquire it without 'aligned: false'",
      );
    }
    lease.pins++;
    this.#token = token;
    this.poolId = lease.pool.id;
    this.slot = block.slot;
    this.generation = block.generation;
    this.start = lease.start + start;
    this.length = length;
    this.access = access;
  }

  /**
   * The lent bytes as a separate view, which is empty once the loan ends.
   *
   * @throws {TypeError} If the loan has ended.
   */
  get bytes(): Uint8Array<ArrayBuffer> {
    if (this.#bytes !== null) return this.#bytes;
    if (this.#token === null) {
      throw new TypeError("Cannot use loan: it has ended");
    }
    if (this.length === 0) return this.#bytes = new Uint8Array(0);
    const { address } = this.#token.lease.block!;
    viewed.add(this);
    return this.#bytes = new Uint8Array(
      nativeBuffer(address, this.start, this.length),
    );
  }

  /**
   * Ends the loan: the memory returns to its owner, or to the pool if the owner has dropped it.
   * Ending twice does nothing.
   */
  end(): void {
    const token = this.#token;
    if (token === null) return;
    this.#token = null;
    const { lease } = token;
    const bytes = this.#bytes;
    if (bytes !== null && this.length > 0) {
      viewed.delete(this);
      if (bytes.buffer.detached) lease.block!.isLost = true;
      else bytes.buffer.transfer(0);
    }
    this.#bytes = null;
    if (lease.state === "lent") lease.state = "leased";
    lease.unpin(token);
  }
}
