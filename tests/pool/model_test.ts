/**
 * Random sequences of calls compared with a naive model: what succeeds, what the bytes are, and
 * what the figures are.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  BufferPool,
  type FrozenBuffer,
  type Loan,
  type PooledBuffer,
  PoolLimitError,
  SIZE_CLASSES,
} from "../../lib/pool/mod.ts";

const LIMIT = 256 * 1024;
const MAX_LENGTH = 80 * 1024;

/** A block or plain memory, and its number of owners. */
interface ModelBlock {
  /** 0 for plain memory. */
  readonly size: number;
  owners: number;
  lost: boolean;
}

/** A buffer and what it should be. */
interface Live {
  readonly buffer: PooledBuffer;
  block: ModelBlock;
  bytes: number[];
  loan: Loan | null;
  dropped: boolean;
}

interface LiveFrozen {
  readonly buffer: FrozenBuffer;
  readonly block: ModelBlock;
  readonly bytes: number[];
  /** The number of holders of the same frozen memory. */
  readonly holders: { count: number };
}

/** The expected state of a pool. */
class Model {
  readonly pool = new BufferPool({
    limitBytes: LIMIT,
    atLimit: "fail",
    onWarning() {},
  });
  live: Live[] = [];
  frozen: LiveFrozen[] = [];
  readonly blocks = new Set<ModelBlock>();
  acquired = 0;
  returned = 0;
  plainAcquired = 0;
  resized = 0;
  frozenParts = 0;
  #next = 0;

  /** Bytes of blocks that no other owner can get. */
  get used(): number {
    return [...this.blocks].reduce((sum, each) => sum + each.size, 0);
  }

  take(length: number, plain: boolean): ModelBlock | null {
    const size = plain ? 0 : SIZE_CLASSES.find((each) => each >= length)!;
    if (this.used + size > LIMIT) return null;
    const block = { size, owners: 1, lost: false };
    this.blocks.add(block);
    if (plain) this.plainAcquired++;
    else this.acquired++;
    return block;
  }

  give(block: ModelBlock): void {
    if (--block.owners > 0 || block.lost && block.size > 0) return;
    this.blocks.delete(block);
    if (block.size > 0) this.returned++;
  }

  /** Drops one holder of frozen memory. */
  release({ block, holders }: LiveFrozen): void {
    if (--holders.count > 0) return;
    if (block.size > 0) this.frozenParts--;
    this.give(block);
  }

  /** Returns bytes that occur nowhere else. */
  pattern(count: number): number[] {
    const seed = this.#next++ * 31;
    return Array.from({ length: count }, (_, i) => (seed + i) % 256);
  }

  check(): void {
    for (const { buffer, bytes, loan, dropped } of this.live) {
      if (dropped) {
        assertEquals(buffer.state, "dropped");
        assertEquals([...loan!.bytes], bytes);
      } else if (loan !== null) {
        assertEquals(buffer.state, "lent");
        assertEquals([...loan.bytes], bytes);
      } else {
        assertEquals(buffer.length, bytes.length);
        assert(equal(buffer.bytes, bytes), "The bytes of a buffer changed");
      }
    }
    for (const { buffer, bytes } of this.frozen) {
      assert(
        equal(buffer.bytes, bytes),
        "The bytes of a frozen buffer changed",
      );
    }
    const stats = this.pool.stats();
    const all = [...this.blocks];
    const lost = all.filter((each) => each.owners === 0);
    const bytesOf = (blocks: ModelBlock[]) =>
      blocks.reduce((sum, each) => sum + each.size, 0);
    assert(stats.mappedBytes <= LIMIT);
    assert(stats.peakMappedBytes <= LIMIT);
    assertEquals(
      [
        stats.inUseBytes,
        stats.quarantinedBytes,
        stats.acquired,
        stats.returned,
        stats.plainInUse,
        stats.plainAcquired,
        stats.frozen,
        stats.resized,
      ],
      [
        bytesOf(all) - bytesOf(lost),
        bytesOf(lost),
        this.acquired,
        this.returned,
        all.filter((each) => each.size === 0).length,
        this.plainAcquired,
        this.frozenParts,
        this.resized,
      ],
    );
    assertEquals(
      stats.mappedBytes,
      stats.inUseBytes + stats.freeBytes + stats.quarantinedBytes,
    );
  }
}

function equal(view: Uint8Array, bytes: number[]): boolean {
  return view.length === bytes.length &&
    view.every((byte, i) => byte === bytes[i]);
}

/** What a step does to one of the live buffers. `n` selects lengths and positions. */
const ON_LIVE: Record<string, (model: Model, each: Live, n: number) => void> = {
  write(model, each) {
    each.bytes = model.pattern(each.bytes.length);
    each.buffer.bytes.set(each.bytes);
  },
  put(_, each, n) {
    if (each.bytes.length < 4) {
      assertThrows(() => each.buffer.view.setUint32(0, n, true), RangeError);
      return;
    }
    const position = n % (each.bytes.length - 3);
    each.buffer.view.setUint32(position, n, true);
    each.bytes.splice(position, 4, ...new Uint8Array(Uint32Array.of(n).buffer));
    assertEquals(each.buffer.view.getUint32(position, true), n);
  },
  append(model, each, n) {
    const added = model.pattern(n % 9000);
    grow(model, each, added.length, () => {
      const at = each.buffer.append(Uint8Array.from(added));
      assertEquals(at, each.bytes.length);
      each.bytes = each.bytes.concat(added);
    });
  },
  resize(model, each, n) {
    const length = n % MAX_LENGTH;
    grow(model, each, length - each.bytes.length, () => {
      each.buffer.resize(length);
      each.bytes = each.bytes.slice(0, length).concat(
        Array(Math.max(length - each.bytes.length, 0)).fill(0),
      );
    });
  },
  truncate(_, each, n) {
    const length = n % (each.bytes.length + 1);
    each.buffer.truncate(length);
    each.bytes.length = length;
  },
  split(model, each, n) {
    const at = n % (each.bytes.length + 1);
    const head = each.buffer.splitTo(at);
    const bytes = each.bytes.slice(0, at);
    each.bytes = each.bytes.slice(at);
    let block = each.block;
    if (block.size > 0) block.owners++;
    else {
      // Two copies instead of one memory.
      model.blocks.delete(block);
      block = model.take(0, true)!;
      each.block = model.take(0, true)!;
    }
    model.live.push({ buffer: head, block, bytes, loan: null, dropped: false });
  },
  freeze(model, each) {
    const { block, bytes } = each;
    const buffer = each.buffer.freeze();
    model.live.splice(model.live.indexOf(each), 1);
    model.frozen.push({ buffer, block, bytes, holders: { count: 1 } });
    if (block.size > 0) model.frozenParts++;
  },
  lend(model, each) {
    if (each.block.size === 0) {
      assertThrows(() => model.pool.lend(each.buffer), TypeError, "plain");
      return;
    }
    const view = each.buffer.bytes;
    each.loan = model.pool.lend(each.buffer);
    assertEquals(view.length, 0);
    each.bytes = model.pattern(each.bytes.length);
    each.loan.bytes.set(each.bytes);
  },
  drop(model, each) {
    const view = each.buffer.bytes;
    each.buffer.drop();
    assertEquals(view.length, 0);
    model.live.splice(model.live.indexOf(each), 1);
    model.give(each.block);
  },
  steal(model, each) {
    // With other owners the block stays in use until they end.
    if (each.block.owners > 1) return;
    each.buffer.bytes.buffer.transfer();
    assertThrows(() => each.buffer.bytes, TypeError, "detached");
    model.live.splice(model.live.indexOf(each), 1);
    each.block.lost = true;
    model.give(each.block);
  },
};

function grow(
  model: Model,
  each: Live,
  additionalBytes: number,
  act: () => void,
): void {
  const needed = each.bytes.length + additionalBytes;
  if (needed <= each.buffer.capacity) return act();
  const block = model.take(needed, each.block.size === 0 && needed < 4096);
  if (block === null) {
    assertThrows(act, PoolLimitError);
    return;
  }
  act();
  model.resized++;
  model.give(each.block);
  each.block = block;
}

const ON_FROZEN: Record<
  string,
  (model: Model, each: LiveFrozen, n: number) => void
> = {
  slice(model, { buffer, block, bytes, holders }, n) {
    const start = n % (bytes.length + 1);
    const end = start + (n >>> 8) % (bytes.length - start + 1);
    holders.count++;
    model.frozen.push({
      buffer: buffer.slice(start, end),
      block,
      holders,
      bytes: bytes.slice(start, end),
    });
  },
  dropFrozen(model, each) {
    each.buffer.drop();
    each.buffer.drop();
    model.frozen.splice(model.frozen.indexOf(each), 1);
    model.release(each);
  },
};

function acquire(model: Model, length: number, plain: boolean): void {
  const zeroed = length % 3 === 0;
  const block = model.take(length, plain);
  const act = () => model.pool.acquireSync(length, { aligned: !plain, zeroed });
  if (block === null) {
    assertThrows(act, PoolLimitError);
    return;
  }
  const buffer = act();
  const bytes = zeroed ? Array(length).fill(0) : model.pattern(length);
  if (!zeroed) buffer.bytes.set(bytes);
  model.live.push({ buffer, block, bytes, loan: null, dropped: false });
}

const REFUSED: ((buffer: PooledBuffer) => unknown)[] = [
  (buffer) => buffer.bytes,
  (buffer) => buffer.append("x"),
  (buffer) => buffer.freeze(),
  (buffer) => buffer.splitTo(0),
  (buffer) => buffer.pool.lend(buffer),
];

/** What may happen to a buffer that is lent. */
function onLent(model: Model, each: Live, n: number): void {
  if (!each.dropped) {
    for (const use of REFUSED) {
      assertThrows(() => use(each.buffer), TypeError, "is lent");
    }
    if (n % 3 === 0) {
      each.buffer.drop();
      each.dropped = true;
      return;
    }
  }
  each.loan!.end();
  each.loan = null;
  if (!each.dropped) return;
  model.live.splice(model.live.indexOf(each), 1);
  model.give(each.block);
}

const step = fc.record({
  kind: fc.constantFrom(
    "acquire",
    "acquire",
    "plain",
    "trim",
    ...Object.keys(ON_LIVE),
    ...Object.keys(ON_FROZEN),
  ),
  which: fc.nat(31),
  n: fc.nat(2 ** 31 - 1),
});

function run(model: Model, kind: string, which: number, n: number): void {
  if (kind === "acquire") return acquire(model, n % MAX_LENGTH, false);
  if (kind === "plain") return acquire(model, n % 4096, true);
  if (kind === "trim") {
    model.pool.trim();
    return;
  }
  if (kind in ON_FROZEN) {
    const each = model.frozen[which % model.frozen.length];
    if (each !== undefined) ON_FROZEN[kind]!(model, each, n);
    return;
  }
  const each = model.live[which % model.live.length];
  if (each === undefined) return;
  if (each.loan !== null) onLent(model, each, n);
  else ON_LIVE[kind]!(model, each, n);
}

Deno.test("BufferPool behaves like a naive model in random sequences of calls", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const model = new Model();
      try {
        for (const { kind, which, n } of steps) {
          run(model, kind, which, n);
          model.check();
        }
        for (const each of model.live) {
          each.buffer.drop();
          each.loan?.end();
          model.give(each.block);
        }
        for (const each of model.frozen) {
          each.buffer.drop();
          model.release(each);
        }
        model.live = [];
        model.frozen = [];
        model.check();
      } finally {
        model.pool.close();
      }
    }),
    { numRuns: 200 },
  );
});
