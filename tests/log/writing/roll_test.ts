/**
 * A roll with its operations in order, and a crash before each of them: docs/format.md#write-roll,
 * docs/format.md#write-create.
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type CrashChoice, SimulatedDisk } from "@basalt/io/testing";
import { Log, PoisonedError } from "@basalt/io";
import {
  appendSome,
  at,
  BATCH,
  batchesOf,
  drain,
  entriesOf,
  faultsOfClosed,
  FRAME,
  HEADER,
  isTidying,
  KIB,
  lines,
  onEachPlace,
  openLog,
  payload,
  type Place,
  segment,
  SimulatedPlace,
  sparse,
} from "../_support.ts";

/** The operations of a roll at offset 3, after the blocks of the old segment are written. */
const SEAL_AND_CREATE = [
  "truncate 0.log 3400",
  "sync 0.log full",
  "write 0.index 0+4096 none",
  "truncate 0.index 24",
  "sync 0.index full",
  // Whether the files exist from an earlier attempt.
  "open 3.log",
  "open 3.index",
  "open 3.log.tmp",
  "open 3.index.tmp",
  "rename 3.log.tmp 3.log",
  "rename 3.index.tmp 3.index",
  "syncDirectory /log",
];
/** The operations of a roll at offset 3, and of the flush in the new segment. */
const ROLL = [
  "write 0.log 0+4096 none",
  ...SEAL_AND_CREATE,
  "write 3.log 0+4096 data",
];

for (const mode of ["async", "sync"]) {
  Deno.test(`write-roll: a roll does its operations in order, ${mode}`, async () => {
    await at(new SimulatedPlace(), async (place) => {
      const disk = place.storage;
      const log = await openLog(place, { segmentBytes: 4 * KIB });
      appendSome(log, 4, 1000);
      const start = disk.trace.length;
      // Nothing of the new segment is acknowledged before its name is durable.
      disk.onOperation(({ kind, path }) => {
        if (kind === "write" && path.endsWith("3.log")) {
          const files = disk.crashState("none").files();
          assert(files.includes(`/log/${segment(3)}.log`));
          assert(files.includes(`/log/${segment(3)}.index`));
        }
        if (kind === "write" && path.endsWith("0.index")) {
          assertEquals(log.durableOffset, 3);
        }
      });
      if (mode === "sync") log.flushSync();
      else await log.flush();
      assertEquals(lines(disk, start), ROLL);
      assertEquals(log.durableOffset, 4);
      assertEquals(log.stats().rolls, 1);
      await log.close().catch(() => {});
    });
  });

  Deno.test(`write-roll: the old log is synced before its index is written, if its writes were not durable, ${mode}`, async () => {
    await at(new SimulatedPlace(), async (place) => {
      const disk = place.storage;
      const log = await openLog(place, { segmentBytes: 4 * KIB });
      appendSome(log, 3, 1000);
      await log.flush({ durability: "none" });
      appendSome(log, 1, 1000);
      const start = disk.trace.length;
      if (mode === "sync") log.flushSync({ durability: "none" });
      else await log.flush({ durability: "none" });
      assertEquals(lines(disk, start), [
        ...SEAL_AND_CREATE,
        "write 3.log 0+4096 none",
      ]);
      assertEquals(log.durableOffset, 3);
      await log.close();
      assertEquals(faultsOfClosed(place), []);
    });
  });

  Deno.test(`write-roll: a log is created in the order of a roll, and its parents are synced, too, ${mode}`, async () => {
    const disk = new SimulatedDisk();
    const place = new SimulatedPlace(disk);
    const dir = "/a/b/log";
    const options = { storage: disk, pool: place.pool };
    await at(place, async () => {
      const log = mode === "sync"
        ? Log.openSync(dir, options)
        : await Log.open(dir, options);
      const made = lines(disk);
      assertEquals(made.slice(0, 6), [
        "makeDirectory /a",
        "syncDirectory /",
        "makeDirectory /a/b",
        "syncDirectory /a",
        "makeDirectory /a/b/log",
        "syncDirectory /a/b",
      ]);
      const at = (line: string) => {
        assert(made.includes(line), line);
        return made.indexOf(line);
      };
      // The names of the segment are durable before `meta` gets its name, and both before the owner
      // file is complete.
      const named = [
        at("rename 0.log.tmp 0.log"),
        at("rename 0.index.tmp 0.index"),
      ];
      const synced = at(`syncDirectory ${dir}`);
      const meta = at(`rename ${dir}/meta.tmp ${dir}/meta`);
      const owner = at(`rename ${dir}/writer.tmp ${dir}/writer`);
      assert(Math.max(...named) < synced && synced < Math.min(meta, owner));
      const end = made.lastIndexOf(`syncDirectory ${dir}`);
      assert(end > Math.max(meta, owner));
      const all = ["meta", "writer", `${segment(0)}.index`, `${segment(0)}.log`]
        .map((name) => `${dir}/${name}`).sort();
      assertEquals(disk.crashState("none").files(), all);
      await log.close();
      assertEquals(lines(disk).slice(-2), [
        `remove ${dir}/writer`,
        `syncDirectory ${dir}`,
      ]);
      assertEquals(
        disk.crashState("none").files(),
        all.filter((path) => !path.endsWith("writer")),
      );
    });
  });
}

/** The crash states of a disk that a test tries. */
const CHOICES: CrashChoice[] = ["none", "all", "random", "random", "random"];

/** Checks what a later process finds: at least `acknowledged` messages, and a log that works. */
async function checkAfter(
  disk: SimulatedDisk,
  acknowledged: number,
  appended: number,
  label: string,
): Promise<void> {
  await at(new SimulatedPlace(disk), async (place) => {
    const log = await openLog(place, { segmentBytes: 4 * KIB });
    const found = await drain(log);
    assert(found.length >= acknowledged, `${label}: ${found.length} messages`);
    assert(found.length <= appended, `${label}: ${found.length} messages`);
    found.forEach((each, i) => {
      assertEquals(each.offset, i, label);
      assertEquals(each.payload, payload(i, 1000), label);
    });
    assertEquals(place.names().filter((name) => name.endsWith(".tmp")), []);
    assertEquals(log.stats().opening.foreign, [], label);
    assertEquals(log.nextOffset, found.length, label);
    assertEquals(appendSome(log, 1, 1000), found.length, label);
    await log.flush();
    assertEquals((await drain(log)).length, found.length + 1, label);
    await log.close();
    assertEquals(faultsOfClosed(place), [], label);
  });
}

/**
 * Runs `act` repeatedly with a crash before the first, the second, … operation, until it completes
 * without one.
 */
async function crashEverywhere(
  prepare: (log: Log) => Promise<void> | void,
  act: (log: Log) => Promise<void> | void,
): Promise<number> {
  for (let number = 1;; number++) {
    const disk = new SimulatedDisk({ seed: number });
    let acknowledged = 0;
    let appended = 0;
    await at(new SimulatedPlace(disk), async (place) => {
      const log = await openLog(place, { segmentBytes: 4 * KIB });
      await prepare(log);
      disk.failAt(disk.trace.length + number, { crash: true });
      try {
        await act(log);
      } catch { /* The crash, as this mode shows it. */ }
      acknowledged = log.durableOffset;
      appended = log.nextOffset;
      await log.close().catch(() => {});
    });
    if (!disk.crashed) return number - 1;
    for (const choice of CHOICES) {
      const label = `crash before operation ${number}, ${choice}`;
      await checkAfter(disk.crash(choice), acknowledged, appended, label);
    }
  }
}

for (const mode of ["async", "sync"]) {
  Deno.test(`write-roll: a crash before every operation of a roll loses nothing, ${mode}`, async () => {
    const count = await crashEverywhere(
      async (log) => {
        appendSome(log, 2, 1000);
        await log.flush();
        appendSome(log, 2, 1000);
      },
      async (log) => mode === "sync" ? log.flushSync() : await log.flush(),
    );
    // The operations of closing follow.
    assert(count >= ROLL.length, `${count}`);
  });

  Deno.test(`write-roll: a crash before every operation of three rolls in one flush loses nothing, ${mode}`, async () => {
    const count = await crashEverywhere(
      async (log) => {
        appendSome(log, 2, 1000);
        await log.flush({ durability: "none" });
        appendSome(log, 10, 1000);
      },
      async (log) => mode === "sync" ? log.flushSync() : await log.flush(),
    );
    assert(count > 3 * (ROLL.length - 2), `${count}`);
  });

  Deno.test(`write-roll: a crash before every operation of closing loses nothing, ${mode}`, async () => {
    const count = await crashEverywhere(
      (log) => {
        appendSome(log, 5, 1000);
      },
      async (log) => mode === "sync" ? log.closeSync() : await log.close(),
    );
    assert(count >= ROLL.length, `${count}`);
  });
}

Deno.test("write-roll: a crash before every operation of creating a log leaves one that opens", async () => {
  for (let number = 1;; number++) {
    const disk = new SimulatedDisk({ seed: number });
    disk.failAt(number, { crash: true });
    const place = new SimulatedPlace(disk);
    const done = await at(place, async () => {
      try {
        await (await openLog(place)).close();
        return true;
      } catch {
        return false;
      }
    });
    if (done) break;
    for (const choice of CHOICES) {
      await checkAfter(disk.crash(choice), 0, 0, `${number}, ${choice}`);
    }
  }
});

Deno.test("write-roll: a second crash before every operation of opening after a roll that crashed loses nothing", async () => {
  const crashed = async (number: number): Promise<SimulatedDisk> => {
    const disk = new SimulatedDisk({ seed: number });
    await at(new SimulatedPlace(disk), async (place) => {
      const log = await openLog(place, { segmentBytes: 4 * KIB });
      appendSome(log, 3, 1000);
      await log.flush();
      appendSome(log, 1, 1000);
      disk.failAt(disk.trace.length + number, { crash: true });
      await log.flush().catch(() => {});
      await log.close().catch(() => {});
    });
    return disk;
  };
  for (let number = 1; number < ROLL.length; number++) {
    const first = await crashed(number);
    for (let second = 1;; second++) {
      const disk = first.crash("random");
      disk.failAt(second, { crash: true });
      const place = new SimulatedPlace(disk);
      const opened = await at(place, async () => {
        try {
          await (await openLog(place, { segmentBytes: 4 * KIB })).close();
          return true;
        } catch {
          return false;
        }
      });
      if (opened) break;
      await checkAfter(disk.crash(), 3, 4, `${number}, ${second}`);
    }
  }
});

onEachPlace(
  "write-roll: a segment ends before the message that would exceed its size, and a larger one gets a segment of its own",
  async (place) => {
    const sizes = [
      ...[400, 400, 400, 5000, 100, 2000, 896, 1, 895, 64, 832],
      // The first two fill a segment exactly, the third would exceed it by one byte.
      ...[2 * KIB - HEADER, 848, 2 * KIB - HEADER - 848 - FRAME + 1, 1024],
    ];
    const log = await openLog(place, { segmentBytes: 2 * KIB });
    for (const size of sizes) log.append(payload(0, size));
    await log.flush();
    const firsts: number[] = [0];
    let bytes = 0;
    sizes.forEach((size, i) => {
      // All messages of a segment are in one batch.
      if (bytes > 0 && bytes + FRAME + size > 2 * KIB) {
        firsts.push(i);
        bytes = 0;
      }
      if (bytes === 0) bytes = BATCH;
      bytes += FRAME + size;
    });
    assertEquals(
      place.names().filter((name) => name.endsWith(".log")),
      firsts.map((first) => `${segment(first)}.log`),
    );
    assertEquals(log.stats().rolls, firsts.length - 1);
    assertEquals(log.stats().segments, firsts.length);
    await log.close();
    assertEquals(faultsOfClosed(place), []);
  },
);

/** Checks that all segments of a place except the unsealed one hold what they should. */
function sealed(place: Place): number[] {
  return place.names().filter((name) => name.endsWith(".log")).slice(0, -1)
    .map((name) =>
      batchesOf(place.bytes(name)).reduce((sum, { count }) => sum + count, 0)
    );
}

onEachPlace(
  "write-roll: a sealed segment is complete on the disk while the log is open",
  async (place) => {
    const log = await openLog(place, {
      segmentBytes: 8 * KIB,
      prepareBytes: 1024 * KIB,
    });
    for (let i = 0; i < 30; i++) {
      appendSome(log, 1, 1000);
      if (i % 4 === 0) await log.flush();
    }
    await log.flush();
    const counts = sealed(place);
    assert(counts.length > 3, counts.join());
    let first = 0;
    for (const count of counts) {
      const bytes = place.bytes(`${segment(first)}.log`);
      const batches = batchesOf(bytes);
      assertEquals(batches.at(-1)!.end, bytes.length);
      assert(bytes.length > 6 * KIB && bytes.length <= 8 * KIB);
      assertEquals(
        entriesOf(place.bytes(`${segment(first)}.index`)),
        sparse(batches),
      );
      first += count;
    }
    await log.close();
    assertEquals(faultsOfClosed(place), []);
  },
);

for (const kind of ["open", "rename", "syncDirectory", "truncate"] as const) {
  Deno.test(`write-roll: EIO in a ${kind} of a roll poisons the log, and nothing is written after it`, async () => {
    for (const mode of ["async", "sync"]) {
      await at(new SimulatedPlace(), async (place) => {
        const disk = place.storage;
        const log = await openLog(place, { segmentBytes: 4 * KIB });
        appendSome(log, 4, 1000);
        let failed = disk.trace.length;
        const remove = disk.onOperation((operation) => {
          if (operation.kind !== kind) return;
          failed = operation.number;
          remove();
          return { error: "EIO" };
        });
        if (mode === "sync") assertThrows(() => log.flushSync(), PoisonedError);
        else await assertRejects(() => log.flush(), PoisonedError);
        // The file is cut before it is synced.
        const durable = kind === "truncate" ? 0 : 3;
        assertEquals(log.durableOffset, durable);
        await log.close().catch(() => {});
        // Only files that the attempt itself made are removed.
        const after = lines(disk, failed);
        assertEquals(after.filter((line) => !isTidying(line)), []);
        const again = await openLog(place);
        assertEquals((await drain(again)).length, 3);
        await again.close();
        assertEquals(faultsOfClosed(place), []);
      });
    }
  });
}

for (const mode of ["async", "sync"]) {
  Deno.test(`write-create-fails: a refused creation of a segment does not poison, and the next flush continues, ${mode}`, async () => {
    for (
      const code of ["EMFILE", "ENFILE", "ENOSPC", "ENOMEM", "EACCES", "EROFS"]
    ) {
      for (
        const [kind, ending] of [
          ["open", "3.log.tmp"],
          ["open", "3.index.tmp"],
          ["rename", "3.log.tmp"],
          ["rename", "3.index.tmp"],
          ["open", "3.index"],
        ] as const
      ) {
        await at(new SimulatedPlace(), async (place) => {
          const disk = place.storage;
          const log = await openLog(place, { segmentBytes: 4 * KIB });
          const { openFiles } = disk;
          appendSome(log, 5, 1000);
          const remove = disk.onOperation((operation) => {
            const { path } = operation;
            if (operation.kind !== kind || !path.endsWith(ending)) return;
            return { error: code };
          });
          for (let attempt = 0; attempt < 2; attempt++) {
            const error = (mode === "sync"
              ? assertThrows(() =>
                log.flushSync()
              )
              : await assertRejects(() => log.flush())) as { code: string };
            assertEquals(error.code, code, `${kind} ${ending}`);
            assertEquals([log.nextOffset, log.durableOffset], [5, 3]);
            assertEquals(disk.openFiles, openFiles, "files stay open");
          }
          // Nothing left of it keeps the log from taking messages.
          assertEquals(appendSome(log, 1, 1000), 5);
          remove();
          if (mode === "sync") log.flushSync();
          else await log.flush();
          assertEquals(log.durableOffset, 6);
          await log.close();
          assertEquals(faultsOfClosed(place), []);
          const again = await openLog(place);
          assertEquals((await drain(again)).length, 6);
          await again.close();
        });
      }
    }
  });
}
