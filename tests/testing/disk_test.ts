/** The seed, the clock, the order of completion, and changes that bypass the disk's operations. */
import {
  assert,
  assertEquals,
  assertNotEquals,
  assertRejects,
  assertThrows,
} from "@std/assert";
import {
  SeededRandom,
  SimulatedCrashError,
  SimulatedDisk,
  type SimulatedDiskOptions,
} from "../../lib/testing/mod.ts";
import { makeFile, TestPool, UNIT } from "./_support.ts";

/** Runs operations in flight, random bytes, times and a crash. Returns everything observable. */
async function scenario(seed: number): Promise<unknown> {
  using pool = new TestPool();
  const disk = new SimulatedDisk({ seed });
  const file = await disk.open("/a", { write: true, createNew: true });
  const order: unknown[] = [];
  await Promise.all(Array.from({ length: 8 }, async (_, i) => {
    using block = pool.filled(i + 1);
    disk.random(block.bytes);
    await file.write(block, i * UNIT);
    order.push(i, disk.now());
    if (i % 3 === 0) await disk.delay(i);
    await file.sync();
    order.push(i, disk.now());
  }));
  disk.renameSync("/a", "/b");
  await file.close();
  return {
    order,
    trace: disk.trace,
    hash: disk.hash(),
    crashes: [1, 2, 3].map(() => disk.crash().hash()),
    random: [...disk.crash().random(new Uint8Array(8))],
  };
}

Deno.test("SimulatedDisk repeats itself with the same seed, and differs with another one", async () => {
  const first = await scenario(1);
  assertEquals(await scenario(1), first);
  assertNotEquals(await scenario(2), first);
});

Deno.test("SimulatedDisk completes operations in later turns, in any order", async () => {
  using pool = new TestPool();
  const orders = new Set<string>();
  for (let seed = 0; seed < 100; seed++) {
    const disk = new SimulatedDisk({ seed });
    const file = makeFile(disk, "/a");
    const order: number[] = [];
    const writes = [0, 1, 2].map(async (i) => {
      using block = pool.filled(i);
      await file.write(block, i * UNIT);
      order.push(i);
    });
    // Promises alone do not let time pass.
    for (let i = 0; i < 10; i++) await Promise.resolve();
    assertEquals(order, []);
    await Promise.all(writes);
    orders.add(order.join(""));
    await file.close();
  }
  assertEquals(orders.size, 6);
});

Deno.test("SimulatedDisk.timeMicros advances only by steps, delays and latencies, and may be set back", async () => {
  const disk = new SimulatedDisk({ timeMicros: 1000, timeStepMicros: 10 });
  assertEquals([disk.now(), disk.now()], [1000, 1010]);
  assertEquals([disk.timeMicros, disk.timeMicros], [1020, 1020]);
  await disk.delay(2);
  assertEquals(disk.timeMicros, 3020);
  disk.delaySync(1.5);
  assertEquals(disk.timeMicros, 4520);
  const waiting = disk.delay(5);
  disk.timeMicros = 100;
  await waiting;
  assertEquals(disk.timeMicros, 5100);
  const order: string[] = [];
  await Promise.all([
    disk.delay(100).then(() => order.push("long")),
    disk.delay(1).then(() => order.push("short")),
  ]);
  assertEquals(order, ["short", "long"]);
  assertThrows(() => disk.timeMicros = -1, RangeError);
});

/** Lets everything run that can run. */
async function turns(count = 5): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise(setImmediate);
}

Deno.test("SimulatedDisk.after() waits for the clock, and does not advance it", async () => {
  const disk = new SimulatedDisk({ timeMicros: 0, timeStepMicros: 1000 });
  const ran: string[] = [];
  disk.after(4, () => ran.push("steps"));
  disk.after(10, () => ran.push("delaySync"));
  await turns();
  assertEquals([ran, disk.timeMicros], [[], 0]);
  for (let i = 0; i < 4; i++) disk.now();
  assertEquals(ran, []);
  await turns();
  assertEquals([ran, disk.timeMicros], [["steps"], 4000]);
  disk.delaySync(5.999);
  await turns();
  assertEquals(ran, ["steps"]);
  disk.delaySync(0.001);
  assertEquals(ran, ["steps"]);
  await turns();
  assertEquals([ran, disk.timeMicros], [["steps", "delaySync"], 10_000]);
});

Deno.test("SimulatedDisk.after() runs during a delay, and during an operation that takes time", async () => {
  const disk = new SimulatedDisk({ timeMicros: 0, timeStepMicros: 0 });
  const ran: [string, number][] = [];
  const note = (name: string) => () => {
    ran.push([name, disk.timeMicros]);
  };
  disk.after(500, note("first"));
  disk.after(1500, note("third"));
  const cancelled = disk.after(700, note("never"));
  disk.after(600, () => cancelled.cancel());
  await disk.delay(1000).then(note("second"));
  assertEquals(ran.splice(0), [["first", 500_000], ["second", 1_000_000]]);
  const remove = disk.onOperation(() => ({ latencyMs: 900 }));
  await disk.list("/").then(note("fourth"));
  remove();
  assertEquals(ran, [["third", 1_500_000], ["fourth", 1_900_000]]);
});

Deno.test("SimulatedDisk.after() runs functions in the order of their times, whatever the seed", async () => {
  for (let seed = 0; seed < 20; seed++) {
    const disk = new SimulatedDisk({ seed });
    const ran: number[] = [];
    for (const ms of [30, 10, 20, 10]) disk.after(ms, () => ran.push(ms));
    disk.delaySync(100);
    await turns(10);
    assertEquals(ran, [10, 10, 20, 30]);
  }
});

Deno.test("SimulatedDisk.after() never runs once the disk has crashed, and is refused then", async () => {
  const disk = new SimulatedDisk({ timeMicros: 0, timeStepMicros: 0 });
  const ran: string[] = [];
  const timer = disk.after(1, () => ran.push("due"));
  disk.after(1000, () => ran.push("late"));
  disk.delaySync(1);
  const next = disk.crash("all");
  next.delaySync(5000);
  await turns();
  assertEquals(ran, []);
  timer.cancel();
  assertThrows(() => disk.after(1, () => {}), SimulatedCrashError);
});

Deno.test("SimulatedDisk.after() does not change how a seed affects operations", async () => {
  const order = async (timer: boolean): Promise<string> => {
    const disk = new SimulatedDisk({ seed: 7 });
    if (timer) disk.after(60_000, () => {});
    const done: number[] = [];
    const lists = Array.from(
      { length: 9 },
      (_, i) => disk.list("/").then(() => done.push(i)),
    );
    await Promise.all(lists);
    return done.join();
  };
  assertEquals(await order(true), await order(false));
});

Deno.test("SimulatedDisk.delay() does not advance the clock when it is aborted", async () => {
  const disk = new SimulatedDisk({ timeMicros: 0, timeStepMicros: 0 });
  const controller = new AbortController();
  const waiting = disk.delay(1000, { signal: controller.signal });
  controller.abort(new Error("enough"));
  await assertRejects(() => waiting, Error, "enough");
  await disk.delay(1);
  // Turns of the event loop in which the time could still pass.
  await new Promise((resolve) => setTimeout(resolve, 2));
  assertEquals(disk.timeMicros, 1000);
});

Deno.test("SimulatedDisk() refuses wrong options by name", () => {
  const wrong: [SimulatedDiskOptions, string][] = [
    [{ seed: 0.5 }, "'seed'"],
    [{ blockBytes: 0 }, "'blockBytes'"],
    [{ sizeBytes: -1 }, "'sizeBytes'"],
    [{ timeMicros: NaN }, "'timeMicros'"],
    [{ timeStepMicros: -1 }, "'timeStepMicros'"],
  ];
  for (const [options, name] of wrong) {
    assertThrows(() => new SimulatedDisk(options), RangeError, name);
  }
});

Deno.test("SimulatedDisk reports the capabilities of a real disk, or those in its options", () => {
  const disk = new SimulatedDisk();
  using file = makeFile(disk, "/a");
  const { tier, offsetAlignment, memoryAlignment, physicalBlock } =
    file.capabilities;
  assertEquals(
    [tier, offsetAlignment, memoryAlignment, physicalBlock],
    ["direct", 512, 512, 4096],
  );
  const other = new SimulatedDisk({ tier: "buffered", copyOnWrite: true });
  using odd = makeFile(other, "/a");
  assertEquals([odd.capabilities.tier, odd.capabilities.copyOnWrite], [
    "buffered",
    true,
  ]);
});

Deno.test("SimulatedDisk.poke() changes bytes durably and without an operation, and peek() copies them", () => {
  using pool = new TestPool();
  const disk = new SimulatedDisk();
  disk.poke("/d/e/a", 5000, Uint8Array.of(1, 2, 3));
  assertEquals(disk.trace, []);
  assertEquals(disk.unsyncedUnits(), []);
  assertEquals(disk.files(), ["/d/e/a"]);
  const bytes = disk.peek("/d/e/a");
  assertEquals([bytes.length, ...bytes.slice(5000)], [5003, 1, 2, 3]);
  bytes.fill(9);
  assertEquals(disk.peek("/d/e/a")[5000], 1);
  // Also where there is an unsynced write, whatever a crash leaves of it.
  using file = disk.openSync("/d/e/a", { write: true });
  using block = pool.filled(7);
  file.writeSync(block, 4096);
  disk.poke("/d/e/a", 5000, Uint8Array.of(4));
  for (const choice of ["none", "all"] as const) {
    assertEquals(disk.crashState(choice).peek("/d/e/a")[5000], 4);
  }
  assertEquals(disk.crashState("none").peek("/d/e/a")[5001], 2);
  assertEquals(disk.crashState("all").peek("/d/e/a")[5001], 7);
  assertThrows(() => disk.peek("/no"), Deno.errors.NotFound);
  assertThrows(() => disk.peek("/d"), Deno.errors.IsADirectory);
});

Deno.test("SimulatedDisk.flipBit() flips one bit", () => {
  const disk = new SimulatedDisk();
  disk.poke("/a", 0, Uint8Array.of(0, 0b1000));
  disk.flipBit("/a", 0, 7);
  disk.flipBit("/a", 1, 3);
  assertEquals([...disk.peek("/a")], [128, 0]);
  assertThrows(() => disk.flipBit("/a", 2, 0), RangeError, "'position'");
});

Deno.test("SimulatedDisk.hash() depends on the contents, not on how they came about", () => {
  using pool = new TestPool();
  const made = (build: (disk: SimulatedDisk) => void) => {
    const disk = new SimulatedDisk();
    build(disk);
    return disk.hash();
  };
  const hashes = [
    made(() => {}),
    made((disk) => disk.poke("/a", 0, new Uint8Array(0))),
    made((disk) => disk.poke("/b", 0, new Uint8Array(0))),
    made((disk) => disk.poke("/a", 0, new Uint8Array(1))),
    made((disk) => disk.poke("/a", 0, Uint8Array.of(1))),
    made((disk) => disk.poke("/a", 0, Uint8Array.of(0, 1))),
    made((disk) => disk.poke("/a", 0, Uint8Array.of(1, 0))),
    made((disk) => disk.poke("/a", UNIT, Uint8Array.of(1))),
    made((disk) => disk.makeDirectorySync("/a")),
    made((disk) => {
      disk.poke("/a", 0, Uint8Array.of(1));
      disk.poke("/b", 0, Uint8Array.of(2));
    }),
    made((disk) => {
      disk.poke("/a", 0, Uint8Array.of(2));
      disk.poke("/b", 0, Uint8Array.of(1));
    }),
  ];
  assertEquals(new Set(hashes).size, hashes.length);
  for (const hash of hashes) assert(/^[0-9a-f]{16}$/.test(hash));
  // Zeros that were written, allocated or never written are the same.
  using block = pool.acquireSync(2 * UNIT, { zeroed: true });
  const zeros = [
    (disk: SimulatedDisk) => makeFile(disk, "/a").truncateSync(2 * UNIT),
    (disk: SimulatedDisk) => makeFile(disk, "/a").preallocateSync(0, 2 * UNIT),
    (disk: SimulatedDisk) => makeFile(disk, "/a").writeSync(block, 0),
    (disk: SimulatedDisk) => disk.poke("/a", 2 * UNIT - 1, new Uint8Array(1)),
  ].map(made);
  assertEquals(new Set(zeros).size, 1);
});

Deno.test("SimulatedDisk parses paths like the kernel", () => {
  const disk = new SimulatedDisk();
  disk.makeDirectorySync("/d/");
  disk.poke("d//./e/../a", 0, Uint8Array.of(1));
  assertEquals(disk.files(), ["/d/a"]);
  assertEquals(disk.listSync("/../d/.").map((each) => each.name), ["a"]);
  using file = disk.openSync("/d/../d/a");
  assertEquals(file.path, "/d/../d/a");
  // The others are compared with a real disk, whose root nothing must try to remove.
  const busy = assertThrows(() => disk.removeSync("/"));
  assertEquals((busy as { code?: string }).code, "EBUSY");
});

Deno.test("SeededRandom is evenly distributed, reproducible, and different for close seeds", () => {
  const random = new SeededRandom(42);
  const counts = Array.from({ length: 10 }, () => 0);
  for (let i = 0; i < 10_000; i++) counts[random.below(10)]!++;
  for (const count of counts) assert(Math.abs(count - 1000) < 150, `${counts}`);
  const bytes = (seed: number) =>
    [...new SeededRandom(seed).fill(new Uint8Array(7))].join();
  assertEquals(bytes(-5), bytes(-5));
  const seeds = [0, 1, 2, 2 ** 32, 2 ** 32 + 1, 2 ** 53 - 1, -1];
  assertEquals(new Set(seeds.map(bytes)).size, seeds.length);
  let happened = 0;
  for (let i = 0; i < 10_000; i++) if (random.chance(0.1)) happened++;
  assert(Math.abs(happened - 1000) < 150);
  assert(!random.chance(0));
  assert(random.chance(1));
});
