/**
 * A full disk does not poison a log: the messages stay, and the next flush writes the same bytes.
 * docs/format.md#write-no-space.
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { Operation } from "@basalt/io/testing";
import { type Log, NoSpaceError } from "@basalt/io";
import {
  appendSome,
  at,
  BATCH,
  drain,
  faultsOfClosed,
  FRAME,
  HEADER,
  KIB,
  openLog,
  payload,
  segment,
  SimulatedPlace,
  WatchedPlace,
  type Written,
} from "../_support.ts";

/** Flushes, and fails unless the disk is full. */
async function expectFull(
  log: Log,
  mode: string,
  act: "flush" | "close" = "flush",
): Promise<NoSpaceError> {
  return mode === "sync"
    ? assertThrows(() => log[`${act}Sync`](), NoSpaceError)
    : await assertRejects(() => log[act](), NoSpaceError);
}

/** Checks all messages of an open log, then closes it and checks its files. */
async function checkWhole(
  place: WatchedPlace | SimulatedPlace,
  log: Log,
  count: number,
  length: number,
): Promise<void> {
  const found = await drain(log);
  assertEquals(
    found.map(({ offset, payload }) => [offset, payload]),
    Array.from({ length: count }, (_, i) => [i, payload(i, length)]),
  );
  await log.close();
  assertEquals(faultsOfClosed(place), []);
}

/** Returns positions and bytes, in the order of positions. */
function plainly(writes: readonly Written[]): [string, number, Uint8Array][] {
  return writes.map((
    { path, position, bytes },
  ) => [path, position, bytes] as [string, number, Uint8Array])
    .sort((a, b) => a[1] - b[1]);
}

for (const mode of ["async", "sync"]) {
  for (const code of ["ENOSPC", "EDQUOT", "EFBIG"] as const) {
    Deno.test(`write-no-space: ${code} from any write of a flush keeps the messages, and the next flush writes the same bytes, ${mode}`, async () => {
      // A flush of one write, and one of several, each of which may fail.
      for (const [messages, failing] of [[1, 1], [9, 1], [9, 2], [9, 4]]) {
        await at(new WatchedPlace({ seed: failing! }), async (place) => {
          const log = await openLog(place);
          appendSome(log, 2, 2500);
          await log.flush();
          appendSome(log, messages!, 2500);
          let count = 0;
          const remove = place.disk.onOperation(({ kind }) => {
            if (kind === "write" && ++count === failing) return { error: code };
          });
          const before = place.storage.writes.length;
          const waiting = mode === "sync" ? undefined : assertRejects(
            () => log.whenDurable(2),
            NoSpaceError,
          );
          const error = await expectFull(log, mode);
          await waiting;
          remove();
          assertEquals([error.code, error.durableOffset], [code, 2]);
          assertEquals([log.nextOffset, log.durableOffset], [2 + messages!, 2]);
          const { pendingBytes } = log.stats();
          assert(pendingBytes >= messages! * (2500 + FRAME) + BATCH);
          assert(pendingBytes <= messages! * (2500 + HEADER));
          const failed = place.storage.writes.slice(before);
          if (mode === "sync") log.flushSync();
          else await log.flush();
          const repeated = place.storage.writes.slice(before + failed.length);
          assertEquals(plainly(repeated), plainly(failed));
          assertEquals(log.durableOffset, 2 + messages!);
          await checkWhole(place, log, 2 + messages!, 2500);
        });
      }
    });
  }

  Deno.test(`write-no-space: a full disk takes messages again when there is room, after any number of failures, ${mode}`, async () => {
    await at(new WatchedPlace(), async (place) => {
      const log = await openLog(place, { segmentBytes: 20 * KIB });
      let full = true;
      place.disk.onOperation(({ kind, path, number }) => {
        const grows = kind === "write" || kind === "open";
        if (grows && full && number % 3 > 0 && path !== "/log/writer") {
          return { error: "ENOSPC" };
        }
      });
      let failures = 0;
      for (let i = 0; i < 40; i++) {
        appendSome(log, 1 + i % 3, 1500);
        try {
          if (mode === "sync") log.flushSync();
          else await log.flush();
        } catch (error) {
          if (!(error instanceof NoSpaceError)) throw error;
          assertEquals(error.durableOffset, log.durableOffset);
          failures++;
        }
        assert(log.durableOffset <= log.nextOffset);
      }
      assert(failures > 10, `${failures}`);
      full = false;
      await log.flush();
      assertEquals(log.durableOffset, log.nextOffset);
      await checkWhole(place, log, log.nextOffset, 1500);
    });
  });

  Deno.test(`write-no-space: messages appended after a full disk follow the pending ones, ${mode}`, async () => {
    await at(new WatchedPlace(), async (place) => {
      const log = await openLog(place);
      const remove = place.disk.onOperation(({ kind }) => {
        if (kind === "write") return { error: "ENOSPC" };
      });
      for (let i = 0; i < 5; i++) {
        appendSome(log, 2, 1000);
        await expectFull(log, mode);
      }
      const failed = place.storage.logWrites;
      remove();
      const before = failed.length;
      if (mode === "sync") log.flushSync();
      else await log.flush();
      // The first pending bytes are written again, up to where the next messages begin.
      for (const write of failed.slice(0, before)) {
        const again = place.bytes(`${segment(0)}.log`)
          .subarray(write.position, write.position + write.bytes.length);
        const data = write.bytes.findLastIndex((byte) => byte !== 0) + 1;
        assertEquals(again.subarray(0, data), write.bytes.subarray(0, data));
      }
      await checkWhole(place, log, 10, 1000);
    });
  });

  Deno.test(`write-no-space: a roll without room for its files is NoSpaceError, ${mode}`, async () => {
    const places: [string, (operation: Operation) => boolean][] = [
      ["log", ({ kind, path }) => kind === "open" && path.endsWith(".log.tmp")],
      [
        "index",
        ({ kind, path }) => kind === "open" && path.endsWith(".index.tmp"),
      ],
      [
        "first name",
        ({ kind, path }) => kind === "rename" && path.endsWith("log.tmp"),
      ],
      [
        "second name",
        ({ kind, path }) => kind === "rename" && path.endsWith("index.tmp"),
      ],
    ];
    for (const code of ["ENOSPC", "EDQUOT", "EFBIG"] as const) {
      for (const [what, hits] of places) {
        await at(new SimulatedPlace(), async (place) => {
          const log = await openLog(place, { segmentBytes: 4 * KIB });
          appendSome(log, 5, 1000);
          const remove = place.storage.onOperation((operation) => {
            if (hits(operation)) return { error: code };
          });
          for (let i = 0; i < 2; i++) {
            const error = await expectFull(log, mode);
            assertEquals([error.code, error.durableOffset], [code, 3], what);
          }
          assertEquals([log.nextOffset, log.durableOffset], [5, 3]);
          assertEquals((await drain(log)).length, 3);
          remove();
          if (mode === "sync") log.flushSync();
          else await log.flush();
          await checkWhole(place, log, 5, 1000);
        });
      }
    }
  });

  Deno.test(`write-no-space: a roll without room for the index continues with a shorter one, ${mode}`, async () => {
    await at(new SimulatedPlace(), async (place) => {
      const log = await openLog(place, { segmentBytes: 4 * KIB });
      appendSome(log, 5, 1000);
      const remove = place.storage.onOperation(({ kind, path }) => {
        if (kind === "write" && path.endsWith(".index")) {
          return { error: "ENOSPC" };
        }
      });
      if (mode === "sync") log.flushSync();
      else await log.flush();
      assertEquals([log.durableOffset, log.stats().rolls], [5, 1]);
      remove();
      assertEquals(place.bytes(`${segment(0)}.index`).length, 0);
      assertEquals((await drain(log)).length, 5);
      await log.close();
      const again = await openLog(place);
      assertEquals((await drain(again, { from: 2 })).length, 3);
      await again.close();
    });
  });
}

Deno.test("write-no-space: a log on a full small disk continues after a truncation, in the order of the offsets", async () => {
  await at(new SimulatedPlace({ sizeBytes: 160 * KIB }), async (place) => {
    const log = await openLog(place, { segmentBytes: 40 * KIB });
    let failures = 0;
    for (let i = 0; i < 300; i++) {
      appendSome(log, 1, 1500);
      try {
        await log.flush();
      } catch (error) {
        if (!(error instanceof NoSpaceError)) throw error;
        failures++;
        await log.truncateBefore(
          Math.max(log.firstOffset, log.nextOffset - 40),
        );
      }
    }
    await log.flush();
    assert(failures > 1, `${failures}`);
    assert(log.firstOffset > 100);
    const found = await drain(log);
    found.forEach((each, i) => {
      assertEquals(each.offset, log.firstOffset + i);
      assertEquals(each.payload, payload(each.offset, 1500));
    });
    assertEquals(log.firstOffset + found.length, 300);
    // Closing writes the index, which needs room, too.
    await log.truncateBefore(280);
    await log.close();
    assertEquals(faultsOfClosed(place), []);
  });
});

Deno.test("write-no-space: a power cut on a full disk keeps what was acknowledged", async () => {
  let opened = 0;
  for (let seed = 0; seed < 20; seed++) {
    const place = new SimulatedPlace({ sizeBytes: 64 * KIB, seed });
    await at(place, async () => {
      const log = await openLog(place);
      for (;;) {
        appendSome(log, 2, 1000 + seed);
        try {
          await log.flush();
        } catch {
          break;
        }
        // Half of the disks have room left for the files of recovery.
        if (seed % 2 && log.stats().appendedBytes > 40 * KIB) break;
      }
      const { durableOffset } = log;
      const after = place.storage.crash("random");
      await log.close().catch(() => {});
      await at(new SimulatedPlace(after), async (place) => {
        const before = after.snapshot();
        let log: Log;
        try {
          log = await openLog(place);
        } catch (error) {
          // There is no room to keep a torn tail: docs/format.md#open-keep-no-space.
          if (!(error instanceof NoSpaceError)) throw error;
          assertEquals([...after.snapshot().keys()], [...before.keys()]);
          // If only the owner file had no room, a tail of zeros may have been cut.
          const isCopy = error.path.includes(".cut");
          for (const [path, bytes] of before) {
            const now = after.peek(path);
            if (isCopy) assertEquals(now.length, bytes.length, path);
            assert(now.every((byte, i) => byte === bytes[i]), path);
          }
          return;
        }
        opened++;
        const found = await drain(log);
        assert(found.length >= durableOffset);
        found.forEach((each, i) =>
          assertEquals(each.payload, payload(i, 1000 + seed))
        );
        // There is no room for the index, so only a crash can follow.
        await log.close().catch(() => {});
        place.storage.crash();
        await log.close().catch(() => {});
      });
    });
  }
  assert(opened > 3, `${opened} were opened`);
});
