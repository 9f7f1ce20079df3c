/**
 * Space ahead of the data is allocated and zeroed, and never stands in the way:
 * docs/format.md#write-prepare.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Operation } from "@basalt/io/testing";
import type { Log } from "../../lib/log/mod.ts";
import {
  appendSome,
  at,
  batchesOf,
  DiskPlace,
  drain,
  faultsOfClosed,
  KIB,
  lines,
  MIB,
  openLog,
  openLogSync,
  payload,
  type Place,
  quiet,
  segment,
  SimulatedPlace,
  testPool,
} from "./support.ts";
import { FILES } from "../permissions.ts";

const LOG = `${segment(0)}.log`;
const INDEX = `${segment(0)}.index`;

/** Fails unless the log's file has zeros behind its data, and returns its length. */
function lengthAhead(place: Place): number {
  const bytes = place.bytes(LOG);
  const end = batchesOf(bytes).at(-1)?.end ?? 0;
  assert(bytes.subarray(end).every((byte) => byte === 0), "zeros");
  return bytes.length;
}

/** Waits until nothing is prepared any more. */
async function prepared(log: Log): Promise<number> {
  for (let before = -1;;) {
    const { preparedBytes } = log.stats();
    if (preparedBytes === before) return preparedBytes;
    before = preparedBytes;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

Deno.test("write-prepare: while open the log is longer than its data, by zeros, and is cut at close", async () => {
  await at(new SimulatedPlace(), async (place) => {
    const log = await openLog(place, { prepareBytes: 3 * MIB });
    appendSome(log, 3, 1000);
    await log.flush();
    await quiet(place.storage);
    assertEquals(lengthAhead(place), 3 * MIB + 4 * KIB);
    assertEquals(log.stats().preparedBytes, 3 * MIB + 4 * KIB - 3 * 1064);
    // Half of the window is used before more is prepared.
    log.append(payload(3, MIB));
    await log.flush();
    await quiet(place.storage);
    assertEquals(lengthAhead(place), 3 * MIB + 4 * KIB);
    log.append(payload(4, MIB));
    await log.flush();
    await quiet(place.storage);
    assert(lengthAhead(place) >= 5 * MIB);
    await log.close();
    assertEquals(place.bytes(LOG).length, 3 * 1064 + 2 * (MIB + 64));
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
        const last = appendSome(log, 3, 1000);
        await log.whenDurable(last);
        const ahead = await prepared(log);
        if (!log.capabilities.copyOnWrite) {
          assert(ahead >= 4 * MIB - 4 * KIB);
          assertEquals(lengthAhead(place), 4 * MIB + 4 * KIB);
        }
        appendSome(log, 5, 100_000);
        if (mode === "sync") log.closeSync();
        else await log.close();
        assertEquals(place.bytes(LOG).length, 3 * 1064 + 5 * 100_064);
        assertEquals(faultsOfClosed(place), []);
      });
    }
  },
);

Deno.test("write-prepare: preparing is done in steps of at most 1 MiB", async () => {
  await at(new SimulatedPlace(), async (place) => {
    const log = await openLog(place, { prepareBytes: 5 * MIB + 12 * KIB });
    appendSome(log, 1, 10);
    const start = place.storage.trace.length;
    await log.flush();
    await quiet(place.storage);
    assertEquals(lines(place.storage, start).slice(1), [
      `preallocate 0.log 4096+${5 * MIB + 12 * KIB}`,
      ...[0, 1, 2, 3, 4].map((i) =>
        `write 0.log ${4096 + i * MIB}+${MIB} none`
      ),
      `write 0.log ${4096 + 5 * MIB}+12288 none`,
    ]);
    await log.close();
  });
});

Deno.test("write-prepare: no step of preparing begins while a flush waits", async () => {
  for (let turns = 0; turns < 12; turns++) {
    await at(new SimulatedPlace({ seed: turns }), async (place) => {
      const disk = place.storage;
      const log = await openLog(place, { prepareBytes: 8 * MIB });
      appendSome(log, 1, 10);
      await log.flush();
      for (let turn = 0; turn < turns; turn++) {
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
      const begun: string[] = [];
      disk.onOperation((operation) => {
        const waiting = log.durableOffset < log.nextOffset;
        if (waiting && prepares(operation)) begun.push(operation.kind);
      });
      appendSome(log, 1, 10);
      await log.flush();
      assertEquals(begun, [], `after ${turns} turns`);
      await log.close();
    });
  }
});

Deno.test("write-prepare: nothing is prepared behind the end of a segment", async () => {
  await at(new SimulatedPlace(), async (place) => {
    const log = await openLog(place, {
      prepareBytes: 4 * MIB,
      segmentBytes: 6 * MIB,
    });
    for (let i = 0; i < 5; i++) {
      appendSome(log, 1, MIB);
      await log.flush();
      await quiet(place.storage);
      assert(lengthAhead(place) <= 6 * MIB);
    }
    assertEquals(lengthAhead(place), 6 * MIB);
    await log.close();
  });
});

/** Whether an operation prepares: it allocates, or writes a step of zeros. */
function prepares({ kind, path, length }: Operation): boolean {
  return kind === "preallocate" ||
    kind === "write" && path.endsWith(".log") && length === MIB;
}

for (const kind of ["preallocate", "write"] as const) {
  for (const error of ["ENOSPC", "EDQUOT", "EIO", "EOPNOTSUPP"]) {
    Deno.test(`write-prepare: ${error} in a ${kind} that prepares fails nothing`, async () => {
      await at(new SimulatedPlace(), async (place) => {
        let failed = 0;
        place.storage.onOperation((operation) => {
          if (operation.kind !== kind || !prepares(operation)) return;
          failed++;
          return { error };
        });
        const log = await openLog(place, { prepareBytes: 4 * MIB });
        for (let i = 0; i < 10; i++) {
          await log.appendDurable(payload(i, 5000));
          await quiet(place.storage);
        }
        assertEquals(failed, 1, "it is not tried again");
        assertEquals(log.durableOffset, 10);
        await log.close();
        assertEquals(faultsOfClosed(place), []);
        const again = await openLog(place);
        assertEquals(
          (await drain(again)).map((each) => each.payload),
          Array.from({ length: 10 }, (_, i) => payload(i, 5000)),
        );
        await again.close();
      });
    });
  }
}

Deno.test("write-prepare: a disk that is too small for the window takes messages up to its end", async () => {
  await at(
    new SimulatedPlace({ sizeBytes: 64 * KIB }),
    async (place) => {
      const log = await openLog(place, { prepareBytes: 4 * MIB });
      for (let i = 0; i < 10; i++) await log.appendDurable(payload(i, 3000));
      assertEquals(log.durableOffset, 10);
      await log.close();
      assertEquals(faultsOfClosed(place), []);
    },
  );
});

Deno.test("write-prepare: no memory for zeros fails nothing", async () => {
  const place = new SimulatedPlace();
  const pool = testPool({ limitBytes: 512 * KIB, atLimit: "fail" });
  try {
    const log = await openLog(place, { pool, prepareBytes: 4 * MIB });
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
      appendSome(log, 10, 1000);
      await log.flush();
      await quiet(place.storage);
      assertEquals(place.bytes(LOG).length, 12 * KIB);
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
    assertEquals(place.bytes(INDEX).length % 16, 0);
  });
});

Deno.test("write-prepare: blocking calls and closing work at every moment of a preparation", async () => {
  for (let turns = 0; turns < 10; turns++) {
    for (const end of ["flush", "close"]) {
      await at(new SimulatedPlace({ seed: turns }), async (place) => {
        const log = openLogSync(place, { prepareBytes: 3 * MIB });
        appendSome(log, 1, 10);
        await log.flush();
        for (let turn = 0; turn < turns; turn++) {
          await new Promise((resolve) => setTimeout(resolve, 0));
        }
        appendSome(log, 1, 1_500_000);
        if (end === "flush") {
          log.flushSync();
          await quiet(place.storage);
          appendSome(log, 1, 100);
          await log.flush();
          assertEquals(batchesOf(place.bytes(LOG)).length, 3);
        }
        log.closeSync();
        assertEquals(faultsOfClosed(place), []);
        await quiet(place.storage);
      });
    }
  }
});

Deno.test("write-prepare: nothing is prepared behind a flush that failed", async () => {
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

Deno.test("write-prepare: nothing is prepared behind a checkpoint for which there is no room, and the next flush does it again", async () => {
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
    // It is nobody's failure: what is acknowledged stays so, and appending goes on.
    assertEquals(log.durableOffset, 13);
    heal();
    appendSome(log, 1, 100);
    await log.flush();
    await quiet(disk);
    assertEquals(log.durableOffset, 14);
    assert(log.stats().preparedBytes > 2 * MIB, "prepared again");
    await log.close();
    assertEquals(faultsOfClosed(place), []);
  });
});
