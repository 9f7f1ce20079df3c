/**
 * The index is a cache, and a checkpoint comes at least every 16 MiB: docs/format.md#write-ack,
 * docs/format.md#write-index-after-log, docs/format.md#write-checkpoint.
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { PoisonedError } from "@basalt/io";
import { SimulatedDisk } from "@basalt/io/testing";
import {
  at,
  batchesOf,
  entriesOf,
  faultsOfClosed,
  HEADER,
  KIB,
  lines,
  LOG,
  MIB,
  openLog,
  openLogSync,
  payload,
  type PlainBatch,
  quiet,
  segment,
  SimulatedPlace,
  sparse,
  WatchedPlace,
} from "../_support.ts";

const CHECKPOINT = 16 * MIB;

/**
 * Fails when an index entry is written before the log bytes that it describes would survive a power
 * cut.
 */
function watchIndex(place: WatchedPlace): { checked: number } {
  const count = { checked: 0 };
  place.storage.onWrite = ({ path, position, bytes }) => {
    if (!path.endsWith(".index")) return;
    const durable = place.disk.crashState("none")
      .peek(path.replace(/index$/, "log"));
    const batches = batchesOf(durable);
    // The file's entries with the bytes of this write. Its first block may have been there before.
    const all = place.disk.peek(path);
    const whole = new Uint8Array(Math.max(all.length, position + bytes.length));
    whole.set(all);
    whole.set(bytes, position);
    const entries = entriesOf(whole);
    const known = sparse(batches);
    for (const [i, entry] of entries.entries()) {
      assertEquals(entry, known[i], "described, but not durable");
      count.checked++;
    }
  };
  return count;
}

for (const durability of ["none", "data", "full"] as const) {
  Deno.test(`write-index-after-log: an index entry is written after its log bytes are durable, flushing "${durability}"`, async () => {
    for (const mode of ["async", "sync"]) {
      await at(new WatchedPlace({ seed: 1 }), async (place) => {
        const count = watchIndex(place);
        const log = await openLog(place, {
          segmentBytes: 9 * MIB,
          blockBytes: 256 * KIB,
        });
        for (let i = 0; i < 100; i++) {
          log.append(payload(i, 27_137 * (i % 20)));
          if (i % 3 !== 0) continue;
          if (mode === "async") await log.flush({ durability });
          else log.flushSync({ durability });
        }
        if (mode === "async") await log.close();
        else log.closeSync();
        assert(count.checked > 40, `${count.checked}`);
        assertEquals(faultsOfClosed(place), []);
      });
    }
  });
}

Deno.test("write-ack: messages are acknowledged before they are in the index", async () => {
  await at(new WatchedPlace(), async (place) => {
    const log = await openLog(place);
    for (let i = 0; i < 10; i++) await log.appendDurable(payload(i, 100));
    assertEquals(log.durableOffset, 10);
    assertEquals(place.bytes(`${segment(0)}.index`).length, 0);
    await log.close();
    assertEquals(faultsOfClosed(place), []);
  });
});

Deno.test("write-checkpoint: a roll and closing take a checkpoint, which syncs the log before it writes the index", async () => {
  await at(new WatchedPlace(), async (place) => {
    const log = await openLog(place, { segmentBytes: 8 * KIB });
    const start = place.disk.trace.length;
    log.append(payload(0, 5000));
    await log.flush({ durability: "none" });
    log.append(payload(1, 5000));
    await log.flush({ durability: "none" });
    await log.close();
    const seen = lines(place.disk, start, ["write", "sync"]);
    const steps = ["0.", "1."].map((name) =>
      seen.filter((line) => line.includes(name))
        .map((line) => line.replace(/ \d+\+\d+/, ""))
    );
    assertEquals(steps, [
      [
        "write 0.log none",
        "sync 0.log full",
        "write 0.index none",
        "sync 0.index full",
      ],
      [
        "write 1.log none",
        "sync 1.log data",
        "write 1.index none",
        // Both at once, because everything that the index describes is already durable.
        "sync 1.log full",
        "sync 1.index full",
      ],
    ]);
  });
});

/** The batches of a log that were written, and where checkpoints were taken. */
interface Followed {
  batches: PlainBatch[];
  checkpoints: number[];
}

/** Follows at each write how many bytes of the log no checkpoint covers. */
function followUnsynced(place: WatchedPlace, maxBytes: number): Followed {
  const shadow = new Uint8Array(maxBytes);
  const followed: Followed = { batches: [], checkpoints: [] };
  let written = 0;
  let synced = 0;
  let checkpoint = 0;
  place.disk.onOperation(({ kind, path }) => {
    if (kind === "sync" && path.endsWith(".log")) synced = written;
    if (path.endsWith(".index") && (kind === "write" || kind === "sync")) {
      assertEquals(synced, written, "the log is synced first");
    }
    if (kind === "sync" && path.endsWith(".index") && checkpoint !== synced) {
      followed.checkpoints.push(checkpoint = synced);
    }
  });
  place.storage.onWrite = ({ path, position, bytes }) => {
    if (!path.endsWith(".log")) return;
    shadow.set(bytes, position);
    // Writes begin in the order of their positions, and each begins at the end of the one before.
    followed.batches = batchesOf(shadow);
    written = followed.batches.at(-1)!.end;
    const alone = followed.batches.at(-1)!.position === checkpoint;
    assert(
      written - checkpoint <= CHECKPOINT || alone,
      `${written - checkpoint} bytes after the checkpoint at ${checkpoint}`,
    );
  };
  return followed;
}

for (const blockBytes of [MIB, 5 * MIB + 4 * KIB, 64 * MIB]) {
  Deno.test(`write-checkpoint: never more than 16 MiB are without a checkpoint, with blocks of ${blockBytes} bytes`, async () => {
    const sizes = Array.from({ length: 160 }, (_, i) => 300_000 + 977 * i);
    await at(new WatchedPlace({ blockBytes: 64 * KIB }), async (place) => {
      const followed = followUnsynced(place, 64 * MIB);
      const log = await openLog(place, { blockBytes, bufferBytes: 256 * MIB });
      for (const [i, size] of sizes.entries()) {
        log.append(payload(i, size));
        // Some flushes with little to write, and one with most of it.
        if (i % 7 === 0 && i < 50) await log.flush({ durability: "none" });
      }
      await log.flush({ durability: "none" });
      const { batches, checkpoints } = followed;
      const written = batches.at(-1)!.end;
      assert(written > 50 * MIB);
      assert(checkpoints.length >= Math.floor(written / CHECKPOINT));
      assert(written - checkpoints.at(-1)! < CHECKPOINT);
      await log.close();
      assertEquals(faultsOfClosed(place), []);
    });
  });
}

Deno.test("write-checkpoint: a batch above 16 MiB has a checkpoint before and after it", async () => {
  const large = CHECKPOINT + 5000 - HEADER;
  // Small messages after the large one would fit into the rest of its block.
  const sizes = [100, large, 100, 100, 200_000, CHECKPOINT - HEADER, 1, large];
  await at(new WatchedPlace({ blockBytes: 64 * KIB }), async (place) => {
    const followed = followUnsynced(place, 80 * MIB);
    const log = await openLog(place, { bufferBytes: 256 * MIB });
    sizes.forEach((size, i) => log.append(payload(i, size)));
    await log.flush({ durability: "none" });
    // The checkpoint after the last message begins when its flush has completed. The next flush
    // waits for it.
    await log.flush({ durability: "none" });
    const { batches, checkpoints } = followed;
    const above = batches.filter(({ position, end }) =>
      end - position > CHECKPOINT
    );
    assertEquals(above.map(({ offset, count }) => [offset, count]), [
      [1, 1],
      [7, 1],
    ]);
    for (const { position, end } of above) {
      assert(checkpoints.includes(position), `before ${position}`);
      assert(checkpoints.includes(end), `after ${end}`);
    }
    await log.close();
    assertEquals(faultsOfClosed(place), []);
  });
});

for (const error of [undefined, "ENOSPC", "EIO"]) {
  Deno.test(`write-checkpoint: no acknowledgement waits for the checkpoint due after it, index write ${error ?? "succeeds"}`, async () => {
    const disk = new SimulatedDisk({ blockBytes: 64 * KIB });
    await at(new SimulatedPlace(disk), async (place) => {
      const log = await openLog(place, { blockBytes: 64 * KIB });
      const order: string[] = [];
      const disarm = disk.onOperation(({ kind, path }) => {
        if (kind !== "write" || !path.endsWith(".index")) return undefined;
        order.push("index");
        return error === undefined ? undefined : { error };
      });
      for (let i = 0; i < 13; i++) log.append(payload(i, MIB));
      const told = log.whenDurable(12).then(() => order.push("whenDurable"));
      await log.flush();
      order.push("flush");
      await told;
      assertEquals(log.durableOffset, 13);
      await quiet(disk);
      assertEquals(order.slice(0, 2).sort(), ["flush", "whenDurable"]);
      assertEquals(order[2], "index");
      if (error === "EIO") {
        assertThrows(() => log.append("behind"), PoisonedError);
        disarm();
        await assertRejects(() => log.close(), PoisonedError);
        return;
      }
      log.append("behind");
      // Without room, a flush fails only when it must not write more before a checkpoint.
      await log.flush();
      assertEquals(log.durableOffset, 14);
      disarm();
      await log.close();
      assertEquals(faultsOfClosed(place), []);
    });
  });
}

Deno.test("write-checkpoint: messages of just under 16 MiB and the next ones in their block stay within 16 MiB", async () => {
  const sizes: number[] = [];
  for (const less of [0, 1, 100, 2000, 4095, 4096]) {
    sizes.push(CHECKPOINT - HEADER - less, 30, 30, 1000, 1000);
  }
  await at(new WatchedPlace({ blockBytes: 64 * KIB }), (place) => {
    const followed = followUnsynced(place, 112 * MIB);
    const log = openLogSync(place, { bufferBytes: 512 * MIB });
    for (const [i, size] of sizes.entries()) {
      log.append(payload(i, size));
      if (i % 5 === 4) log.flushSync({ durability: "none" });
    }
    log.closeSync();
    assertEquals(place.bytes(LOG).length, followed.batches.at(-1)!.end);
    assertEquals(faultsOfClosed(place), []);
  });
});
