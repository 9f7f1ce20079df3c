import { assert, assertEquals } from "@std/assert";
import {
  BufferPool,
  type PoolStats,
  SIZE_CLASSES,
} from "../../lib/pool/mod.ts";

/** Checks that the figures of an idle pool add up. */
function assertAddUp(stats: PoolStats): void {
  const sum = (
    name:
      | "acquired"
      | "returned"
      | "inUse"
      | "quarantined"
      | "free"
      | "externalInUse"
      | "dropped",
  ) => stats.classes.reduce((total, each) => total + each[name], 0);
  const bytes = (name: "inUse" | "quarantined" | "free" | "externalInUse") =>
    stats.classes.reduce(
      (total, each) => total + each[name] * each.classBytes,
      0,
    );
  assertEquals(stats.classes.map((each) => each.classBytes), SIZE_CLASSES);
  assertEquals(stats.acquired, sum("acquired"));
  assertEquals(stats.returned, sum("returned"));
  assertEquals(stats.dropped, sum("dropped"));
  assertEquals(
    stats.acquired,
    stats.returned + sum("quarantined") + sum("inUse"),
  );
  assertEquals(
    stats.externalAcquired - stats.externalReturned,
    sum("externalInUse"),
  );
  assertEquals(stats.inUseBytes, bytes("inUse"));
  assertEquals(stats.quarantinedBytes, bytes("quarantined"));
  assertEquals(stats.freeBytes, bytes("free"));
  assertEquals(stats.externalBytes, bytes("externalInUse"));
  assertEquals(
    stats.mappedBytes,
    stats.inUseBytes + stats.quarantinedBytes + stats.freeBytes,
  );
  assert(stats.mappedBytes <= stats.peakMappedBytes);
  assert(stats.peakMappedBytes <= stats.limitBytes);
}

Deno.test("BufferPool.stats() is exact", () => {
  using pool = new BufferPool({
    limitBytes: 64 * 1024,
    atLimit: "external",
    onWarning() {},
  });
  assertAddUp(pool.stats());
  assertEquals(pool.stats().mappedBytes, 0);
  const buffers = [1, 4096, 5000, 20_000].map((length) =>
    pool.acquireSync(length)
  );
  const beyond = pool.acquireSync(20_000);
  const plain = pool.acquireSync(9, { aligned: false });
  const frozen = buffers.pop()!.freeze();
  const lost = buffers.pop()!;
  lost.bytes.buffer.transfer();
  lost.drop();
  const half = buffers[0]!.splitTo(1);
  buffers[1]!.append("x");
  const stats = pool.stats();
  assertAddUp(stats);
  assertEquals({
    ...stats,
    mappedBytes: 0,
    peakMappedBytes: 0,
    freeBytes: 0,
    classes: [],
    dropped: 0,
  }, {
    limitBytes: 65536,
    mappedBytes: 0,
    peakMappedBytes: 0,
    inUseBytes: 4096 + 8192 + 32768,
    freeBytes: 0,
    externalBytes: 32768,
    quarantinedBytes: 8192,
    orphanedBlocks: 0,
    resized: 1,
    frozen: 1,
    leaked: 0,
    plainInUse: 1,
    plainAcquired: 1,
    waits: 0,
    acquired: 5,
    returned: 1,
    externalAcquired: 1,
    externalReturned: 0,
    dropped: 0,
    attachments: 1,
    waiting: 0,
    classes: [],
  });
  for (const each of [...buffers, half, frozen, plain, beyond]) each.drop();
  const after = pool.stats();
  assertAddUp(after);
  assertEquals(
    [
      after.inUseBytes,
      after.quarantinedBytes,
      after.externalBytes,
      after.plainInUse,
      after.frozen,
    ],
    [0, 8192, 0, 0, 0],
  );
  assertEquals([after.acquired, after.returned, after.externalReturned], [
    5,
    4,
    1,
  ]);
  assertEquals(pool.trim(), after.freeBytes);
  assertAddUp(pool.stats());
});

Deno.test("BufferPool.report() is a table of the used sizes", () => {
  using pool = new BufferPool({ limitBytes: 1.5 * 1024 ** 2 });
  using first = pool.acquireSync(1);
  pool.acquireSync(1024 ** 2).drop();
  const lines = pool.report().split("\n");
  assertEquals(lines[0]!.startsWith(`Pool ${pool.id}: `), true);
  assertEquals(lines[0]!.includes("of 1.5 MiB mapped"), true);
  assertEquals(lines[0]!.includes("4 KiB in use"), true);
  const cells = lines.slice(3).map((line) => line.trim().split(/ {2,}/));
  assertEquals(cells.map((row) => row.slice(0, 4)), [
    ["block", "acquired", "returned", "in use"],
    ["4 KiB", "1", "0", "1"],
    ["1 MiB", "1", "1", "0"],
    ["all", "2", "1", "1"],
  ]);
  // Columns end at the same position.
  assertEquals(new Set(lines.slice(3).map((line) => line.length)).size, 1);
  assertEquals(first.length, 1);
});
