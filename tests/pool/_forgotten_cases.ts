/**
 * What the garbage collector must return to a pool, and what it must not. Runs with
 * `--v8-flags=--expose-gc`.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  BufferPool,
  type FrozenBuffer,
  type Loan,
  type PooledBuffer,
} from "../../lib/pool/mod.ts";

const gc = (globalThis as { gc?: () => void }).gc;

/** Whether the collector can be run on demand. */
export const CAN_COLLECT: boolean = gc !== undefined;

/**
 * Lets the collector and its callbacks run until `holds` is true. Callbacks never run inside
 * synchronous code.
 */
async function collectUntil(holds: () => boolean): Promise<void> {
  for (let round = 0; round < 50; round++) {
    gc!();
    await new Promise((resolve) => setTimeout(resolve, 2));
    if (holds()) return;
  }
  throw new Error("The collector did not make it happen");
}

/** Lets the collector run often enough for everything that it could do. */
async function collect(): Promise<void> {
  for (let round = 0; round < 6; round++) {
    gc!();
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Calls `act` so that nothing but its result stays on the stack. */
function apart<T>(act: () => T): T {
  return (() => act())();
}

/** The cases, by name. */
export const CASES: Record<string, () => Promise<void>> = {
  async "a forgotten buffer whose bytes were never used returns to the pool"() {
    using pool = new BufferPool();
    apart(() => {
      pool.acquireSync(4096);
      pool.acquireSync(100, { aligned: false });
    });
    await collectUntil(() => pool.stats().leaked === 2);
    const { inUseBytes, plainInUse, returned } = pool.stats();
    assertEquals([inUseBytes, plainInUse, returned], [0, 0, 1]);
  },

  async "wrapper and view are collected together: the block returns"() {
    using pool = new BufferPool();
    apart(() => pool.acquireSync(4096).bytes.fill(1));
    await collectUntil(() => pool.stats().inUseBytes === 0);
    assertEquals([pool.stats().leaked, pool.stats().quarantinedBytes], [1, 0]);
    using again = pool.acquireSync(4096);
    assertEquals(again.bytes.length, 4096);
  },

  async "the wrapper is collected first: the view stays valid, and the block returns with it"() {
    using pool = new BufferPool();
    const held: { view?: Uint8Array } = {};
    apart(() => {
      held.view = pool.acquireSync(4096).bytes.fill(1);
    });
    await collectUntil(() => pool.stats().leaked === 1);
    await collect();
    assertEquals(pool.stats().inUseBytes, 4096);
    const others = Array.from({ length: 8 }, () => pool.acquireSync(4096));
    for (const other of others) other.bytes.fill(2);
    assert(
      held.view!.length === 4096 && held.view!.every((each) => each === 1),
    );
    for (const other of others) other.drop();
    // A view of the view keeps it alive as well.
    held.view = held.view!.subarray(10, 20);
    await collect();
    assertEquals([pool.stats().inUseBytes, held.view[0]], [4096, 1]);
    delete held.view;
    await collectUntil(() => pool.stats().inUseBytes === 0);
    assertEquals([pool.stats().leaked, pool.stats().quarantinedBytes], [1, 0]);
  },

  async "the view is collected first: the buffer is as before"() {
    using pool = new BufferPool();
    const buffer = pool.acquireSync(4096);
    apart(() => buffer.bytes.fill(3));
    await collect();
    assertEquals([buffer.bytes[4095], pool.stats().leaked], [3, 0]);
    buffer.drop();
    assertEquals(pool.stats().inUseBytes, 0);
    await collect();
    assertEquals([pool.stats().leaked, pool.stats().returned], [0, 1]);
  },

  async "a view is transferred away and its wrapper forgotten: the block is quarantined, and not leased again"() {
    using pool = new BufferPool();
    const stolen = apart(() =>
      new Uint8Array(pool.acquireSync(4096).bytes.buffer.transfer()).fill(1)
    );
    await collectUntil(() => pool.stats().leaked === 1);
    await collect();
    assertEquals([pool.stats().quarantinedBytes, pool.stats().inUseBytes], [
      4096,
      0,
    ]);
    const others = Array.from({ length: 8 }, () => pool.acquireSync(4096));
    for (const other of others) other.bytes.fill(2);
    assert(stolen.every((each) => each === 1));
    for (const other of others) other.drop();
  },

  async "a dropped buffer does not return its block a second time when it is collected"() {
    using pool = new BufferPool();
    apart(() => {
      for (let i = 0; i < 100; i++) {
        const buffer = pool.acquireSync(4096);
        buffer.bytes[0] = i;
        const head = buffer.splitTo(512);
        head.bytes[0] = i;
        buffer.freeze().drop();
        head.drop();
      }
    });
    const kept = pool.acquireSync(4096);
    kept.bytes.fill(9);
    await collect();
    assertEquals([pool.stats().inUseBytes, pool.stats().leaked], [4096, 0]);
    assertEquals([kept.state, kept.bytes[4095]], ["leased", 9]);
    assertEquals(pool.stats().acquired - pool.stats().returned, 1);
    kept.drop();
  },

  async "a block that was forgotten, returned and leased again has an owner like any other"() {
    using pool = new BufferPool({ limitBytes: 4096 });
    for (let round = 1; round <= 3; round++) {
      apart(() => pool.acquireSync(4096).bytes.fill(round));
      await collectUntil(() => pool.stats().inUseBytes === 0);
      assertEquals(pool.stats().leaked, round);
    }
    const buffer = pool.acquireSync(4096);
    const view = buffer.bytes;
    await collect();
    assertEquals([view.length, pool.stats().leaked], [4096, 3]);
    buffer.drop();
    assertEquals([view.length, pool.stats().inUseBytes], [0, 0]);
  },

  async "frozen buffers: nothing returns while one holder is left, then everything"() {
    using pool = new BufferPool();
    const held: { slice?: FrozenBuffer } = {};
    apart(() => {
      const frozen = pool.acquireSync(4096).freeze();
      held.slice = frozen.slice(1, 3);
      frozen.retain();
    });
    await collect();
    assertEquals([pool.stats().leaked, pool.stats().frozen], [0, 1]);
    assertEquals(held.slice!.bytes.length, 2);
    delete held.slice;
    await collectUntil(() => pool.stats().inUseBytes === 0);
    assertEquals([pool.stats().leaked, pool.stats().frozen], [1, 0]);
  },

  async "halves: the block returns when the last one was dropped or collected"() {
    using pool = new BufferPool();
    const rest = pool.acquireSync(4096);
    apart(() => rest.splitTo(1024).bytes.fill(1));
    await collect();
    assertEquals([pool.stats().inUseBytes, rest.length], [4096, 3072]);
    rest.drop();
    await collectUntil(() => pool.stats().inUseBytes === 0);
    assertEquals(pool.stats().leaked, 1);
  },

  async "halves of halves: each that was forgotten is counted, and the block is watched as before"() {
    using pool = new BufferPool({ limitBytes: 4096 });
    for (let round = 1; round <= 3; round++) {
      apart(() => {
        const rest = pool.acquireSync(4096);
        rest.splitTo(1024).drop();
        rest.splitTo(1024).freeze();
        rest.bytes.fill(round);
      });
      await collectUntil(() => pool.stats().inUseBytes === 0);
      assertEquals([pool.stats().leaked, pool.stats().frozen], [2 * round, 0]);
    }
  },

  async "a loan keeps the lease, also of a buffer that was dropped or forgotten"() {
    using pool = new BufferPool();
    const loan: Loan = apart(() => pool.lend(pool.acquireSync(4096)));
    await collect();
    assertEquals([pool.stats().leaked, pool.stats().inUseBytes], [0, 4096]);
    loan.end();
    await collectUntil(() => pool.stats().inUseBytes === 0);
    assertEquals(pool.stats().leaked, 1);
  },

  async "a forgotten loan whose bytes were used keeps the lease, because a view of it could be in use"() {
    using pool = new BufferPool();
    const view = apart(() => pool.lend(pool.acquireSync(4096)).bytes);
    await collect();
    assertEquals([pool.stats().inUseBytes, view.length], [4096, 4096]);
  },

  async "a promise keeps the lease of a buffer that was forgotten"() {
    using pool = new BufferPool();
    const { promise, resolve } = Promise.withResolvers<void>();
    const view = apart(() => {
      const buffer = pool.acquireSync(4096);
      buffer.hold(promise);
      return buffer.bytes;
    });
    await collect();
    assertEquals([pool.stats().leaked, view.length], [0, 4096]);
    resolve();
    await collectUntil(() => pool.stats().leaked === 1);
    assertEquals([pool.stats().inUseBytes, view.length], [4096, 4096]);
  },

  async "a promise that cannot settle any more keeps the lease for ever"() {
    using pool = new BufferPool();
    apart(() => {
      const buffer = pool.acquireSync(4096);
      buffer.hold(new Promise(() => {}));
      buffer.bytes.fill(1);
      buffer.drop();
    });
    await collect();
    assertEquals([pool.stats().leaked, pool.stats().inUseBytes], [0, 4096]);
  },

  async "waiting requests get the blocks that the collector finds"() {
    using pool = new BufferPool({ limitBytes: 4096, onWarning() {} });
    apart(() => pool.acquireSync(4096).bytes.fill(1));
    const waiting = pool.acquire(4096);
    await collectUntil(() => pool.stats().waiting === 0);
    (await waiting).drop();
  },

  async "trackLeaks reports what was forgotten and where it was acquired"() {
    const warnings: string[] = [];
    using pool = new BufferPool({
      trackLeaks: true,
      onWarning: (message) => warnings.push(message),
    });
    function forgetful(): void {
      pool.acquireSync(5000);
    }
    apart(forgetful);
    const kept: PooledBuffer = pool.acquireSync(1);
    await collectUntil(() => pool.leaks().length === 1);
    const [leak] = pool.leaks();
    assertEquals(leak!.capacity, 8192);
    assert(leak!.stack.includes("forgetful"), leak!.stack);
    assertEquals(warnings.length, 1);
    assert(warnings[0]!.startsWith("A buffer of 8192 bytes was forgotten"));
    assert(warnings[0]!.includes("forgetful"));
    kept.drop();
    await collect();
    assertEquals([pool.leaks().length, pool.stats().leaked], [1, 1]);
  },

  async "a closed pool takes back what is collected later"() {
    const pool = new BufferPool();
    apart(() => pool.acquireSync(4096).bytes.fill(1));
    using other = BufferPool.attach(pool.id);
    pool.close();
    await collectUntil(() => other.stats().inUseBytes === 0);
    assertThrows(() => pool.acquireSync(1), TypeError, "closed");
  },
};
