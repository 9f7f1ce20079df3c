/** Transfers that are interrupted, short, corrupted, misdirected, held in flight and misused. */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  type Fault,
  SimulatedDisk,
  SimulatedMisuseError,
} from "@basalt/io/testing";
import { blocks, makeFile, TestPool, UNIT } from "./_support.ts";

/** Makes a disk with a file of three blocks, and a buffer with the same contents. */
function three(pool: TestPool, options = {}) {
  const disk = new SimulatedDisk({ seed: 1, ...options });
  const file = makeFile(disk, "/a");
  const buffer = pool.acquireSync(3 * UNIT);
  buffer.bytes.forEach((_, i, bytes) => bytes[i] = 1 + Math.floor(i / UNIT));
  return { disk, file, buffer };
}

/** Returns the kinds and ranges of transfers that the disk received. */
function asked(disk: SimulatedDisk): string[] {
  return disk.trace.filter(({ kind }) => kind === "write" || kind === "read")
    .map(({ kind, position, length }) => `${kind} ${position}+${length}`);
}

for (const mode of ["async", "sync"] as const) {
  const write = async (pool: TestPool, fault: Fault, sticky = false) => {
    const { disk, file, buffer } = three(pool);
    disk.failAt(1, fault, { kind: "write", sticky });
    try {
      const options = { durability: "data" } as const;
      const count = mode === "async"
        ? await file.write(buffer, 0, options)
        : file.writeSync(buffer, 0, options);
      return { disk, count };
    } catch (error) {
      return { disk, error: error as Error & { code: string } };
    } finally {
      buffer.drop();
      if (mode === "async") await file.close();
      else file.closeSync();
      assertEquals(disk.openFiles, 0);
    }
  };

  Deno.test(`SimulatedFile: a short write is continued where the device takes it, ${mode}`, async () => {
    using pool = new TestPool();
    for (const shortBytes of [1, 512, UNIT, UNIT + 700, 2 * UNIT + 1]) {
      const { disk, count } = await write(pool, { shortBytes });
      assertEquals(count, 3 * UNIT);
      assertEquals(blocks(disk.crash("none"), "/a"), [1, 2, 3]);
      const from = shortBytes - shortBytes % 512;
      assertEquals(asked(disk), [
        `write 0+${3 * UNIT}`,
        `write ${from}+${3 * UNIT - from}`,
      ]);
    }
  });

  Deno.test(`SimulatedFile: a write that transfers 0 bytes is EIO, and any part of it may be there, ${mode}`, async () => {
    using pool = new TestPool();
    const { disk, error } = await write(pool, { shortBytes: 0 });
    assertEquals(error?.code, "EIO");
    assertEquals(disk.unsyncedUnits().length, 4);
  });

  Deno.test(`SimulatedFile: EINTR is retried, and EAGAIN a hundred times, ${mode}`, async () => {
    using pool = new TestPool();
    for (const error of ["EINTR", "EAGAIN"]) {
      const { disk, count } = await write(pool, { error });
      assertEquals(count, 3 * UNIT);
      assertEquals(asked(disk).length, 2);
    }
    const { disk, error } = await write(pool, { error: "EAGAIN" }, true);
    assertEquals(error?.code, "EAGAIN");
    assertEquals(asked(disk).length, 101);
    assertEquals(disk.timeMicros >= 1_700_000_000_100_000, true);
  });

  Deno.test(`SimulatedFile: a flipped bit of a write is on the disk without an error, ${mode}`, async () => {
    using pool = new TestPool();
    const { disk, count } = await write(pool, { flipBit: 8 * UNIT + 7 });
    assertEquals(count, 3 * UNIT);
    assertEquals(blocks(disk, "/a"), [1, 2 ^ 0x80, 3]);
  });

  Deno.test(`SimulatedFile: a misdirected write is elsewhere without an error, ${mode}`, async () => {
    using pool = new TestPool();
    const { disk, count } = await write(pool, { misdirectTo: 2 * UNIT });
    assertEquals(count, 3 * UNIT);
    assertEquals(blocks(disk, "/a"), [0, 0, 1, 2, 3]);
  });

  Deno.test(`SimulatedFile: a short read is continued, and one of 0 bytes is the end, ${mode}`, async () => {
    using pool = new TestPool();
    const { disk, file, buffer } = three(pool);
    file.writeSync(buffer, 0);
    const read = async () => {
      buffer.bytes.fill(9);
      return mode === "async"
        ? await file.read(buffer, 0)
        : file.readSync(buffer, 0);
    };
    disk.failAt(1, { shortBytes: UNIT }, { kind: "read" });
    assertEquals(await read(), 3 * UNIT);
    assertEquals([0, 1, 2].map((i) => buffer.bytes[i * UNIT]), [1, 2, 3]);
    assertEquals(asked(disk).slice(1), [
      `read 0+${3 * UNIT}`,
      `read ${UNIT}+${2 * UNIT}`,
    ]);
    disk.failAt(3, { shortBytes: 0 }, { kind: "read" });
    assertEquals(await read(), 0);
    // Within a sector, a read can be short only at the end of the file.
    disk.failAt(4, { shortBytes: 700 }, { kind: "read" });
    assertEquals(await read(), 700);
    disk.failAt(5, { error: "EINTR" }, { kind: "read" });
    assertEquals(await read(), 3 * UNIT);
    buffer.drop();
    await file.close();
  });
}

Deno.test("SimulatedFile: a sync is never retried, and truncate and preallocate are", () => {
  const disk = new SimulatedDisk();
  const file = makeFile(disk, "/a");
  disk.failAt(1, { error: "EINTR" }, { kind: "sync" });
  assertThrows(() => file.syncSync(), Error, "EINTR");
  for (const kind of ["truncate", "preallocate"] as const) {
    disk.failAt(1, { error: "EINTR" }, { kind });
  }
  file.truncateSync(10);
  file.preallocateSync(0, 20);
  assertEquals(file.sizeSync(), 20);
  file.closeSync();
});

Deno.test("SimulatedFile: a power cut between the parts of a short write leaves any part of it", async () => {
  using pool = new TestPool();
  const { disk, file, buffer } = three(pool);
  disk.failAt(1, { shortBytes: UNIT }, { kind: "write" });
  disk.failAt(2, { crash: true }, { kind: "write" });
  const writing = file.write(buffer, 0, { durability: "data" });
  await assertRejects(() => writing, Error, "crashed");
  assertEquals(blocks(disk.crash("none"), "/a"), [1]);
  assertEquals(blocks(disk.crash("all"), "/a"), [1, 2, 3]);
  buffer.drop();
  file.closeSync();
});

Deno.test("SimulatedFile: faults with a probability repeat with the same seed", () => {
  const failures = (seed: number) => {
    const disk = new SimulatedDisk({ seed });
    disk.failSometimes(0.3, { error: "EIO" }, { kind: "list" });
    return Array.from({ length: 200 }, () => {
      try {
        disk.listSync("/");
        return 0;
      } catch {
        return 1;
      }
    });
  };
  const some = failures(1);
  assertEquals(failures(1), some);
  const count = some.reduce<number>((sum, each) => sum + each, 0);
  assertEquals(count > 30 && count < 90, true, String(count));
  assertEquals(failures(2).join() === some.join(), false);
});

Deno.test("SimulatedDisk in manual mode: operations stay in flight until the test completes them, in any order", async () => {
  using pool = new TestPool();
  const { disk, file, buffer } = three(pool, { manual: true });
  const other = pool.filled(7);
  const told: string[] = [];
  const first = file.write(buffer, 0).then(() => told.push("first"));
  const second = file.write(other, 3 * UNIT).then(() => told.push("second"));
  await disk.delay(1000);
  assertEquals(told, []);
  const numbers = disk.inFlight.map((each) => each.number);
  disk.complete(numbers[1]!);
  await second;
  assertEquals(blocks(disk, "/a"), [0, 0, 0, 7]);
  assertThrows(() => disk.complete(numbers[1]!), RangeError, "in flight");
  disk.completeAll();
  await first;
  assertEquals(told, ["second", "first"]);
  assertEquals(blocks(disk, "/a"), [1, 2, 3, 7]);
  // A sync call completes the operations in flight.
  const third = file.sync();
  file.settleSync();
  await third;
  for (const each of [buffer, other]) each.drop();
  await file.close();
});

Deno.test("SimulatedDisk in manual mode: changed memory in flight and overlapping writes are reported", async () => {
  using pool = new TestPool();
  const { disk, file, buffer } = three(pool, { manual: true });
  using frozen = buffer.freeze();
  const reason = async (writing: Promise<unknown>) => {
    disk.completeAll();
    const error = await assertRejects(() => writing, SimulatedMisuseError);
    return (error as SimulatedMisuseError).reason;
  };
  const changed = file.write(frozen, 0);
  frozen.bytes[5] = 9;
  assertEquals(await reason(changed), "changed");
  const one = file.write(frozen, 0);
  const two = file.write(frozen, 2 * UNIT);
  assertEquals(await reason(one), "overlap");
  // The other write was alone when it completed.
  await two;
  const apart = [file.write(frozen, 0), file.write(frozen, 3 * UNIT)];
  disk.completeAll();
  await Promise.all(apart);
  const reading = pool.acquireSync(UNIT);
  const fine = file.read(reading, 0);
  disk.completeAll();
  assertEquals(await fine, UNIT);
  reading.drop();
  await file.close();
});

Deno.test("SimulatedFile: a block that a power cut left unreadable is EIO until it is rewritten whole, and is reported", () => {
  using pool = new TestPool();
  const { disk, file, buffer } = three(pool);
  file.writeSync(buffer, 0, { durability: "data" });
  file.writeSync(buffer, 0);
  const after = disk.crash("all", new Set([1]));
  assertEquals(after.unreadableBlocks(), [
    { path: "/a", position: UNIT, length: UNIT },
  ]);
  assertEquals(after.hash() === disk.crash("all").hash(), false);
  const left = after.openSync("/a", { write: true });
  const read = (position: number, length: number) =>
    left.readSync(buffer, position, { length });
  assertThrows(() => read(0, 3 * UNIT), Error, "EIO");
  assertThrows(() => read(UNIT, 512), Error, "EIO");
  assertEquals(read(2 * UNIT, UNIT), UNIT);
  left.writeSync(buffer, UNIT, { length: 512 });
  assertThrows(() => read(UNIT, 512), Error, "EIO");
  left.writeSync(buffer, UNIT, { length: UNIT, durability: "data" });
  assertEquals(read(0, 3 * UNIT), 3 * UNIT);
  assertEquals(after.crash("none").unreadableBlocks(), []);
  buffer.drop();
  left.closeSync();
  file.closeSync();
});

Deno.test("SimulatedDisk in unreadable mode: random power cuts make only blocks unreadable that were being written", () => {
  using pool = new TestPool();
  for (const unreadable of [true, false]) {
    const { disk, file, buffer } = three(pool, { unreadable });
    file.writeSync(buffer, 0, { durability: "data" });
    file.writeSync(buffer, UNIT, { length: UNIT });
    const counts = [0, 0, 0, 0];
    for (let i = 0; i < 200; i++) {
      for (const { position } of disk.crashState().unreadableBlocks()) {
        counts[position / UNIT]!++;
      }
    }
    assertEquals(counts[1]! > 5, unreadable);
    assertEquals([counts[0], counts[2], counts[3]], [0, 0, 0]);
    buffer.drop();
    file.closeSync();
  }
});
