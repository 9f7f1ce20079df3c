/**
 * Properties of a simulated device: how long it takes, whether it is idle, and what it does in
 * place.
 */
import { Driver, driveSync, inPlace, type Task } from "../../lib/base/mod.ts";
import { TaskFile, TaskStorage } from "../../lib/storage/mod.ts";
import { SimulatedCrashError, SimulatedDisk } from "../../lib/testing/mod.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { makeFile, TestPool, UNIT } from "./_support.ts";

const LATENCY = { readMicros: 70, writeMicros: 30, syncMicros: 1000 };

/** Returns how much of the disk's time each operation takes, async or sync. */
async function durations(isBlocking: boolean): Promise<number[]> {
  using pool = new TestPool();
  const disk = new SimulatedDisk({ latency: LATENCY, timeStepMicros: 0 });
  const storage = new TaskStorage(disk);
  const file = new TaskFile(makeFile(disk, "/a"));
  using buffer = pool.filled(1);
  const operations: (() => Task<unknown>)[] = [
    () => file.write(buffer, 0),
    () => file.write(buffer, 0, { durability: "data" }),
    () => file.read(buffer, 0),
    () => file.sync(),
    () => storage.syncDirectory("/"),
    () => file.size(),
    () => file.truncate(0),
    () => storage.removeNow("/a"),
    () => file.close(),
  ];
  const found: number[] = [];
  for (const operation of operations) {
    const before = disk.now();
    if (isBlocking) driveSync(operation());
    else await new Driver(operation()).promise;
    found.push(disk.now() - before);
  }
  return found;
}

Deno.test("SimulatedDiskOptions.latency shows in the clock, async and sync", async () => {
  const expected = [30, 1030, 70, 1000, 1000, 0, 0, 0, 0];
  assertEquals(await durations(true), expected);
  assertEquals(await durations(false), expected);
});

Deno.test("SimulatedDiskOptions.latency of operations in flight overlaps, and shows when they are finished synchronously", async () => {
  using pool = new TestPool();
  const disk = new SimulatedDisk({ latency: LATENCY, timeStepMicros: 0 });
  const made = makeFile(disk, "/a");
  const file = new TaskFile(made);
  const start = disk.now();
  const buffers = [1, 2, 3].map((value) => pool.filled(value));
  const writes = buffers.map((buffer, i) =>
    new Driver(file.write(buffer, i * UNIT))
  );
  // Other operations in flight complete as well.
  const isOver = (each: Driver<number>) => each.finishSync() === UNIT;
  assert(isOver(writes[1]!));
  assertEquals(disk.now() - start, 30);
  assert(writes.every(isOver));
  assertEquals(disk.now() - start, 30);
  disk.latency = {};
  made.writeSync(buffers[0]!, 0, { durability: "full" });
  assertEquals(disk.now() - start, 30);
  for (const each of buffers) each.drop();
  assertEquals(
    await Promise.all(writes.map((each) => each.promise)),
    [UNIT, UNIT, UNIT],
  );
  made.closeSync();
});

Deno.test("SimulatedDisk.latency outlives a crash, and is checked", () => {
  const disk = new SimulatedDisk();
  assertEquals(disk.latency, {});
  disk.latency = LATENCY;
  assertEquals(disk.crash().latency, LATENCY);
  for (const syncMicros of [-1, 0.5, NaN]) {
    assertThrows(
      () => new SimulatedDisk({ latency: { syncMicros } }),
      RangeError,
      "syncMicros",
    );
    assertThrows(() => disk.latency = { syncMicros }, RangeError);
  }
  assertEquals(disk.latency, LATENCY);
});

Deno.test("SimulatedDisk.isIdle() counts operations, not delays and timers", async () => {
  using pool = new TestPool();
  const disk = new SimulatedDisk({ manual: true });
  const file = makeFile(disk, "/a");
  using buffer = pool.filled(1);
  const timer = disk.after(1000, () => {});
  const delay = disk.delay(10);
  assert(disk.isIdle());
  const writing = file.write(buffer, 0);
  assertEquals(disk.isIdle(), false);
  disk.completeAll();
  // It has completed, but its promise has not resolved yet.
  assertEquals(disk.isIdle(), false);
  await writing;
  assert(disk.isIdle());
  disk.mayWaitInPlace = false;
  assertEquals(disk.isIdle(), false);
  timer.cancel();
  await delay;
  file.closeSync();
});

/** The steps of a write: every operation that a flush may need. */
function* flush(disk: SimulatedDisk, pool: TestPool): Task<void> {
  const storage = new TaskStorage(disk);
  using buffer = pool.filled(1);
  const file = yield* storage.openNow("/next", {
    write: true,
    createNew: true,
  });
  yield* file.write(buffer, 0, { durability: "data" });
  yield* storage.renameNow("/next", "/current");
  yield* storage.syncDirectory("/");
  yield* storage.removeNow("/old");
  yield* storage.syncDirectory("/");
  yield* file.close();
}

Deno.test("SimulatedDisk traces operations in place in order, and they crash like others", async () => {
  using pool = new TestPool();
  const made = () => {
    const disk = new SimulatedDisk();
    disk.poke("/old", 0, new Uint8Array(1));
    return disk;
  };
  const disk = made();
  await new Driver(flush(disk, pool)).promise;
  const kinds = disk.trace.map(({ kind }) => kind);
  assertEquals(kinds, [
    "open",
    "write",
    "rename",
    "syncDirectory",
    "remove",
    "syncDirectory",
  ]);
  assertEquals(
    disk.trace.map(({ completion, outcome }) => [completion, outcome]),
    kinds.map((_, i) => [i + 1, "done"]),
  );
  for (let number = 1; number <= kinds.length; number++) {
    for (const isFinished of [false, true]) {
      const disk = made();
      disk.failAt(number, { crash: true });
      const driver = new Driver(flush(disk, pool));
      if (isFinished) {
        assertThrows(() => driver.finishSync(), SimulatedCrashError);
      }
      await assertRejects(() => driver.promise, SimulatedCrashError);
      assertEquals(disk.trace.length, number);
      const left = disk.crash("none").files();
      assertEquals(
        left,
        [
          ["/old"],
          ["/old"],
          ["/old"],
          ["/old"],
          ["/current", "/old"],
          ["/current", "/old"],
        ][number - 1],
      );
    }
  }
});

Deno.test("SimulatedDisk.crash() ends a task that waits, and finishing it throws SimulatedCrashError", async () => {
  using pool = new TestPool();
  const disk = new SimulatedDisk();
  disk.poke("/old", 0, new Uint8Array(1));
  const driver = new Driver(flush(disk, pool));
  const other = new Driver(inPlace("nothing", () => 1));
  disk.crash();
  assertThrows(() => driver.finishSync(), SimulatedCrashError);
  assertEquals(other.finishSync(), 1);
  await assertRejects(() => driver.promise, SimulatedCrashError);
});
