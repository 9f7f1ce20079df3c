/**
 * Every misuse of a buffer is a clear error, and no order of calls gives two owners the same
 * memory.
 */
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  BufferPool,
  type FrozenBuffer,
  type PooledBuffer,
} from "../../lib/pool/mod.ts";

/** Every use of the memory of a pooled buffer of at least 8 bytes. */
const USES: Record<string, (buffer: PooledBuffer) => unknown> = {
  bytes: (buffer) => buffer.bytes,
  view: (buffer) => buffer.view,
  append: (buffer) => buffer.append("x"),
  "append nothing": (buffer) => buffer.append(""),
  reserve: (buffer) => buffer.reserve(1),
  "reserve more": (buffer) => buffer.reserve(100_000),
  truncate: (buffer) => buffer.truncate(8),
  resize: (buffer) => buffer.resize(8),
  splitTo: (buffer) => buffer.splitTo(4).drop(),
  freeze: (buffer) => buffer.freeze().drop(),
  hold: (buffer) => buffer.hold(Promise.resolve()),
  lend: (buffer) => buffer.pool.lend(buffer).end(),
};

/** Properties that can be read after the buffer has ended. */
const FACTS: Record<string, (buffer: PooledBuffer) => unknown> = {
  length: (buffer) => buffer.length,
  capacity: (buffer) => buffer.capacity,
  aligned: (buffer) => buffer.aligned,
  external: (buffer) => buffer.external,
};

/** Checks that no memory of a pool is leased. Tests end with it. */
function assertAllBack(pool: BufferPool): void {
  const stats = pool.stats();
  assertEquals([stats.inUseBytes, stats.plainInUse, stats.frozen], [0, 0, 0]);
  assertEquals(stats.acquired, stats.returned);
}

const ENDS: Record<
  string,
  [end: (buffer: PooledBuffer) => unknown, reason: string]
> = {
  dropped: [(buffer) => buffer.drop(), "buffer: the buffer was dropped"],
  disposed: [
    (buffer) => buffer[Symbol.dispose](),
    "buffer: the buffer was dropped",
  ],
  frozen: [
    (buffer) => buffer.freeze().drop(),
    "buffer: the buffer was frozen, use the FrozenBuffer",
  ],
};

for (const [end, [finish, reason]] of Object.entries(ENDS)) {
  for (const plain of [false, true]) {
    Deno.test(`PooledBuffer ${end}${plain ? ", of plain memory" : ""}: every use is a TypeError, dropping again does nothing`, () => {
      using pool = new BufferPool();
      const buffer = pool.acquireSync(16, { aligned: !plain });
      const view = buffer.bytes;
      finish(buffer);
      assertEquals([view.length, view.buffer.detached], [0, true]);
      assertEquals(buffer.state, end === "frozen" ? "frozen" : "dropped");
      // The memory has a new owner, which must notice nothing.
      const other = pool.acquireSync(16, { aligned: !plain, zeroed: true });
      for (const [name, use] of Object.entries({ ...USES, ...FACTS })) {
        const error = assertThrows(() => use(buffer), TypeError) as Error;
        assertStringIncludes(error.message, reason, name);
      }
      buffer.drop();
      buffer[Symbol.dispose]();
      assertEquals(other.state, "leased");
      assertEquals(other.bytes, new Uint8Array(16));
      other.drop();
      assertAllBack(pool);
    });
  }
}

Deno.test("PooledBuffer lent: views are empty, every use is a TypeError, its properties stay, and it returns", () => {
  using pool = new BufferPool();
  const buffer = pool.acquireSync(16);
  const view = buffer.bytes.fill(5);
  const loan = pool.lend(buffer);
  assertEquals([view.length, buffer.state], [0, "lent"]);
  for (const [name, use] of Object.entries(USES)) {
    const error = assertThrows(() => use(buffer), TypeError) as Error;
    assertStringIncludes(
      error.message,
      "buffer: the buffer is lent to an operation in flight",
      name,
    );
  }
  assertEquals(Object.values(FACTS).map((fact) => fact(buffer)), [
    16,
    4096,
    true,
    false,
  ]);
  loan.end();
  assertEquals([buffer.state, view.length], ["leased", 0]);
  assertEquals(buffer.bytes, new Uint8Array(16).fill(5));
  for (const use of Object.values(USES)) {
    if (buffer.state !== "leased") break;
    buffer.bytes.fill(0);
    if (use !== USES.freeze && use !== USES.hold) use(buffer);
    buffer.resize(16);
  }
  buffer.drop();
  assertAllBack(pool);
});

Deno.test("PooledBuffer dropped while lent: the block returns when the loan ends", () => {
  using pool = new BufferPool({
    limitBytes: 4096,
    atLimit: "fail",
    onWarning() {},
  });
  const buffer = pool.acquireSync(4096);
  const loan = pool.lend(buffer);
  loan.bytes.fill(1);
  buffer.drop();
  buffer.drop();
  assertEquals([buffer.state, pool.stats().inUseBytes], ["dropped", 4096]);
  assertThrows(() => pool.acquireSync(1), Error, "limit is reached");
  loan.bytes.fill(2); // The operation still uses it.
  loan.end();
  assertEquals(pool.stats().inUseBytes, 0);
  loan.end();
  const next = pool.acquireSync(4096);
  loan.end();
  assertEquals(next.state, "leased");
  next.drop();
  assertAllBack(pool);
});

Deno.test("PooledBuffer lent twice, frozen, split or moved while lent: TypeError, and the loan is not disturbed", () => {
  using pool = new BufferPool();
  using buffer = pool.acquireSync(100);
  const loan = pool.lend(buffer);
  for (
    const use of [
      () => pool.lend(buffer),
      () => buffer.freeze(),
      () => buffer.splitTo(10),
      () => buffer.reserve(10_000),
    ]
  ) assertThrows(use, TypeError, "is lent to an operation in flight");
  loan.bytes.fill(8);
  loan.end();
  assertEquals(buffer.bytes[99], 8);
});

Deno.test("BufferPool.lend() refuses a buffer of another pool", () => {
  using pool = new BufferPool();
  using other = new BufferPool();
  using buffer = other.acquireSync(100);
  using frozen = other.acquireSync(100).freeze();
  for (const each of [buffer, frozen]) {
    const error = assertThrows(() => pool.lend(each), TypeError) as Error;
    assertEquals(
      error.message,
      `Cannot lend buffer as it belongs to another pool: received one of pool ${other.id}, this is pool ${pool.id}`,
    );
  }
  assertEquals(buffer.state, "leased");
});

Deno.test("BufferPool.lend() refuses ranges outside the memory", () => {
  using pool = new BufferPool();
  using buffer = pool.acquireSync(100);
  for (
    const [start, length] of [
      [-1, 1],
      [4097, 0],
      [0, 4097],
      [4000, 97],
      [0.5, 1],
      [0, -1],
      [0, NaN],
    ]
  ) {
    assertThrows(
      () => pool.lend(buffer, start, length),
      RangeError,
      "Cannot lend buffer as",
    );
    assertEquals(buffer.state, "leased");
  }
  using frozen = pool.acquireSync(100).freeze();
  for (const [start, length] of [[-1, 1], [101, 0], [0, 101], [50, 51]]) {
    assertThrows(
      () => pool.lend(frozen, start, length),
      RangeError,
      "Cannot lend buffer as",
    );
  }
});

/** Ways in which other code can take the memory of a view away. */
const THEFTS: Record<string, (view: Uint8Array<ArrayBuffer>) => ArrayBuffer> = {
  "transfer()": (view) => view.buffer.transfer(),
  "structuredClone()": (view) =>
    structuredClone(view, { transfer: [view.buffer] }).buffer,
  "postMessage()": (view) => {
    const { port1, port2 } = new MessageChannel();
    port1.postMessage(view, [view.buffer]);
    port1.close();
    port2.close();
    return new ArrayBuffer(0);
  },
};

for (const [theft, steal] of Object.entries(THEFTS)) {
  for (const [name, use] of Object.entries(USES)) {
    Deno.test(`PooledBuffer whose view was detached by ${theft}: ${name} is a TypeError, and the block is quarantined`, () => {
      using pool = new BufferPool();
      const buffer = pool.acquireSync(16);
      const stolen = new Uint8Array(steal(buffer.bytes)).fill(1);
      const error = assertThrows(() => use(buffer), TypeError) as Error;
      assertStringIncludes(
        error.message,
        "its view was detached by someone else",
      );
      assertEquals(buffer.state, "lost");
      assertLost(pool, stolen);
      // The memory stays lost at the second use, too.
      assertThrows(() => use(buffer), TypeError, "detached by someone else");
      buffer.drop();
      assertLost(pool, stolen);
    });
  }

  Deno.test(`PooledBuffer whose view was detached by ${theft} and that is only dropped: the block is quarantined`, () => {
    using pool = new BufferPool();
    const buffer = pool.acquireSync(16);
    const stolen = new Uint8Array(steal(buffer.bytes)).fill(1);
    buffer.drop();
    assertLost(pool, stolen);
  });

  Deno.test(`FrozenBuffer whose view was detached by ${theft}: all holders lose it, once`, () => {
    const uses: ((buffer: FrozenBuffer) => unknown)[] = [
      (buffer) => buffer.bytes,
      (buffer) => buffer.slice(),
      (buffer) => buffer.retain(),
      (buffer) => buffer.hold(Promise.resolve()),
      (buffer) => buffer.pool.lend(buffer),
    ];
    for (const use of uses) {
      using pool = new BufferPool();
      const frozen = pool.acquireSync(16).freeze();
      const holders = [frozen, frozen.retain(), frozen.slice(3)];
      const stolen = new Uint8Array(steal(holders[1]!.bytes)).fill(1);
      for (const holder of holders) {
        assertThrows(() => use(holder), TypeError, "detached by someone else");
        assertEquals(holder.state, "lost");
        assertLost(pool, stolen);
      }
      for (const holder of holders) holder.drop();
      assertLost(pool, stolen);
      assertEquals(pool.stats().frozen, 0);
    }
  });

  Deno.test(`FrozenBuffer whose view was detached by ${theft} and that is only dropped: the block is quarantined`, () => {
    using pool = new BufferPool();
    const frozen = pool.acquireSync(16).freeze();
    const other = frozen.retain();
    const stolen = new Uint8Array(steal(frozen.bytes)).fill(1);
    frozen.drop();
    other.drop();
    assertLost(pool, stolen);
  });

  Deno.test(`PooledBuffer.splitTo() with a half whose view was detached by ${theft}: the block is quarantined when both halves have ended`, () => {
    using pool = new BufferPool();
    const rest = pool.acquireSync(4096);
    const head = rest.splitTo(2048);
    const stolen = new Uint8Array(steal(head.bytes)).fill(1);
    rest.bytes.fill(2);
    assertThrows(() => head.bytes, TypeError, "detached by someone else");
    assertEquals(pool.stats().quarantinedBytes, 0);
    assertEquals(rest.bytes[0], 2);
    rest.drop();
    assertLost(pool, stolen);
  });

  Deno.test(`Loan whose bytes were detached by ${theft}: the block is quarantined when its lease ends`, () => {
    using pool = new BufferPool();
    const buffer = pool.acquireSync(16);
    const loan = pool.lend(buffer);
    const stolen = new Uint8Array(steal(loan.bytes)).fill(1);
    loan.end();
    buffer.drop();
    assertLost(pool, stolen);
  });

  Deno.test(`PooledBuffer of plain memory whose view was detached by ${theft}: TypeError, and the pool loses nothing`, () => {
    using pool = new BufferPool();
    const buffer = pool.acquireSync(16, { aligned: false });
    steal(buffer.bytes);
    assertThrows(() => buffer.bytes, TypeError, "detached by someone else");
    buffer.drop();
    assertAllBack(pool);
    const next = pool.acquireSync(16, { aligned: false });
    assertEquals(next.bytes, new Uint8Array(16));
    next.drop();
    assertAllBack(pool);
  });
}

/** Checks that the block of `stolen` is out of use for ever: it counts, and is not leased again. */
function assertLost(pool: BufferPool, stolen: Uint8Array): void {
  const before = pool.stats();
  assertEquals([before.quarantinedBytes, before.inUseBytes], [4096, 0]);
  assertEquals(before.acquired - before.returned, 1);
  const others = Array.from({ length: 8 }, () => pool.acquireSync(4096));
  for (const other of others) other.bytes.fill(0xee);
  assert(stolen.every((byte) => byte === 1));
  for (const other of others) other.drop();
  assertEquals(pool.stats().quarantinedBytes, 4096);
}

Deno.test("PooledBuffer.hold() keeps the memory until the promise settles", async () => {
  using pool = new BufferPool();
  for (const outcome of ["resolved", "rejected"] as const) {
    const buffer = pool.acquireSync(16);
    const view = buffer.bytes;
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const held = buffer.hold(promise);
    buffer.bytes.fill(3); // It can be used meanwhile.
    for (
      const use of [
        () => pool.lend(buffer),
        () => buffer.freeze(),
        () => buffer.splitTo(1),
        () => buffer.reserve(5000),
        () => buffer.resize(5000),
        () => buffer.append(new Uint8Array(5000)),
      ]
    ) {
      assertThrows(
        use,
        TypeError,
        "buffer: the buffer is held for a promise that is pending",
      );
    }
    buffer.reserve(100);
    buffer.drop();
    assertEquals([view.length, pool.stats().inUseBytes], [16, 4096]);
    if (outcome === "resolved") {
      resolve("done");
      assertEquals(await held, "done");
    } else {
      reject(new Error("refused"));
      await assertRejects(() => held, Error, "refused");
    }
    assertEquals(view.length, 0);
    assertAllBack(pool);
  }
});

Deno.test("PooledBuffer.hold() of several promises ends with the last one, and the buffer is usable afterwards", async () => {
  using pool = new BufferPool();
  const buffer = pool.acquireSync(16);
  const first = Promise.withResolvers<void>();
  const second = Promise.withResolvers<void>();
  const held = [buffer.hold(first.promise), buffer.hold(second.promise)];
  second.resolve();
  await held[1];
  assertThrows(() => buffer.freeze(), TypeError, "is held");
  first.resolve();
  await held[0];
  assertEquals(buffer.state, "leased");
  buffer.freeze().drop();
  assertAllBack(pool);
});

Deno.test("PooledBuffer.splitTo() gives two owners of one block, whose views do not overlap", () => {
  using pool = new BufferPool();
  for (const at of [0, 1, 512, 4095, 4096]) {
    const rest = pool.acquireSync(4096);
    const whole = rest.bytes;
    whole.forEach((_, i) => whole[i] = i % 251);
    const reference = whole.slice();
    const head = rest.splitTo(at);
    assertEquals(whole.length, 0);
    assertEquals([head.length, head.capacity], [at, at]);
    assertEquals([rest.length, rest.capacity], [4096 - at, 4096 - at]);
    assertEquals([head.aligned, rest.aligned], [true, at % 4096 === 0]);
    assertEquals(head.bytes, reference.slice(0, at));
    assertEquals(rest.bytes, reference.slice(at));
    assertEquals(pool.stats().inUseBytes, 4096);
    const view = rest.bytes;
    head.bytes.fill(1);
    assertEquals(view, reference.slice(at));
    head.drop();
    assertEquals([pool.stats().inUseBytes, view.length], [4096, 4096 - at]);
    rest.drop();
    assertEquals(view.length, 0);
    assertAllBack(pool);
  }
  using buffer = pool.acquireSync(10);
  for (const at of [-1, 11, 0.5, NaN]) {
    assertThrows(
      () => buffer.splitTo(at),
      RangeError,
      "'at' must be an integer from 0 to 10",
    );
  }
});

Deno.test("PooledBuffer.splitTo() gives halves that split, freeze, lend and grow independently", () => {
  using pool = new BufferPool();
  const d = pool.acquireSync(4096);
  d.bytes.forEach((_, i, bytes) => bytes[i] = i >> 10);
  const a = d.splitTo(1024);
  const b = d.splitTo(1024);
  const c = d.splitTo(1024);
  const frozen = b.freeze();
  const loan = pool.lend(c);
  assertEquals([loan.start, loan.length], [2048, 1024]);
  a.append("more");
  assertEquals([a.length, a.capacity], [1028, 4096]);
  assertEquals([a.bytes[0], frozen.bytes[0], loan.bytes[0], d.bytes[0]], [
    0,
    1,
    2,
    3,
  ]);
  a.drop();
  c.drop();
  frozen.drop();
  d.drop();
  assertEquals(pool.stats().inUseBytes, 4096);
  loan.end();
  assertAllBack(pool);
  // The block is whole again.
  using again = pool.acquireSync(4096);
  assertEquals(again.bytes.length, 4096);
});

Deno.test("PooledBuffer.splitTo() of plain memory gives halves with memory of their own", () => {
  using pool = new BufferPool();
  const rest = pool.acquireSync(100, { aligned: false });
  rest.bytes.forEach((_, i, bytes) => bytes[i] = i);
  const view = rest.bytes;
  const head = rest.splitTo(40);
  assertEquals([view.length, pool.stats().plainInUse], [0, 2]);
  assertEquals([...head.bytes], Array.from({ length: 40 }, (_, i) => i));
  assertEquals([...rest.bytes], Array.from({ length: 60 }, (_, i) => i + 40));
  head.drop();
  rest.drop();
  assertAllBack(pool);
});
