/** What survives a power cut, case by case. */
import {
  assert,
  assertEquals,
  assertNotEquals,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { NoSpaceError } from "../../lib/storage/mod.ts";
import { SimulatedCrashError, SimulatedDisk } from "../../lib/testing/mod.ts";
import {
  assertStates,
  blocks,
  countStates,
  makeFile,
  TestPool,
  UNIT,
} from "./_support.ts";

Deno.test("SimulatedDisk.crash(): an unsynced write leaves any subset of its blocks, and the size independently", () => {
  using pool = new TestPool();
  const disk = new SimulatedDisk();
  using file = makeFile(disk, "/a");
  using block = pool.filled(1, 2 * UNIT);
  file.writeSync(block, 0);
  assertEquals(
    disk.unsyncedUnits(),
    [
      {
        kind: "block",
        path: "/a",
        inFlight: false,
        position: 0,
        length: UNIT,
      },
      {
        kind: "block",
        path: "/a",
        inFlight: false,
        position: UNIT,
        length: UNIT,
      },
      { kind: "size", path: "/a", inFlight: false, length: 2 * UNIT },
    ],
  );
  assertStates(disk, (after) => blocks(after, "/a"), [
    [],
    [0, 0],
    [0, 1],
    [1, 0],
    [1, 1],
  ]);
});

Deno.test("SimulatedDisk.crash(): a durable write leaves its bytes and the size that they need, and nothing else", () => {
  using pool = new TestPool();
  const disk = new SimulatedDisk();
  using file = makeFile(disk, "/a");
  using one = pool.filled(1);
  using two = pool.filled(2);
  file.writeSync(one, 0);
  file.writeSync(one, 2 * UNIT);
  file.writeSync(two, UNIT, { durability: "data" });
  assertStates(disk, (after) => blocks(after, "/a"), [
    [0, 2],
    [0, 2, 0],
    [0, 2, 1],
    [1, 2],
    [1, 2, 0],
    [1, 2, 1],
  ]);
  file.writeSync(two, 0, { durability: "full" });
  // What makes no difference any more is not a unit: the first block, and its growth.
  assertEquals(disk.unsyncedUnits().map(({ kind }) => kind), ["block", "size"]);
  assertStates(disk, (after) => blocks(after, "/a"), [
    [2, 2],
    [2, 2, 0],
    [2, 2, 1],
  ]);
});

Deno.test("SimulatedDisk.crash(): a sync makes everything in its file durable, and nothing in others", () => {
  using pool = new TestPool();
  for (const durability of ["data", "full"] as const) {
    const disk = new SimulatedDisk();
    using a = makeFile(disk, "/a");
    using b = makeFile(disk, "/b");
    using block = pool.filled(1);
    for (const file of [a, b]) {
      file.writeSync(block, 0);
      file.truncateSync(10);
      file.preallocateSync(0, 20);
    }
    a.syncSync(durability);
    assertEquals(
      disk.unsyncedUnits().map(({ path, kind }) => [path, kind]),
      [
        ["/b", "block"],
        ["/b", "size"],
        ["/b", "truncate"],
        ["/b", "preallocate"],
      ],
    );
    assertEquals(disk.crashState("none").peek("/a").length, 20);
    assertEquals(disk.crashState("none").peek("/b").length, 0);
  }
});

Deno.test("SimulatedDisk.crash(): zeros that the device writes leave any subset of blocks, also while it writes, and the size independently", () => {
  for (const during of [true, false]) {
    const disk = new SimulatedDisk({ writesZeros: true });
    disk.poke("/a", 0, new Uint8Array(2 * UNIT).fill(1));
    using file = disk.openSync("/a", { write: true });
    const found = [
      [1, 1],
      [0, 1],
      [1, 0],
      [0, 0],
      [1, 1, 0],
      [0, 1, 0],
      [1, 0, 0],
      [0, 0, 0],
    ];
    const look = () =>
      assertStates(disk, (after) => blocks(after, "/a"), found);
    const remove = during ? disk.onOperation(look) : look;
    assertEquals(file.preallocateSync(0, 3 * UNIT, { zeroed: true }), true);
    remove();
    assertEquals(file.preallocateSync(0, UNIT), false);
    file.syncSync();
    assertEquals(blocks(disk.crashState("none"), "/a"), [0, 0, 0]);
  }
});

Deno.test("SimulatedDisk.crash(): zeros that the device failed to write may be there, whatever is synced; without room there are none", () => {
  const disk = new SimulatedDisk({ writesZeros: true, sizeBytes: 2 * UNIT });
  disk.poke("/a", 0, new Uint8Array(UNIT).fill(1));
  using file = disk.openSync("/a", { write: true });
  assertThrows(
    () => file.preallocateSync(0, 3 * UNIT, { zeroed: true }),
    NoSpaceError,
  );
  assertEquals(disk.unsyncedUnits(), []);
  disk.failAt(2, { error: "EIO" }, { kind: "preallocate" });
  assertThrows(() => file.preallocateSync(0, UNIT, { zeroed: true }));
  assertEquals(blocks(disk, "/a"), [1]);
  file.syncSync();
  assertStates(disk, (after) => blocks(after, "/a"), [[1], [0]]);
});

Deno.test("SimulatedDisk.crash(): an unsynced truncation may be lost, although later bytes are durable", () => {
  using pool = new TestPool();
  const disk = new SimulatedDisk();
  disk.poke("/a", 0, new Uint8Array(3 * UNIT).fill(1));
  using file = disk.openSync("/a", { write: true });
  using two = pool.filled(2);
  file.truncateSync(UNIT);
  file.writeSync(two, UNIT, { durability: "data" });
  assertStates(disk, (after) => blocks(after, "/a"), [
    [1, 2],
    [1, 2, 1],
  ]);
  file.syncSync();
  assertStates(disk, (after) => blocks(after, "/a"), [[1, 2]]);
});

Deno.test("SimulatedDisk.crash(): bytes removed by a synced truncation do not come back when the file grows again", () => {
  const disk = new SimulatedDisk();
  disk.poke("/a", 0, new Uint8Array(2 * UNIT).fill(1));
  using file = disk.openSync("/a", { write: true });
  file.truncateSync(100);
  file.syncSync();
  file.truncateSync(2 * UNIT);
  const after = disk.crash("all").peek("/a");
  assertEquals(after.length, 2 * UNIT);
  assertEquals(after.lastIndexOf(1), 99);
});

Deno.test("SimulatedDisk.crash(): writes of 512 bytes within a block are units of their own, and so are blocks of 512 bytes", () => {
  using pool = new TestPool();
  const disk = new SimulatedDisk();
  disk.poke("/a", 0, new Uint8Array(UNIT));
  using file = disk.openSync("/a", { write: true });
  using block = pool.filled(1);
  file.writeSync(block, 512, { length: 512 });
  file.writeSync(block, 1024, { length: 512 });
  const sectors = (after: SimulatedDisk) =>
    [512, 1024].map((at) => after.peek("/a")[at]);
  assertStates(disk, sectors, [[0, 0], [0, 1], [1, 0], [1, 1]]);

  const small = new SimulatedDisk({ blockBytes: 512 });
  small.poke("/a", 0, new Uint8Array(UNIT));
  using fine = small.openSync("/a", { write: true });
  fine.writeSync(block, 512, { length: 1024 });
  assertStates(small, sectors, [[0, 0], [0, 1], [1, 0], [1, 1]]);
});

Deno.test("SimulatedDisk.crash(): a file is there only if its name is durable, and its contents stay with it", () => {
  using pool = new TestPool();
  const disk = new SimulatedDisk();
  using file = disk.openSync("/a", { write: true, createNew: true });
  using block = pool.filled(7);
  file.writeSync(block, 0);
  file.syncSync("full");
  assertStates(disk, (after) => blocks(after, "/a"), [
    [7],
    undefined,
  ]);
  disk.syncDirectorySync("/");
  assertStates(disk, (after) => blocks(after, "/a"), [[7]]);
});

Deno.test("SimulatedDisk.crash(): a rename is atomic, also when it replaces a file", () => {
  const disk = new SimulatedDisk();
  disk.poke("/old", 0, Uint8Array.of(1));
  disk.poke("/new", 0, Uint8Array.of(2));
  disk.renameSync("/new", "/old");
  const shown = (after: SimulatedDisk) =>
    after.files().map((path) => `${path} ${after.peek(path)[0]}`);
  assertStates(disk, shown, [
    ["/new 2", "/old 1"],
    ["/old 2"],
  ]);
  disk.syncDirectorySync("/");
  assertStates(disk, shown, [["/old 2"]]);
});

Deno.test("SimulatedDisk.crash(): names change independently, and a file has one name", () => {
  const disk = new SimulatedDisk();
  disk.poke("/a", 0, Uint8Array.of(1));
  disk.renameSync("/a", "/b");
  disk.renameSync("/b", "/c");
  disk.openSync("/a", { write: true, createNew: true }).closeSync();
  disk.openSync("/d", { write: true, createNew: true }).closeSync();
  disk.removeSync("/d");
  const shown = (after: SimulatedDisk) =>
    after.files().map((path) => `${path}${after.peek(path).length}`).join(" ");
  assertStates(disk, shown, [
    "/a0",
    "/a0 /b1",
    "/a0 /b1 /d0",
    "/a0 /c1",
    "/a0 /c1 /d0",
    "/a0 /d0",
    "/a1",
    "/a1 /d0",
    "/b1",
    "/b1 /d0",
    "/c1",
    "/c1 /d0",
  ]);
});

Deno.test("SimulatedDisk.crash(): a removed file may come back until its directory is synced", () => {
  const disk = new SimulatedDisk();
  disk.poke("/a", 0, Uint8Array.of(1));
  disk.removeSync("/a");
  assertStates(disk, (after) => after.files(), [["/a"], []]);
  disk.syncDirectorySync("/");
  assertEquals(disk.unsyncedUnits(), []);
  assertEquals(disk.crash("none").files(), []);
});

Deno.test("SimulatedDisk.crash(): a rename between directories waits for the sync of both", () => {
  const disk = new SimulatedDisk();
  disk.poke("/a/x", 0, Uint8Array.of(1));
  disk.makeDirectorySync("/b");
  disk.renameSync("/a/x", "/b/x");
  disk.syncDirectorySync("/b");
  assertStates(disk, (after) => after.files(), [["/a/x"], ["/b/x"]]);
  disk.syncDirectorySync("/a");
  assertStates(disk, (after) => after.files(), [["/b/x"]]);
});

Deno.test("SimulatedDisk.crash(): a new directory is durable with its parents, and a directory that is lost takes its files", async () => {
  const disk = new SimulatedDisk();
  assertEquals(disk.makeDirectorySync("/a/b/c"), true);
  assertEquals(disk.unsyncedUnits(), []);
  assertEquals(disk.crashState("none").listSync("/a/b")[0]!.name, "c");
  assertEquals(await disk.makeDirectory("/a/d/e"), true);
  assertEquals(disk.unsyncedUnits(), []);
  // A failed sync leaves it uncertain whether a directory and its contents are there.
  disk.failAt(7, { error: "EIO" }, { kind: "syncDirectory" });
  assertThrows(() => disk.makeDirectorySync("/f"), Error, "EIO");
  makeFile(disk, "/f/a").closeSync();
  assertStates(disk, (after) => after.files(), [["/f/a"], []]);
  disk.removeSync("/f/a");
  disk.removeSync("/f");
  disk.syncDirectorySync("/");
  // The power is cut in the sync of the directory that holds the new name.
  disk.onOperation(({ kind }) =>
    kind === "syncDirectory" ? { crash: true } : undefined
  );
  assertThrows(() => disk.makeDirectorySync("/x/y"), SimulatedCrashError);
  assertStates(disk, (after) => after.listSync("/").map((each) => each.name), [[
    "a",
    "x",
  ], ["a"]]);
});

Deno.test("SimulatedDisk.crash(): a write in flight leaves any subset of its blocks, although it was to be durable", async () => {
  using pool = new TestPool();
  const disk = new SimulatedDisk();
  const file = makeFile(disk, "/a");
  using block = pool.filled(1, 2 * UNIT);
  const writing = file.write(block, 0, { durability: "data" });
  assertEquals(disk.unsyncedUnits().map((each) => each.inFlight), [
    true,
    true,
    true,
  ]);
  assertEquals(disk.peek("/a").length, 0);
  assertEquals(countStates(disk, (after) => blocks(after, "/a")), 5);
  assertEquals(await writing, 2 * UNIT);
  assertEquals(disk.unsyncedUnits(), []);
  block.bytes.fill(2);
  const late = assertRejects(
    () => file.write(block, 0, { durability: "data" }),
    SimulatedCrashError,
  );
  assertEquals(blocks(disk.crash(0b01n), "/a"), [2, 1]);
  assertEquals(blocks(disk.crash(0b10n), "/a"), [1, 2]);
  await late;
  await file.close();
});

Deno.test("SimulatedDisk.crash(): bytes left beyond the size do not appear when the file grows", () => {
  using pool = new TestPool();
  const disk = new SimulatedDisk();
  using file = makeFile(disk, "/a");
  using block = pool.filled(1);
  file.writeSync(block, 0);
  const after = disk.crashState((unit) => unit.kind === "block");
  assertEquals(after.peek("/a").length, 0);
  assertEquals(after.hash(), disk.crashState("none").hash());
  using again = after.openSync("/a", { write: true });
  again.truncateSync(UNIT);
  assertEquals(blocks(after, "/a"), [0]);
});

Deno.test("SimulatedDisk.crash(): units have the current name of their file", () => {
  using pool = new TestPool();
  const disk = new SimulatedDisk();
  using file = makeFile(disk, "/a");
  using block = pool.filled(1);
  file.writeSync(block, 0);
  disk.renameSync("/a", "/b");
  assertEquals(
    disk.unsyncedUnits().map(({ kind, path, to }) => [kind, path, to]),
    [
      ["block", "/b", undefined],
      ["size", "/b", undefined],
      ["rename", "/a", "/b"],
    ],
  );
});

Deno.test("SimulatedDisk.crash(): a sync covers what had completed when it began, and nothing in flight", async () => {
  using pool = new TestPool();
  // Whatever the order in which the two complete.
  for (let seed = 0; seed < 20; seed++) {
    const disk = new SimulatedDisk({ seed });
    const file = makeFile(disk, "/a");
    using first = pool.filled(1);
    using second = pool.filled(2);
    await file.write(first, 0);
    const writing = file.write(second, UNIT);
    await Promise.all([file.sync(), writing]);
    assertEquals(blocks(disk.crashState("none"), "/a"), [1]);
    await file.sync();
    assertEquals(blocks(disk.crashState("none"), "/a"), [1, 2]);
    await file.close();
  }
});

Deno.test("SimulatedDisk.crash(): a crashed disk refuses everything but closing, and operations in flight reject and return their memory", async () => {
  using pool = new TestPool();
  const disk = new SimulatedDisk();
  const file = makeFile(disk, "/a");
  const block = pool.filled(1);
  const lock = disk.lock("/")!;
  const writing = file.write(block, 0);
  const waiting = disk.delay(1000);
  const crashed = [
    assertRejects(() => writing, SimulatedCrashError),
    assertRejects(() => waiting, SimulatedCrashError),
  ];
  const after = disk.crash("none");
  assertEquals(disk.crashed, true);
  await Promise.all(crashed);
  assertEquals(block.bytes[0], 1);
  for (
    const call of [
      () => file.read(block, 0),
      () => file.write(block, 0),
      () => file.sync(),
      () => file.truncate(0),
      () => file.preallocate(0, 1),
      () => file.size(),
      () => disk.open("/a"),
      () => disk.rename("/a", "/b"),
      () => disk.remove("/a"),
      () => disk.list("/"),
      () => disk.makeDirectory("/d"),
      () => disk.syncDirectory("/"),
      () => disk.delay(1),
    ]
  ) {
    await assertRejects(call, SimulatedCrashError);
  }
  assertThrows(() => disk.lock("/"), SimulatedCrashError);
  assertThrows(() => disk.delaySync(1), SimulatedCrashError);
  assertThrows(() => file.writeSync(block, 0), SimulatedCrashError);
  assertEquals(block.bytes[0], 1);
  lock.release();
  file.closeSync();
  await file.close();
  assert(after.lock("/") !== undefined);
  assertEquals(after.peek("/a").length, 0);
  block.drop();
});

Deno.test("SimulatedDisk.crash() can be repeated at the same moment, with masks, sets, functions and words", () => {
  using pool = new TestPool();
  const disk = new SimulatedDisk();
  using file = makeFile(disk, "/a");
  using block = pool.filled(1, 2 * UNIT);
  file.writeSync(block, 0);
  const left = (choice: Parameters<SimulatedDisk["crash"]>[0]) =>
    blocks(disk.crash(choice), "/a");
  assertEquals(left("none"), []);
  assertEquals(left("all"), [1, 1]);
  assertEquals(left(0b101n), [1, 0]);
  assertEquals(left(new Set([1, 2])), [0, 1]);
  assertEquals(left((unit) => unit.kind === "size"), [0, 0]);
  const numbers: number[] = [];
  left((_, number) => numbers.push(number) > 0);
  assertEquals(numbers, [0, 1, 2]);
  assertEquals(left((_, number) => number > 0), [0, 1]);
});

Deno.test("SimulatedDisk.crash(): random choices leave everything, nothing and something", () => {
  using pool = new TestPool();
  const disk = new SimulatedDisk({ seed: 9 });
  using file = makeFile(disk, "/a");
  using block = pool.filled(1, 2 * UNIT);
  file.writeSync(block, 0);
  const found = new Set<string>();
  for (let i = 0; i < 200; i++) {
    found.add(String(blocks(disk.crashState(), "/a")));
  }
  assertEquals(found.size, 5);
});

Deno.test("SimulatedDisk.crash(): the disk after it has only durable contents, and can crash again", () => {
  using pool = new TestPool();
  const disk = new SimulatedDisk({ sizeBytes: 4 * UNIT, physicalBlock: 512 });
  const file = makeFile(disk, "/a");
  using block = pool.filled(1);
  file.writeSync(block, 0);
  disk.delaySync(1000);
  const second = disk.crash("all");
  assertEquals(second.unsyncedUnits(), []);
  using again = second.openSync("/a", { write: true });
  assertEquals(again.capabilities.physicalBlock, 512);
  again.writeSync(block, 0, { durability: "data" });
  assertEquals(blocks(second.crash("none").crash("none"), "/a"), [1]);
  assertNotEquals(second.seed, disk.seed);
  assert(second.timeMicros >= disk.timeMicros);
  // Changes of one disk do not show on the other.
  disk.poke("/a", 0, Uint8Array.of(9));
  assertEquals(blocks(second, "/a"), [1]);
  file.closeSync();
});

Deno.test("SimulatedDisk.kill(): everything written is there and still unsynced, locks are free, and handles are invalid", async () => {
  using pool = new TestPool();
  const disk = new SimulatedDisk();
  const file = makeFile(disk, "/a");
  using block = pool.filled(1, 2 * UNIT);
  file.writeSync(block, 0);
  disk.lock("/");
  const units = disk.unsyncedUnits();
  const after = disk.kill();
  assertEquals(after.unsyncedUnits(), units);
  assertEquals(blocks(after, "/a"), [1, 1]);
  assertEquals(blocks(after.crashState("none"), "/a"), []);
  assert(after.lock("/") !== undefined);
  await assertRejects(() => file.read(block, 0), SimulatedCrashError);
  using again = after.openSync("/a", { write: true });
  again.syncSync();
  assertEquals(blocks(after.crash("none"), "/a"), [1, 1]);
  file.closeSync();
});

Deno.test("SimulatedDisk.kill(): an operation in flight took effect, or not", async () => {
  using pool = new TestPool();
  const found = new Set<string>();
  for (let seed = 0; seed < 20; seed++) {
    const disk = new SimulatedDisk({ seed });
    const file = makeFile(disk, "/a");
    using block = pool.filled(1);
    const writing = file.write(block, 0, { durability: "data" });
    const dead = assertRejects(() => writing, SimulatedCrashError);
    found.add(String(blocks(disk.kill(), "/a")));
    await dead;
    await file.close();
  }
  assertEquals([...found].sort(), ["", "1"]);
});
