import {
  BufferPool,
  type PooledBuffer,
  PoolLimitError,
} from "../../lib/pool/mod.ts";

/** What the checks of `seed_test.ts` need of a pool: of Iggy's as well as of ours. */
export interface Subject {
  /** Leases memory. Throws `PoolLimitError` where the pool refuses. */
  acquire(length: number, aligned?: boolean): SubjectBuffer;
  /** Waits for memory where the pool can. */
  wait(length: number): Promise<SubjectBuffer>;
  /** Bytes that the pool reports as in use within its limit. */
  usedBytes(): number;
  /** Bytes that are really taken from the system, whatever the pool reports. */
  takenBytes(): number;
  /** Number of blocks that were allocated for a request. */
  madeBlocks(): number;
  /** Number of blocks that returned and were thrown away. */
  droppedBlocks(): number;
  /** Memory beyond the limit: number of leases, and of their ends. */
  externals(): [acquired: number, returned: number];
  /** All figures as text, if the pool has such a report. */
  report(): string | undefined;
}

/** A lease of a {@linkcode Subject}. */
export interface SubjectBuffer {
  readonly capacity: number;
  /** Whether the memory is known to be beyond the limit. */
  readonly external: boolean;
  /** The bytes that can be reached through the lease now. */
  view(): Uint8Array;
  grow(additionalBytes: number): void;
  /** Returns the head, and how many bytes were copied for it. */
  splitTo(at: number): [head: SubjectBuffer, copiedBytes: number];
  /** Shares the memory among `readers`, and drops them all. */
  freezeAndDrop(readers: number): void;
  /** Takes the memory away from the pool, as far as the pool allows it. */
  escape(): void;
  drop(): void;
}

const CLASS_KIB = [4, 8, 16, 32, 64, 128, 256, 512, 768, 1024, 1536, 2048];

/**
 * The rules of Iggy's pool as in its source. Its memory is plain arrays, and only counted where
 * contents do not matter.
 */
export class SeedPool implements Subject {
  readonly #limitBytes: number;
  readonly #classes = CLASS_KIB.map((kib) => ({
    bytes: kib * 1024,
    free: [] as Uint8Array[],
    used: 0,
  }));
  #made = 0;
  #dropped = 0;
  #taken = 0;
  #externalAcquired = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  acquire(length: number): SubjectBuffer {
    // A sum over all classes, which is not atomic.
    const used = this.usedBytes();
    const index = this.#classes.findIndex((each) => each.bytes >= length);
    const own = this.#classes[index]!;
    if (used + own.bytes > this.#limitBytes) {
      // Above the limit, memory is allocated nevertheless.
      this.#externalAcquired++;
      return this.#buffer(this.#make(length), -1);
    }
    own.used++;
    return this.#buffer(own.free.pop() ?? this.#make(own.bytes), index);
  }

  wait(length: number): Promise<SubjectBuffer> {
    return Promise.resolve(this.acquire(length));
  }

  usedBytes(): number {
    return this.#classes.reduce((sum, each) => sum + each.used * each.bytes, 0);
  }

  takenBytes(): number {
    return this.#taken;
  }

  madeBlocks(): number {
    return this.#made;
  }

  droppedBlocks(): number {
    return this.#dropped;
  }

  externals(): [number, number] {
    return [this.#externalAcquired, 0];
  }

  report(): undefined {
    return undefined;
  }

  #make(bytes: number): Uint8Array {
    this.#made++;
    this.#taken += bytes;
    return new Uint8Array(bytes);
  }

  #buffer(memory: Uint8Array, index: number): SubjectBuffer {
    let bytes: Uint8Array | null = memory;
    const buffer: SubjectBuffer = {
      capacity: memory.length,
      external: false,
      view: () => bytes!,
      grow: (additionalBytes) => {
        const larger = this.#make(bytes!.length + additionalBytes);
        larger.set(bytes!);
        this.#taken -= bytes!.length;
        bytes = larger;
        // The new class is the one above the capacity.
        if (index >= 0) this.#classes[index]!.used--;
        index = this.#classes.findIndex((each) => each.bytes >= larger.length);
        this.#classes[index]!.used++;
      },
      splitTo: (at) => {
        const head = this.#make(at);
        head.set(bytes!.subarray(0, at));
        bytes!.copyWithin(0, at);
        return [this.#buffer(head, -1), bytes!.length];
      },
      freezeAndDrop: () => {
        // The allocator frees it eventually, and the pool never sees it again.
        if (index >= 0) this.#classes[index]!.used--;
        this.#taken -= bytes!.length;
        bytes = null;
      },
      escape: () => {
        if (index >= 0) this.#classes[index]!.used--;
      },
      drop: () => {
        if (bytes === null) return;
        const own = this.#classes[index];
        if (own === undefined) {
          this.#taken -= bytes.length;
        } else {
          own.used--;
          if (bytes.length < own.bytes) {
            this.#dropped++;
            this.#taken -= bytes.length;
          } else own.free.push(bytes);
        }
        bytes = null;
      },
    };
    return buffer;
  }
}

/** Our pool as a {@linkcode Subject}. */
export class OurPool implements Subject, Disposable {
  readonly #pool: BufferPool;

  constructor(limitBytes: number, atLimit?: "wait" | "fail" | "external") {
    this.#pool = new BufferPool({
      limitBytes,
      ...(atLimit === undefined ? {} : { atLimit }),
      onWarning() {},
    });
  }

  acquire(length: number, aligned = true): SubjectBuffer {
    return wrap(this.#pool, this.#pool.acquireSync(length, { aligned }));
  }

  async wait(length: number): Promise<SubjectBuffer> {
    return wrap(this.#pool, await this.#pool.acquire(length));
  }

  usedBytes(): number {
    const { inUseBytes, quarantinedBytes } = this.#pool.stats();
    return inUseBytes + quarantinedBytes;
  }

  takenBytes(): number {
    const { mappedBytes, externalBytes } = this.#pool.stats();
    return mappedBytes + externalBytes;
  }

  madeBlocks(): number {
    const { classes, dropped } = this.#pool.stats();
    return dropped + classes.reduce(
      (sum, each) => sum + each.inUse + each.free + each.quarantined,
      0,
    );
  }

  droppedBlocks(): number {
    return this.#pool.stats().dropped;
  }

  externals(): [number, number] {
    const { externalAcquired, externalReturned } = this.#pool.stats();
    return [externalAcquired, externalReturned];
  }

  report(): string {
    return this.#pool.report();
  }

  [Symbol.dispose](): void {
    this.#pool.close();
  }
}

function wrap(pool: BufferPool, buffer: PooledBuffer): SubjectBuffer {
  return {
    capacity: buffer.capacity,
    external: buffer.external,
    view: () => buffer.bytes,
    grow: (additionalBytes) => buffer.reserve(additionalBytes),
    splitTo: (at) => {
      const loan = pool.lend(buffer);
      const { slot, start, length } = loan;
      loan.end();
      const head = buffer.splitTo(at);
      const halves = [pool.lend(head), pool.lend(buffer)] as const;
      for (const half of halves) half.end();
      // The halves lie where the whole did, end to end, so nothing was copied.
      const stayed = halves[0].slot === slot && halves[1].slot === slot &&
        halves[0].start === start && halves[1].start === start + at &&
        halves[0].length + halves[1].length === length;
      return [wrap(pool, head), stayed ? 0 : length];
    },
    freezeAndDrop: (readers) => {
      const frozen = buffer.freeze();
      const others = Array.from(
        { length: readers - 1 },
        (_, i) => frozen.slice(i),
      );
      for (const each of [...others, frozen]) each.drop();
    },
    escape: () => {
      buffer.bytes.buffer.transfer();
      buffer.drop();
    },
    drop: () => buffer.drop(),
  };
}

export { PoolLimitError };
