/**
 * Space after the data is allocated and zeroed ahead, and never gets in the way:
 * docs/format.md#write-prepare.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Operation, SimulatedDisk } from "@basalt/io/testing";
import { type Log, NoSpaceError } from "@basalt/io";
import {
  appendSome,
  at,
  batchesOf,
  DiskPlace,
  drain,
  faultsOfClosed,
  HEADER,
  INDEX,
  KIB,
  lines,
  LOG,
  MIB,
  openLog,
  openLogSync,
  payload,
  type Place,
  quiet,
  SimulatedPlace,
  testPool,
} from "../_support.ts";
import { FILES } from "../../permissions.ts";

/** Fails unless the log's file has only zeros after its data. Returns its length. */
function lengthAhead(place: Place): number {
  const bytes = place.bytes(LOG);
  const end = batchesOf(bytes).at(-1)?.end ?? 0;
  assert(bytes.subarray(end).every((byte) => byte === 0), "zeros");
  return bytes.length;
}

/** Waits until the preparation has ended. */
async function prepared(log: Log): Promise<number> {
  for (let before = -1;;) {
    const { preparedBytes } = log.stats();
    if (preparedBytes === before) return preparedBytes;
    before = preparedBytes;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Makes small messages durable one by one, with time to prepare after each. */
async function appendSmall(
  log: Log,
  disk: SimulatedDisk,
  count: number,
  length = 1000,
): Promise<void> {
  for (let i = 0; i < count; i++) {
    await log.appendDurable(payload(log.nextOffset, length));
    await quiet(disk);
  }
}

Deno.test("write-prepare: an open log has zeros after its data, and is cut at close", async () => {
  await at(new SimulatedPlace(), async (place) => {
    const log = await openLog(place, { prepareBytes: 3 * MIB });
    await appendSmall(log, place.storage, 3);
    assertEquals(place.bytes(LOG).length, 4 * KIB, "not for the first flushes");
    await appendSmall(log, place.storage, 1);
    const end = 4 * (HEADER + 1000);
    assertEquals(lengthAhead(place), 8 * KIB + 64 * KIB);
    assertEquals(log.stats().preparedBytes, 72 * KIB - end);
    // Three quarters of the window are used before more is prepared.
    const start = place.storage.trace.length;
    while (log.stats().preparedBytes > 22 * KIB) {
      await appendSmall(log, place.storage, 1);
    }
    assertEquals(lines(place.storage, start, ["preallocate"]), []);
    await appendSmall(log, place.storage, 6);
    assert(log.stats().preparedBytes > 48 * KIB);
    lengthAhead(place);
    const count = log.nextOffset;
    await log.close();
    assertEquals(place.bytes(LOG).length, count * (HEADER + 1000));
    assertEquals(faultsOfClosed(place), []);
  });
});

Deno.test(
  "write-prepare: a file on the disk is prepared in the background and cut at close",
  {
    ignore: !FILES,
  },
  async () => {
    for (const mode of ["async", "sync"]) {
      await at(new DiskPlace(), async (place) => {
        const log = await openLog(place, { prepareBytes: 4 * MIB });
        for (let i = 0; i < 8; i++) {
          await log.appendDurable(payload(log.nextOffset, 1000));
          await prepared(log);
        }
        if (!log.capabilities.copyOnWrite) {
          assert(log.stats().preparedBytes >= 48 * KIB);
          assert(lengthAhead(place) > 64 * KIB);
        }
        appendSome(log, 5, 100_000);
        if (mode === "sync") log.closeSync();
        else await log.close();
        const bytes = place.bytes(LOG);
        assertEquals(batchesOf(bytes).at(-1)!.end, bytes.length);
        assertEquals(faultsOfClosed(place), []);
      });
    }
  },
);

Deno.test("write-prepare: a fast log prepares an eighth of what it wrote, in steps of at most 256 KiB", async () => {
  await at(new SimulatedPlace(), async (place) => {
    const disk = place.storage;
    const log = await openLog(place, {
      prepareBytes: MIB,
      blockBytes: 64 * KIB,
    });
    await appendSmall(log, disk, 200, 20_000);
    const windows = disk.trace.filter(({ kind }) => kind === "preallocate")
      .map(({ length }) => length!);
    assert(windows[0]! <= 64 * KIB, windows.join());
    assert(windows.at(-1)! > 256 * KIB, windows.join());
    const prepared = windows.reduce((sum, length) => sum + length, 0);
    const written = 200 * (HEADER + 20_000);
    assert(prepared > 0.9 * written, `${prepared} of ${written}`);
    assert(prepared < 1.125 * written + 64 * KIB, `${prepared} of ${written}`);
    for (const { kind, length, path } of disk.trace) {
      if (kind !== "write" || !path.endsWith(".log")) continue;
      assert(length! <= 256 * KIB, `a write of ${length}`);
    }
    await log.close();
    assertEquals(faultsOfClosed(place), []);
  });
});

Deno.test("write-prepare: a log with a message a minute prepares at most 1 MiB, whatever its limit", async () => {
  await at(new SimulatedPlace(), async (place) => {
    const disk = place.storage;
    const log = await openLog(place, {
      prepareBytes: 64 * MIB,
      blockBytes: 64 * KIB,
    });
    // First so fast that its windows grow, then slowly.
    await appendSmall(log, disk, 300, 30_000);
    let most = 0;
    for (let i = 0; i < 400; i++) {
      disk.timeMicros += 60_000_000;
      const start = disk.trace.length;
      await appendSmall(log, disk, 1, 30_000);
      const windows = disk.trace.slice(start)
        .filter(({ kind }) => kind === "preallocate");
      for (const { length } of windows) most = Math.max(most, length!);
    }
    assert(most > 0 && most <= MIB, `${most}`);
    await log.close();
    assertEquals(faultsOfClosed(place), []);
  });
});

Deno.test("write-prepare: nothing is prepared for large flushes, nor for flushes that are not durable", async () => {
  for (
    const [length, durability] of [[200_000, "data"], [100, "none"]] as const
  ) {
    await at(new SimulatedPlace(), async (place) => {
      const log = await openLog(place, {
        prepareBytes: 64 * MIB,
        blockBytes: 256 * KIB,
      });
      for (let i = 0; i < 20; i++) {
        appendSome(log, 1, length);
        await log.flush({ durability });
        await quiet(place.storage);
      }
      assertEquals(lines(place.storage, 0, ["preallocate"]), []);
      await log.close();
      assertEquals(faultsOfClosed(place), []);
    });
  }
});

Deno.test("write-prepare: at most one step of a preparation begins while a flush waits", async () => {
  for (let turns = 0; turns < 8; turns++) {
    await at(new SimulatedPlace({ seed: turns }), async (place) => {
      const disk = place.storage;
      const log = await openLog(place, { prepareBytes: 8 * MIB });
      // Windows of several MiB, so that a preparation takes many steps.
      await appendSmall(log, disk, 60, 40_000);
      let begun = 0;
      let steps = 0;
      disk.onOperation((operation) => {
        if (!prepares(operation)) return;
        steps++;
        if (log.durableOffset < log.nextOffset) begun++;
      });
      for (let i = 0; i < 60; i++) {
        appendSome(log, 1, 40_000);
        begun = 0;
        await log.flush();
        assert(begun <= 1, `${begun} after ${turns} turns`);
        for (let turn = 0; turn < turns; turn++) {
          await new Promise((resolve) => setTimeout(resolve, 0));
        }
      }
      assert(turns < 3 || steps > 0, "nothing was prepared");
      await log.close();
      assertEquals(faultsOfClosed(place), []);
    });
  }
});

Deno.test("write-prepare: nothing is prepared beyond the end of a segment", async () => {
  await at(new SimulatedPlace(), async (place) => {
    const log = await openLog(place, {
      prepareBytes: 4 * MIB,
      segmentBytes: 200 * KIB,
    });
    let most = 0;
    while (log.stats().rolls === 0) {
      most = Math.max(most, lengthAhead(place));
      await appendSmall(log, place.storage, 1, 3000);
      if (log.stats().rolls === 0) {
        assert(place.bytes(LOG).length <= 200 * KIB);
      }
    }
    assertEquals(most, 200 * KIB);
    await log.close();
    assertEquals(faultsOfClosed(place), []);
  });
});

/** Whether an operation is part of a preparation: it allocates, or writes zeros. */
function prepares({ kind, path, length }: Operation): boolean {
  return kind === "preallocate" ||
    kind === "write" && path.endsWith(".log") && length! >= 56 * KIB;
}

for (const kind of ["preallocate", "write"] as const) {
  for (const error of ["ENOSPC", "EDQUOT", "EFBIG", "EIO", "EOPNOTSUPP"]) {
    Deno.test(`write-prepare: ${error} in a ${kind} of a preparation fails no call, and releases the space`, async () => {
      await at(new SimulatedPlace(), async (place) => {
        const disk = place.storage;
        const log = await openLog(place, { prepareBytes: 4 * MIB });
        await appendSmall(log, disk, 3, 3000);
        let failed = 0;
        disk.onOperation((operation) => {
          if (operation.kind !== kind || !prepares(operation)) return;
          failed++;
          return { error };
        });
        await appendSmall(log, disk, 1, 3000);
        assertEquals(failed, 1);
        const end = batchesOf(place.bytes(LOG)).at(-1)!.end;
        assertEquals(place.bytes(LOG).length, Math.ceil(end / 4096) * 4096);
        await appendSmall(log, disk, 10, 3000);
        assertEquals(failed, 1, "it is not retried");
        assertEquals(log.durableOffset, 14);
        await log.close();
        assertEquals(faultsOfClosed(place), []);
        const again = await openLog(place);
        assertEquals(
          (await drain(again)).map((each) => each.payload),
          Array.from({ length: 14 }, (_, i) => payload(i, 3000)),
        );
        await again.close();
      });
    });
  }
}

Deno.test("write-prepare: a disk that is too small for the window takes messages until it is full", async () => {
  await at(
    new SimulatedPlace({ sizeBytes: 64 * KIB }),
    async (place) => {
      const log = await openLog(place, { prepareBytes: 4 * MIB });
      for (let i = 0; i < 10; i++) {
        await log.appendDurable(payload(i, 3000));
        await quiet(place.storage);
      }
      assertEquals(log.durableOffset, 10);
      await log.close();
      assertEquals(faultsOfClosed(place), []);
    },
  );
});

Deno.test("write-prepare: a pool without room for zeros fails no call", async () => {
  const place = new SimulatedPlace();
  const pool = testPool({ limitBytes: 160 * KIB, atLimit: "fail" });
  try {
    const log = await openLog(place, {
      pool,
      prepareBytes: 4 * MIB,
      tailBytes: 0,
    });
    for (let i = 0; i < 10; i++) {
      await log.appendDurable(payload(i, 5000));
      await quiet(place.storage);
    }
    assertEquals(log.stats().preparedBytes < 4096, true);
    await log.close();
    assertEquals(pool.stats().inUseBytes, 0);
    assertEquals(faultsOfClosed(place), []);
  } finally {
    pool.close();
    place.pool.close();
  }
});

for (
  const [what, disk, prepareBytes] of [
    ["on a filesystem that copies on write", { copyOnWrite: true }, 4 * MIB],
    ["for a window of 0 bytes", {}, 0],
  ] as const
) {
  Deno.test(`write-prepare: nothing is prepared ${what}`, async () => {
    await at(new SimulatedPlace(disk), async (place) => {
      const log = await openLog(place, { prepareBytes });
      await appendSmall(log, place.storage, 10);
      assertEquals(place.bytes(LOG).length, 16 * KIB);
      assertEquals(lines(place.storage, 0, ["preallocate"]), []);
      await log.close();
      assertEquals(faultsOfClosed(place), []);
    });
  });
}

Deno.test("write-prepare: the index is never prepared", async () => {
  await at(new SimulatedPlace(), async (place) => {
    const log = await openLog(place, {
      prepareBytes: MIB,
      segmentBytes: 256 * KIB,
    });
    for (let i = 0; i < 100; i++) {
      appendSome(log, 10, 500);
      await log.flush();
      await quiet(place.storage);
      for (const name of place.names()) {
        if (!name.endsWith(".index")) continue;
        assert(place.bytes(name).length <= 4096 * 3, name);
      }
    }
    const allocated = lines(place.storage, 0, ["preallocate"]);
    assert(allocated.length > 0);
    assertEquals(allocated.filter((line) => line.includes("index")), []);
    assert(log.stats().rolls > 1);
    await log.close();
    assertEquals(faultsOfClosed(place), []);
    assertEquals(place.bytes(INDEX).length % 24, 0);
  });
});

Deno.test("write-prepare: sync calls and closing work at every moment of a preparation", async () => {
  for (let turns = 0; turns < 10; turns++) {
    for (const end of ["flush", "close"]) {
      await at(new SimulatedPlace({ seed: turns }), async (place) => {
        const log = openLogSync(place, { prepareBytes: 3 * MIB });
        await appendSmall(log, place.storage, 60, 40_000);
        appendSome(log, 1, 40_000);
        await log.flush();
        for (let turn = 0; turn < turns; turn++) {
          await new Promise((resolve) => setTimeout(resolve, 0));
        }
        appendSome(log, 1, 1_500_000);
        const count = 62 + (end === "flush" ? 1 : 0);
        if (end === "flush") {
          log.flushSync();
          await quiet(place.storage);
          appendSome(log, 1, 100);
          await log.flush();
        }
        assertEquals(log.nextOffset, count);
        log.closeSync();
        assertEquals(faultsOfClosed(place), []);
        await quiet(place.storage);
      });
    }
  }
});

Deno.test("write-prepare: nothing is prepared after a failed flush", async () => {
  for (const error of ["EIO", "ENOSPC"]) {
    await at(new SimulatedPlace(), async (place) => {
      const disk = place.storage;
      const log = await openLog(place, { prepareBytes: 200 * KIB });
      const heal = disk.failAt(1, { error }, { kind: "write", sticky: true });
      log.append(payload(0, 100));
      await assertRejects(() => log.flush());
      const { length } = disk.trace;
      await quiet(disk);
      assertEquals(disk.trace.length, length);
      heal();
      await log.close().catch(() => {});
    });
  }
});

Deno.test("write-prepare: nothing is prepared after a checkpoint without room, and the next flush repeats it", async () => {
  await at(new SimulatedPlace(), async (place) => {
    const disk = place.storage;
    const log = await openLog(place, { prepareBytes: 4 * MIB });
    const heal = disk.onOperation(({ kind, path }) => {
      if (kind === "write" && path.endsWith(".index")) {
        return { error: "ENOSPC" };
      }
    });
    appendSome(log, 13, MIB);
    await log.flush();
    await quiet(disk);
    const last = disk.trace.findLast(({ kind }) => kind !== "size")!;
    assertEquals([last.path.endsWith(INDEX), last.outcome], [true, "ENOSPC"]);
    // The failure is not reported. Acknowledged messages stay durable, and appending continues.
    assertEquals(log.durableOffset, 13);
    heal();
    await appendSmall(log, disk, 6, 100);
    assertEquals(log.durableOffset, 19);
    assert(log.stats().preparedBytes > 50 * KIB, "prepared again");
    await log.close();
    assertEquals(faultsOfClosed(place), []);
  });
});

for (const mode of ["async", "sync"]) {
  Deno.test(`write-give-back: closing cuts prepared space before it writes anything else, ${mode}`, async () => {
    await at(new SimulatedPlace(), async (place) => {
      const log = await openLog(place, { prepareBytes: MIB });
      await appendSmall(log, place.storage, 6);
      assert(log.stats().preparedBytes > 50 * KIB);
      const start = place.storage.trace.length;
      if (mode === "sync") log.closeSync();
      else await log.close();
      const changes = lines(place.storage, start, ["truncate", "write"]);
      assertEquals(changes.slice(0, 2), [
        `truncate 0.log ${6 * (HEADER + 1000)}`,
        "write 0.index 0+4096 none",
      ]);
    });
  });

  Deno.test(`write-give-back: a write and a checkpoint on a full disk release prepared space, ${mode}`, async () => {
    for (const what of [".log", ".index"]) {
      await at(new SimulatedPlace(), async (place) => {
        const disk = place.storage;
        const log = await openLog(place, { prepareBytes: MIB });
        await appendSmall(log, disk, 30, 20_000);
        assert(log.stats().preparedBytes > 20 * KIB);
        const heal = disk.onOperation(({ kind, path }) =>
          kind === "write" && path.endsWith(what)
            ? { error: "ENOSPC" }
            : undefined
        );
        appendSome(log, what === ".log" ? 1 : 13, what === ".log" ? 100 : MIB);
        if (mode === "sync") {
          try {
            log.flushSync();
          } catch (error) {
            assert(error instanceof NoSpaceError);
          }
        } else {
          await log.flush().catch((error) =>
            assert(error instanceof NoSpaceError)
          );
          await quiet(disk);
        }
        assert(log.stats().preparedBytes < 4 * KIB);
        const end = batchesOf(place.bytes(LOG)).at(-1)!.end;
        assertEquals(place.bytes(LOG).length, Math.ceil(end / 4096) * 4096);
        heal();
        await log.close();
        assertEquals(faultsOfClosed(place), []);
      });
    }
  });
}
