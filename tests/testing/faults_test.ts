/** Hooks, faults and the record of operations. */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { NoSpaceError } from "../../lib/storage/mod.ts";
import {
  type Operation,
  SimulatedCrashError,
  SimulatedDisk,
} from "../../lib/testing/mod.ts";
import {
  assertStates,
  blocks,
  countStates,
  makeFile,
  TestPool,
  UNIT,
} from "./_support.ts";

Deno.test("SimulatedDisk.onOperation() sees each operation before it happens, with its details", async () => {
  using pool = new TestPool();
  const disk = new SimulatedDisk();
  const seen: Operation[] = [];
  const remove = disk.onOperation((operation) => {
    seen.push(operation);
  });
  disk.makeDirectorySync("/d");
  const file = await disk.open("/d/a", { write: true, createNew: true });
  using block = pool.filled(1);
  await file.write(block, UNIT, { durability: "data" });
  file.readSync(block, 0);
  file.syncSync("full");
  await file.truncate(10);
  file.preallocateSync(5, 100);
  await file.size();
  disk.renameSync("/d/a", "/d/b");
  await disk.list("/d");
  disk.lock("/d")!.release();
  await file.close();
  disk.removeSync("/d/b");
  remove();
  disk.listSync("/");
  assertEquals(
    seen.map(({ kind, path, to, position, length, durability, blocking }) => [
      blocking ? `${kind}Sync` : kind,
      to === undefined ? path : `${path} ${to}`,
      ...[position, length, durability].filter((each) => each !== undefined),
    ]),
    [
      ["makeDirectorySync", "/d"],
      ["syncDirectorySync", "/"],
      ["open", "/d/a"],
      ["write", "/d/a", UNIT, UNIT, "data"],
      ["readSync", "/d/a", 0, UNIT],
      ["syncSync", "/d/a", "full"],
      ["truncate", "/d/a", 10],
      ["preallocateSync", "/d/a", 5, 100],
      ["size", "/d/a"],
      ["renameSync", "/d/a /d/b"],
      ["list", "/d"],
      ["lockSync", "/d"],
      ["removeSync", "/d/b"],
    ],
  );
  assertEquals(
    seen.map((each) => each.number),
    seen.map((_, i) => i + 1),
  );
});

Deno.test("SimulatedDisk.failAt() fails the operation with that number, of one kind, once or from there on", () => {
  const disk = new SimulatedDisk();
  const failing = () => {
    try {
      disk.listSync("/");
      return false;
    } catch (error) {
      assertEquals((error as { code: string }).code, "EIO");
      return true;
    }
  };
  const once = disk.failAt(2, { error: "EIO" });
  assertEquals([failing(), failing(), failing()], [false, true, false]);
  once();
  const sticky = disk.failAt(5, { error: "EIO" }, { sticky: true });
  assertEquals([failing(), failing(), failing()], [false, true, true]);
  sticky();
  assertEquals(failing(), false);
  disk.failAt(8, { error: "EIO" }, { kind: "list" });
  disk.makeDirectorySync("/d");
  assertEquals([failing(), failing()], [true, false]);
});

Deno.test("SimulatedDisk.failAt() gives the error that the kernel would give, for every operation", async () => {
  using pool = new TestPool();
  const disk = new SimulatedDisk();
  const file = makeFile(disk, "/a");
  using block = pool.filled(1);
  let code = "EIO";
  disk.onOperation(() => ({ error: code }));
  const cases: [string, string, () => unknown, () => Promise<unknown>][] = [
    ["read", "/a", () => file.readSync(block, 0), () => file.read(block, 0)],
    ["write", "/a", () => file.writeSync(block, 0), () => file.write(block, 0)],
    ["fdatasync", "/a", () => file.syncSync(), () => file.sync()],
    ["fsync", "/a", () => file.syncSync("full"), () => file.sync("full")],
    ["ftruncate", "/a", () => file.truncateSync(0), () => file.truncate(0)],
    [
      "fallocate",
      "/a",
      () => file.preallocateSync(0, 1),
      () => file.preallocate(0, 1),
    ],
    ["statx", "/a", () => file.sizeSync(), () => file.size()],
    ["open", "/a", () => disk.openSync("/a"), () => disk.open("/a")],
    [
      "rename",
      "/a",
      () => disk.renameSync("/a", "/b"),
      () => disk.rename("/a", "/b"),
    ],
    ["unlink", "/a", () => disk.removeSync("/a"), () => disk.remove("/a")],
    ["scandir", "/", () => disk.listSync("/"), () => disk.list("/")],
    [
      "mkdir",
      "/d",
      () => disk.makeDirectorySync("/d"),
      () => disk.makeDirectory("/d"),
    ],
    [
      "fsync",
      "/",
      () => disk.syncDirectorySync("/"),
      () => disk.syncDirectory("/"),
    ],
    [
      "flock",
      "/",
      () => disk.lock("/"),
      // deno-lint-ignore require-await -- a lock has no async version
      async () => disk.lock("/"),
    ],
  ];
  for (const [syscall, path, sync, later] of cases) {
    for (
      const error of [
        assertThrows(() => sync(), Error),
        await assertRejects(() => later(), Error),
      ]
    ) {
      const { code, syscall: named, path: where } = error as Error & {
        code: string;
        syscall: string;
        path: string;
      };
      assertEquals([code, named, where], ["EIO", syscall, path]);
    }
  }
  assertEquals(disk.files(), ["/a"]);
  assertEquals(block.bytes[0], 1);
  for (code of ["ENOSPC", "EDQUOT", "EFBIG"]) {
    const error = assertThrows(() => file.writeSync(block, 0), NoSpaceError);
    assertEquals(
      [error.code, error.requestedBytes, error.writtenBytes],
      [code as "ENOSPC", UNIT, 0],
    );
    assertThrows(() => file.preallocateSync(0, 1), NoSpaceError);
  }
  code = "EROFS";
  assertThrows(() => file.writeSync(block, 0), Error, "EROFS: read-only");
  file.closeSync();
});

Deno.test("SimulatedDisk: a power cut as a fault leaves the blocks of a write uncertain, and ends the disk", async () => {
  using pool = new TestPool();
  for (const blocking of [true, false]) {
    const disk = new SimulatedDisk();
    const file = makeFile(disk, "/a");
    const block = pool.filled(1, 2 * UNIT);
    disk.failAt(1, { crash: true }, { kind: "write" });
    const options = { durability: "data" } as const;
    if (blocking) {
      assertThrows(
        () => file.writeSync(block, 0, options),
        SimulatedCrashError,
      );
    } else {
      await assertRejects(
        () => file.write(block, 0, options),
        SimulatedCrashError,
      );
    }
    assertThrows(() => disk.listSync("/"), SimulatedCrashError);
    assertEquals(countStates(disk, (after) => blocks(after, "/a")), 5);
    block.drop();
    file.closeSync();
  }
});

Deno.test("SimulatedDisk: a failed write is not visible, but may be there after a crash, until the bytes are written durably", () => {
  using pool = new TestPool();
  const disk = new SimulatedDisk();
  disk.poke("/a", 0, new Uint8Array(UNIT).fill(1));
  using file = disk.openSync("/a", { write: true });
  using block = pool.filled(2);
  disk.failAt(1, { error: "EIO" }, { kind: "write" });
  assertThrows(() => file.writeSync(block, 0), Error, "EIO");
  assertEquals(blocks(disk, "/a"), [1]);
  file.syncSync();
  assertStates(disk, (after) => blocks(after, "/a"), [[1], [2]]);
  block.bytes.fill(3);
  file.writeSync(block, 0, { durability: "data" });
  assertStates(disk, (after) => blocks(after, "/a"), [[3]]);
});

Deno.test("SimulatedDisk: a failed sync makes later ones cover only what was written after it", () => {
  using pool = new TestPool();
  const disk = new SimulatedDisk();
  using file = makeFile(disk, "/a");
  using block = pool.filled(1);
  file.writeSync(block, 0);
  disk.failAt(1, { error: "EIO" }, { kind: "sync" });
  assertThrows(() => file.syncSync(), Error, "EIO");
  file.writeSync(block, UNIT);
  file.syncSync();
  assertEquals(blocks(disk, "/a"), [1, 1]);
  assertStates(disk, (after) => blocks(after, "/a"), [
    [0, 1],
    [1, 1],
  ]);

  disk.openSync("/b", { write: true, createNew: true }).closeSync();
  disk.failAt(2, { error: "EIO" }, { kind: "syncDirectory" });
  assertThrows(() => disk.syncDirectorySync("/"), Error, "EIO");
  disk.syncDirectorySync("/");
  assertEquals(disk.crash("none").files(), ["/a"]);
});

Deno.test("SimulatedDisk: a flipped bit is wrong in one read, and not on the disk", () => {
  using pool = new TestPool();
  const disk = new SimulatedDisk();
  disk.poke("/a", 0, new Uint8Array(UNIT).fill(0xff));
  using file = disk.openSync("/a");
  using block = pool.filled(9);
  disk.failAt(1, { flipBit: 8 * 100 + 3 }, { kind: "read" });
  file.readSync(block, 0);
  assertEquals(block.bytes.findIndex((byte) => byte !== 0xff), 100);
  assertEquals(block.bytes[100], 0xf7);
  file.readSync(block, 0);
  assertEquals(block.bytes.findIndex((byte) => byte !== 0xff), -1);
  // After the end of what was read there is nothing to flip.
  disk.poke("/a", UNIT, new Uint8Array(10));
  disk.failAt(3, { flipBit: 8 * 10 }, { kind: "read" });
  block.bytes.fill(0);
  assertEquals(file.readSync(block, UNIT), 10);
  assertEquals(block.bytes.findIndex((byte) => byte !== 0), -1);
});

Deno.test("SimulatedDisk: latency passes on the disk's clock only, and orders operations in flight", async () => {
  using pool = new TestPool();
  const disk = new SimulatedDisk();
  const file = makeFile(disk, "/a");
  disk.onOperation(({ kind, position }) =>
    kind === "write" ? { latencyMs: position === 0 ? 3_600_000 : 5 } : undefined
  );
  using slow = pool.filled(1);
  using fast = pool.filled(2);
  const order: string[] = [];
  const began = disk.timeMicros;
  await Promise.all([
    file.write(slow, 0).then(() => order.push("slow")),
    file.write(fast, UNIT).then(() => order.push("fast")),
    disk.delay(10).then(() => order.push("delay")),
  ]);
  assertEquals(order, ["fast", "delay", "slow"]);
  assertEquals(disk.timeMicros - began, 3_600_000_000);
  file.writeSync(fast, UNIT);
  assertEquals(disk.timeMicros - began, 3_600_005_000);
  await file.close();
});

Deno.test("SimulatedDisk: faults of several hooks are combined: the first error, and all latencies", () => {
  const disk = new SimulatedDisk();
  disk.onOperation(() => ({ latencyMs: 1 }));
  disk.onOperation(() => ({ latencyMs: 2, error: "EIO" }));
  disk.onOperation(() => ({ error: "EROFS" }));
  const began = disk.timeMicros;
  assertThrows(() => disk.listSync("/"), Error, "EIO");
  assertEquals(disk.timeMicros - began, 3000);
});

Deno.test("SimulatedDisk.trace records results, and the order of completion", async () => {
  using pool = new TestPool();
  const disk = new SimulatedDisk({ seed: 1 });
  const file = makeFile(disk, "/a");
  disk.failAt(2, { error: "EIO" }, { kind: "write" });
  const finished: number[] = [];
  const writes = [1, 2, 3].map(async (value) => {
    using block = pool.filled(value);
    await file.write(block, value * UNIT).catch(() => {});
    finished.push(value);
  });
  await Promise.all(writes);
  const traced = disk.trace.filter((each) => each.kind === "write");
  assertEquals(traced.map((each) => each.outcome), ["done", "EIO", "done"]);
  const completions = traced.map((each) => each.completion!);
  assertEquals(completions.toSorted(), [3, 4, 5]);
  assertEquals(
    completions.map((each) => each - 2),
    finished.map((_, i) => finished.indexOf(i + 1) + 1),
  );
  await file.close();
  assertThrows(() => disk.openSync("/no"));
  assertEquals(disk.trace.at(-1)!.outcome, "ENOENT");
});

Deno.test("SimulatedDisk without space: a write stops where the space ends and reports how much it wrote, and removal makes room", () => {
  using pool = new TestPool();
  const disk = new SimulatedDisk({ sizeBytes: 3 * UNIT });
  using file = makeFile(disk, "/a");
  using two = pool.filled(1, 2 * UNIT);
  file.writeSync(two, 0);
  const full = assertThrows(() => file.writeSync(two, 2 * UNIT), NoSpaceError);
  assertEquals(
    [full.code, full.syscall, full.path, full.requestedBytes],
    ["ENOSPC", "write", "/a", 2 * UNIT],
  );
  assertEquals(full.writtenBytes, UNIT);
  assertEquals(blocks(disk, "/a"), [1, 1, 1]);
  // Rewriting takes no space.
  assertEquals(file.writeSync(two, UNIT), 2 * UNIT);
  const nothing = assertThrows(
    () => file.writeSync(two, 3 * UNIT),
    NoSpaceError,
  );
  assertEquals(nothing.writtenBytes, 0);
  assertEquals(file.sizeSync(), 3 * UNIT);
  const allocation = assertThrows(
    () => file.preallocateSync(0, 4 * UNIT),
    NoSpaceError,
  );
  assertEquals(allocation.syscall, "fallocate");
  assertEquals(file.sizeSync(), 3 * UNIT);
  file.truncateSync(UNIT);
  // Allocated space can be written.
  file.preallocateSync(UNIT, UNIT);
  using other = disk.openSync("/b", { write: true, create: true });
  const shared = assertThrows(() => other.writeSync(two, 0), NoSpaceError);
  assertEquals(shared.writtenBytes, UNIT);
  using one = pool.filled(2);
  file.writeSync(one, UNIT);
  // A removed file keeps its space while it is open.
  disk.removeSync("/b");
  assertThrows(() => file.writeSync(two, UNIT), NoSpaceError);
  other.closeSync();
  assertEquals(file.writeSync(two, UNIT), 2 * UNIT);
});
