import {
  assertEquals,
  assertNotStrictEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { BufferPool } from "../../lib/pool/mod.ts";

Deno.test("BufferPool() has the documented defaults", () => {
  using pool = new BufferPool();
  assertEquals(
    [pool.enabled, pool.limitBytes, pool.bucketCapacity, pool.atLimit],
    [true, 4 * 1024 ** 3, 8192, "wait"],
  );
});

const WRONG: [options: Record<string, unknown>, message: string][] = [
  ...[0, 12, 4095, 4096.5, -1, NaN, Infinity, 2 ** 53 + 2].map(
    (limitBytes): [Record<string, unknown>, string] => [
      { limitBytes },
      `Cannot create pool as 'limitBytes' must be an integer from 4096 to 9007199254740992: received ${limitBytes}`,
    ],
  ),
  ...[-1, 0.5, 2 ** 32, NaN].map(
    (bucketCapacity): [Record<string, unknown>, string] => [
      { bucketCapacity },
      `Cannot create pool as 'bucketCapacity' must be an integer from 0 to 4294967295: received ${bucketCapacity}`,
    ],
  ),
  [
    { atLimit: "block" },
    "Cannot create pool as 'atLimit' must be 'wait', 'fail' or 'external': received 'block'",
  ],
  [
    { onWarning: 1 },
    "Cannot create pool as 'onWarning' must be a function: received 1",
  ],
];

for (const [options, message] of WRONG) {
  Deno.test(`BufferPool() refuses ${Object.keys(options)} ${Object.values(options)}`, () => {
    const error = assertThrows(() => new BufferPool(options), RangeError);
    assertEquals((error as Error).message, message);
  });
}

Deno.test("BufferPool() refuses a limit that is not a number", () => {
  assertThrows(
    () => new BufferPool({ limitBytes: "4096" as never }),
    TypeError,
    "Cannot create pool as 'limitBytes' must be a number: received string",
  );
});

Deno.test("BufferPool() takes the smallest and largest settings", () => {
  new BufferPool({ limitBytes: 4096, bucketCapacity: 0 }).close();
  new BufferPool({ limitBytes: 2 ** 53, bucketCapacity: 2 ** 32 - 1 }).close();
});

Deno.test("BufferPool.default() is one pool, and a new one after it was closed", () => {
  const first = BufferPool.default();
  assertStrictEquals(BufferPool.default(), first);
  first.close();
  const second = BufferPool.default();
  assertNotStrictEquals(second, first);
  second.close();
});

Deno.test("BufferPool.attach() joins a pool with the pool's settings and options of its own", () => {
  using pool = new BufferPool({ limitBytes: 8192, bucketCapacity: 3 });
  using other = BufferPool.attach(pool.id, { atLimit: "fail" });
  assertEquals(
    [other.id, other.limitBytes, other.bucketCapacity, other.enabled],
    [pool.id, 8192, 3, true],
  );
  assertEquals([other.atLimit, pool.stats().attachments], ["fail", 2]);
  const buffer = pool.acquireSync(8192);
  assertEquals(other.stats().inUseBytes, 8192);
  pool.lend(buffer).end();
  other.lend(buffer).end(); // It is the same pool.
  buffer.drop();
});

Deno.test("BufferPool.attach() refuses a number that is not of an open pool", () => {
  const pool = new BufferPool();
  pool.close();
  for (const id of [0, -1, 1.5, NaN, 2 ** 31, pool.id, 0x7fffffff]) {
    assertThrows(() => BufferPool.attach(id), RangeError, "'id' must be");
  }
});

Deno.test("BufferPool.close() leaves leased buffers usable, and refuses new ones", async () => {
  const pool = new BufferPool({ limitBytes: 8192, onWarning() {} });
  const buffer = pool.acquireSync(8192);
  const refused = assertRejects(
    () => pool.acquire(4096),
    TypeError,
    "Cannot acquire buffer: the pool was closed",
  );
  pool.close();
  pool.close();
  await refused;
  buffer.bytes.fill(1);
  assertEquals(buffer.bytes[8191], 1);
  for (
    const use of [
      () => pool.acquireSync(1),
      () => pool.stats(),
      () => pool.report(),
      () => pool.trim(),
      () => buffer.append("x"),
    ]
  ) assertThrows(use, TypeError, "the pool is closed");
  const loan = pool.lend(buffer);
  loan.end();
  const view = buffer.bytes;
  buffer.drop();
  assertEquals(view.length, 0);
});
