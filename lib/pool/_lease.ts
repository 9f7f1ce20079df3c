/**
 * A lease: memory of a pool from the request until it comes back.
 *
 * The memory of a lease is a range of one block, or plain memory of V8 for a short request without
 * alignment. One `ArrayBuffer` lies over exactly that range; detaching it empties every view.
 *
 * | state         | owner of the memory        | transitions                                      |
 * | ------------- | -------------------------- | ------------------------------------------------ |
 * | `free`        | the pool                   | acquire: `leased`                                |
 * | `leased`      | one `PooledBuffer`         | lend: `lent`; freeze: `frozen`; split: `divided` |
 * | `lent`        | one operation in flight    | end of the loan: `leased`                        |
 * | `frozen`      | any number of readers      | none but the end of the lease                    |
 * | `divided`     | the leases of its parts    | end of the last part: `free` or `quarantined`    |
 * | `quarantined` | code that detached a view  | none: the block is never used again              |
 *
 * A lease ends when its last holder is dropped and its last pin is gone. Holders are buffers; pins
 * are loans, and promises passed to `hold`. A buffer can be dropped while its memory is pinned. The
 * end makes the lease `free`, or `quarantined` if a view was handed out and other code detached it
 * (`postMessage`, `transfer`), because that code may still use the memory. The next use of the
 * buffer also notices a detached view, and ends the lease at once.
 *
 * **Forgotten buffers.** Every holder and every pin refers to the token of its lease; the pool
 * refers to the token only while the memory is free. So a token is collected when no object is left
 * that could drop the buffer. A view may be left, in use or detached, and for the collector both
 * look the same. Therefore the memory comes back in two steps:
 *
 * ```text
 * token collected:   if a view was handed out and is not detached:
 *                      leave the ArrayBuffer to its views, and watch it
 *                    else: end the lease (quarantined if detached)
 * buffer collected:  end the lease
 * ```
 *
 * A block keeps its token from lease to lease, so that only the first lease pays for registering
 * it. The tokens of parts are not registered: they refer to the token of the whole block, which is
 * watched for all of them, because the block comes back with its last part anyway.
 *
 * @module
 */
import { nativeBuffer } from "../native/mod.ts";
import type { PoolHandle } from "./_pool_handle.ts";
import { COUNTER } from "./pool_stats.ts";

/** The owner of the memory of a lease: see the table at the head of this file. */
export type LeaseState =
  | "free"
  | "leased"
  | "lent"
  | "frozen"
  | "divided"
  | "quarantined";

/** Refers to a lease from its holders and pins; once it is collected, the lease was forgotten. */
export class LeaseToken {
  /** The memory that is leased. */
  readonly lease: Lease;
  /** The token of the whole block; `null` for anything but a part. */
  readonly whole: LeaseToken | null;

  /** Makes a token; {@linkcode watch} also registers it. */
  constructor(lease: Lease, whole: LeaseToken | null) {
    this.lease = lease;
    this.whole = whole;
  }
}

/** Describes a slot of the pool to this isolate, from lease to lease. */
export class Block {
  /** The number of the slot. */
  readonly slot: number;
  /** The slot's generation: another one means other memory. */
  readonly generation: number;
  /** The low and the high word of the address. */
  readonly address: [low: number, high: number];
  /** Whether the block lies beyond the limit, and ends with its lease. */
  readonly external: boolean;
  /** The lease of the whole block. */
  readonly whole: Lease;
  /** The parts that are leased, if the block was ever split. */
  parts: Set<Lease> | undefined;
  /** Whether other code detached a view: the block must never be used again. */
  isLost = false;

  /** Makes the record from what `basalt_pool_acquire` wrote. */
  constructor(pool: PoolHandle, out: Uint32Array) {
    this.slot = out[0]!;
    this.generation = out[1]!;
    this.external = (out[3]! & 1) !== 0;
    this.address = [out[4]!, out[5]!];
    this.whole = new Lease(pool, this, 0, out[2]!);
    this.whole.token = watch(this.whole);
  }
}

/** Counts the holders of a range of memory, and owns the `ArrayBuffer` over it. */
export class Lease {
  /** The pool that the memory belongs to. */
  readonly pool: PoolHandle;
  /** The block; `null` for plain memory. */
  readonly block: Block | null;
  /** The first byte, counted from the block's. */
  readonly start: number;
  /** Bytes; of plain memory they change from lease to lease. */
  capacity: number;
  /** The owner of the memory. */
  state: LeaseState = "free";
  /** Buffers that have not been dropped. */
  holders = 0;
  /** Loans, and promises that are pending. */
  pins = 0;
  /** The token while the memory is free; `null` while it is leased. */
  token: LeaseToken | null = null;
  /** Where the lease was taken, if leaks are tracked. */
  stack: string | null = null;
  /** The `ArrayBuffer`; `null` until it is needed, and once it is left to its views. */
  buffer: ArrayBuffer | null = null;
  /** Whether a view was handed out: the buffer must be detached before the owner changes. */
  isExposed = false;

  /** Makes the record of memory that is free. */
  constructor(
    pool: PoolHandle,
    block: Block | null,
    start: number,
    capacity: number,
  ) {
    this.pool = pool;
    this.block = block;
    this.start = start;
    this.capacity = capacity;
  }

  /** Begins the lease. Returns the token, for its first holder. */
  begin(): LeaseToken {
    const { token } = this;
    if (token === null) {
      throw new Error(
        `Slot ${this.block?.slot} of pool ${this.pool.id} was leased twice: this is a defect of Basalt, please report it`,
      );
    }
    this.token = null;
    this.state = "leased";
    this.holders = 1;
    return token;
  }

  /** Returns the `ArrayBuffer` for a view that is not handed out. */
  open(): ArrayBuffer {
    if (this.buffer !== null) return this.buffer;
    const { block } = this;
    return this.buffer = block === null
      ? new ArrayBuffer(this.capacity)
      : nativeBuffer(block.address, this.start, this.capacity);
  }

  /** Returns the `ArrayBuffer` for a view that is handed out. */
  expose(): ArrayBuffer {
    const buffer = this.open();
    this.isExposed = true;
    return buffer;
  }

  /** Whether other code detached a view, and may be using the memory. */
  get isStolen(): boolean {
    return this.isExposed && this.buffer!.detached;
  }

  /** Empties every view that was handed out; the memory stays. The lease must not be stolen. */
  hide(): void {
    if (!this.isExposed) return;
    this.buffer = this.buffer!.transfer();
    this.isExposed = false;
  }

  /** Lets go of the buffer, and returns what V8 counts for it at once. */
  discard(): void {
    this.buffer?.transfer(0);
    this.#abandon();
  }

  /** Leaves the buffer to its views. */
  #abandon(): void {
    this.buffer = null;
    this.isExposed = false;
  }

  /** Makes the memory shareable. */
  freeze(): void {
    this.state = "frozen";
    if (this.block !== null) this.pool.count(COUNTER.FROZEN, 1);
  }

  /**
   * Divides the memory in two; its views must be hidden. Of plain memory the halves are copies.
   *
   * @returns The tokens of `[0, at)` and of the rest.
   */
  split(token: LeaseToken, at: number): [head: LeaseToken, rest: LeaseToken] {
    const { block, start, capacity } = this;
    if (block === null) {
      const head = this.#copy(0, at);
      const rest = this.#copy(at, capacity);
      this.drop(token);
      return [head, rest];
    }
    const parts = block.parts ??= new Set();
    const whole = token.whole ?? token;
    const part = (from: number, bytes: number): LeaseToken => {
      const made = new Lease(this.pool, block, from, bytes);
      made.state = "leased";
      made.holders = 1;
      made.stack = this.stack;
      parts.add(made);
      return new LeaseToken(made, whole);
    };
    this.state = "divided";
    this.holders = 0;
    if (this !== block.whole) this.#discardPart(parts);
    return [part(start, at), part(start + at, capacity - at)];
  }

  /** Copies a range of plain memory to a lease of its own. */
  #copy(start: number, end: number): LeaseToken {
    const token = this.pool.leasePlain(end - start);
    const { lease } = token;
    new Uint8Array(lease.open()).set(
      new Uint8Array(this.open(), start, end - start),
    );
    lease.stack = this.stack;
    return token;
  }

  #discardPart(parts: Set<Lease>): void {
    this.discard();
    parts.delete(this);
  }

  /** Removes a holder. */
  drop(token: LeaseToken): void {
    if (--this.holders === 0 && this.pins === 0) this.end(token);
  }

  /** Removes a pin. */
  unpin(token: LeaseToken): void {
    if (--this.pins === 0 && this.holders === 0) this.end(token);
  }

  /** Keeps the lease until a promise settles. Returns a promise that settles as that one. */
  async hold<T>(token: LeaseToken, promise: Promise<T>): Promise<T> {
    const pin = { token };
    heldTokens.add(pin);
    this.pins++;
    try {
      return await promise;
    } finally {
      heldTokens.delete(pin);
      this.unpin(token);
    }
  }

  /**
   * Ends the lease, also of stolen memory; drops that follow do nothing. The token is `null` if it
   * was collected.
   */
  end(token: LeaseToken | null): void {
    const { state, pool, block } = this;
    if (state !== "leased" && state !== "frozen" && state !== "lent") return;
    this.state = "free";
    this.stack = null;
    if (this.isExposed) {
      if (this.buffer!.detached) this.#quarantine();
      else this.hide();
    }
    if (state === "frozen" && block !== null) pool.count(COUNTER.FROZEN, -1);
    if (block === null) {
      this.token = token ?? watch(this);
      pool.takeBackPlain(this);
    } else if (this === block.whole) {
      this.token = token ?? watch(this);
      pool.takeBack(block);
    } else {
      this.#endPart(block, token);
    }
    if (pool.onReturn !== null) pool.onReturn();
  }

  #quarantine(): void {
    this.#abandon();
    this.state = "quarantined";
    if (this.block !== null) this.block.isLost = true;
  }

  /** Ends the lease of a part, and with the last part that of the whole block. */
  #endPart(block: Block, token: LeaseToken | null): void {
    const parts = block.parts!;
    this.#discardPart(parts);
    if (parts.size > 0) return;
    const { whole } = block;
    whole.state = block.isLost ? "quarantined" : "free";
    whole.token = token?.whole ?? watch(whole);
    this.pool.takeBack(block);
  }

  /** Recovers the block or the plain memory after its token was collected. */
  recover(): void {
    const parts = this.block?.parts;
    if (parts === undefined || parts.size === 0) this.#recover();
    else for (const part of [...parts]) part.#recover();
  }

  #recover(): void {
    if (this.state === "free" || this.state === "quarantined") return;
    this.pool.forgotten(this);
    if (this.block !== null && this.isExposed && !this.buffer!.detached) {
      forgottenBuffers.register(this.buffer!, this);
      this.#abandon();
      return;
    }
    if (this.block === null) this.#abandon();
    this.endForgotten();
  }

  /** Ends a lease to which no holder, pin or view refers. */
  endForgotten(): void {
    this.holders = this.pins = 0;
    this.end(null);
  }
}

/** Tokens that promises need: a pending promise may itself be collected with its callbacks. */
const heldTokens = new Set<{ readonly token: LeaseToken }>();

const forgottenTokens = new FinalizationRegistry<Lease>((lease) =>
  lease.recover()
);
const forgottenBuffers = new FinalizationRegistry<Lease>((lease) =>
  lease.endForgotten()
);

/** Makes the token of a whole block or of plain memory, and registers it. */
export function watch(lease: Lease): LeaseToken {
  const token = new LeaseToken(lease, null);
  forgottenTokens.register(token, lease, lease);
  return token;
}

/** Ends the registration of a lease that is not used again. */
export function unwatch(lease: Lease): void {
  forgottenTokens.unregister(lease);
}
