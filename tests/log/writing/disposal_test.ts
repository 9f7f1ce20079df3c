/**
 * Closing and disposal always end a log, whatever the disk does: docs/format.md#write-no-space,
 * docs/format.md#lock.
 */
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { type Log, NoSpaceError, PoisonedError } from "@basalt/io";
import type { Operation, SimulatedDisk } from "@basalt/io/testing";
import {
  appendSome,
  at,
  drain,
  KIB,
  openLog,
  openLogSync,
  payload,
  SimulatedPlace,
} from "../_support.ts";

/** Closes a log with a statement, and returns what it throws. */
async function disposed(
  make: () => Log | Promise<Log>,
  mode: string,
  body: (log: Log) => void | Promise<void>,
): Promise<unknown> {
  try {
    if (mode === "using") {
      using log = await make();
      await body(log);
    } else {
      await using log = await make();
      await body(log);
    }
    return undefined;
  } catch (error) {
    return error;
  }
}

/** Checks that nothing of a closed log is left in the process, and opens it again at once. */
async function checkEnded(
  place: SimulatedPlace,
  label: string,
  least: number,
  most: number,
): Promise<void> {
  assertEquals(place.storage.openFiles, 0, `${label}: files stay open`);
  assertEquals(place.pool.stats().inUseBytes, 0, `${label}: memory stays`);
  const log = openLogSync(place);
  const found = await drain(log);
  assert(found.length >= least && found.length <= most, label);
  found.forEach((each, i) => assertEquals(each.payload, payload(i, 1000)));
  await log.close();
}

const FULL: [string, (operation: Operation) => boolean][] = [
  ["the log", ({ kind, path }) => kind === "write" && path.endsWith(".log")],
  [
    "a new segment",
    ({ kind, path }) => kind === "open" && path.endsWith(".tmp"),
  ],
  ["everything", ({ kind }) => kind === "write" || kind === "open"],
];

for (const mode of ["using", "await using"]) {
  for (const [what, hits] of FULL) {
    Deno.test(`Log: \`${mode}\` on a disk without room for ${what} ends the log with NoSpaceError, which names the durable offset`, async () => {
      for (const flushed of [true, false]) {
        await at(new SimulatedPlace(), async (place) => {
          let heal = () => {};
          let durable = 0;
          let used: Log | undefined;
          const error = await disposed(
            () =>
              openLog(place, { segmentBytes: 4 * KIB, prepareBytes: 64 * KIB }),
            mode,
            async (log) => {
              used = log;
              appendSome(log, 2, 1000);
              await log.flush();
              heal = place.storage.onOperation((operation) =>
                hits(operation) ? { error: "ENOSPC" } : undefined
              );
              appendSome(log, 5, 1000);
              if (flushed) await assertRejects(() => log.flush(), NoSpaceError);
            },
          );
          durable = used!.durableOffset;
          // An error that the caller has already got is not thrown again.
          if (flushed) assertEquals(error, undefined);
          else {
            assertInstanceOf(error, NoSpaceError);
            assertEquals((error as NoSpaceError).durableOffset, durable);
          }
          assert(durable >= 2);
          // It is closed, although closing failed.
          assertThrows(() => used!.append("x"), Deno.errors.BadResource);
          await used!.close().catch(() => {});
          used!.closeSync();
          heal();
          await checkEnded(place, what, durable, 7);
        });
      }
    });
  }

  Deno.test(`Log: \`${mode}\` on a full disk leaves everything durable, without an error, if only the index has no room`, async () => {
    await at(new SimulatedPlace(), async (place) => {
      let heal = () => {};
      const error = await disposed(() => openLog(place), mode, (log) => {
        appendSome(log, 5, 1000);
        heal = place.storage.onOperation(({ kind, path }) =>
          kind === "write" && path.endsWith(".index")
            ? { error: "ENOSPC" }
            : undefined
        );
      });
      heal();
      assertEquals(error, undefined);
      await checkEnded(place, "index", 5, 5);
    });
  });

  Deno.test(`Log: \`${mode}\` runs the example of docs/errors.md on a full disk without an error, and throws one for a later message`, async () => {
    for (const hasLater of [false, true]) {
      await at(new SimulatedPlace(), async (place) => {
        const error = await disposed(
          () => openLog(place),
          mode,
          async (log) => {
            place.storage.onOperation(({ kind, path }) =>
              kind === "write" && path.endsWith(".log")
                ? { error: "ENOSPC" }
                : undefined
            );
            const offset = log.append("hello");
            await assertRejects(() => log.whenDurable(offset), NoSpaceError);
            if (hasLater) log.append("later");
          },
        );
        if (hasLater) assertInstanceOf(error, NoSpaceError);
        else assertEquals(error, undefined);
      });
    }
  });

  Deno.test(`Log: \`${mode}\` of a poisoned log ends it, and throws PoisonedError if no call did before`, async () => {
    for (const isTold of [true, false]) {
      await at(new SimulatedPlace(), async (place) => {
        let heal = () => {};
        const error = await disposed(
          () => openLog(place),
          mode,
          async (log) => {
            appendSome(log, 2, 1000);
            await log.flush();
            heal = place.storage.onOperation(({ kind }) =>
              kind === "write" ? { error: "EIO" } : undefined
            );
            appendSome(log, 1, 1000);
            if (isTold) await assertRejects(() => log.flush(), PoisonedError);
          },
        );
        heal();
        if (isTold) assertEquals(error, undefined);
        else assertInstanceOf(error, PoisonedError);
        await checkEnded(place, "poison", 2, 3);
      });
    }
  });

  Deno.test(`Log: \`${mode}\` ends the log whichever operation of closing fails`, async () => {
    for (const code of ["ENOSPC", "EIO"]) {
      for (let number = 1;; number++) {
        let failed: string | undefined;
        await at(new SimulatedPlace({ seed: number }), async (place) => {
          const disk: SimulatedDisk = place.storage;
          let heal = () => {};
          const error = await disposed(
            () => openLog(place, { prepareBytes: 64 * KIB }),
            mode,
            async (log) => {
              appendSome(log, 3, 1000);
              await log.flush();
              appendSome(log, 2, 1000);
              const start = disk.trace.length;
              heal = disk.onOperation((operation) => {
                if (operation.number !== start + number) return;
                failed = `${operation.kind} ${operation.path}`;
                return { error: code };
              });
            },
          );
          heal();
          const label = `${code} in ${failed}`;
          if (failed === undefined) assertEquals(error, undefined);
          await checkEnded(place, label, 3, 5);
        });
        if (failed === undefined) {
          assert(number > 6, `${number} operations`);
          break;
        }
      }
    }
  });
}

Deno.test("Log: `using` finishes a flush in flight, and blocks meanwhile", async () => {
  for (let turns = 0; turns < 6; turns++) {
    await at(new SimulatedPlace({ seed: turns }), async (place) => {
      let flushed: Promise<void> | undefined;
      {
        using log = openLogSync(place, { blockBytes: 8 * KIB });
        appendSome(log, 20, 1000);
        flushed = log.flush();
        for (let turn = 0; turn < turns; turn++) {
          await new Promise((resolve) => setTimeout(resolve, 0));
        }
        appendSome(log, 5, 1000);
      }
      await checkEnded(place, `${turns} turns`, 25, 25);
      await flushed;
    });
  }
});

Deno.test("Log.close() is not retried after a failure, and flush() before it is", async () => {
  await at(new SimulatedPlace(), async (place) => {
    const log = await openLog(place);
    appendSome(log, 3, 1000);
    const heal = place.storage.onOperation(({ kind, path }) =>
      kind === "write" && path.endsWith(".log")
        ? { error: "ENOSPC" }
        : undefined
    );
    // A caller that wants to retry flushes first.
    await assertRejects(() => log.flush(), NoSpaceError);
    heal();
    await log.flush();
    await log.close();
    await checkEnded(place, "flushed first", 3, 3);
  });
});

Deno.test("Log.close() rejects calls that wait for lost messages", async () => {
  for (const mode of ["async", "sync"]) {
    await at(new SimulatedPlace(), async (place) => {
      const log = await openLog(place);
      place.storage.onOperation(({ kind, path }) =>
        kind === "write" && path.endsWith(".log")
          ? { error: "ENOSPC" }
          : undefined
      );
      const offset = appendSome(log, 3, 1000);
      const outcomes = Promise.allSettled([
        log.whenDurable(offset),
        log.flush(),
        log.appendDurable("x"),
      ]);
      if (mode === "sync") assertThrows(() => log.closeSync(), NoSpaceError);
      else await assertRejects(() => log.close(), NoSpaceError);
      for (const outcome of await outcomes) {
        assertEquals(outcome.status, "rejected");
        assert(
          (outcome as PromiseRejectedResult).reason instanceof NoSpaceError,
        );
      }
      assertEquals(place.storage.openFiles, 0);
    });
  }
});

Deno.test("Log.closeSync() finishes a close in flight, wherever that is", async () => {
  for (const wait of [0, 1, 2, 3, 5, 8, 13, 21]) {
    for (const isFlushing of [false, true]) {
      await at(new SimulatedPlace(), async (place) => {
        const log = await openLog(place);
        appendSome(log, 5, 1000);
        const flushed = isFlushing ? log.flush() : undefined;
        const closed = log.close();
        for (let i = 0; i < wait; i++) await Promise.resolve();
        log.closeSync();
        assertEquals(log.durableOffset, 5);
        await checkEnded(place, `after ${wait} turns`, 5, 5);
        await Promise.all([flushed, closed]);
        log.closeSync();
      });
    }
  }
});

Deno.test("Log.closeSync() throws the failure of a close in flight, which ends the log", async () => {
  await at(new SimulatedPlace(), async (place) => {
    const log = await openLog(place);
    appendSome(log, 5, 1000);
    const heal = place.storage.onOperation(({ kind, path }) =>
      kind === "write" && path.endsWith(".log")
        ? { error: "ENOSPC" }
        : undefined
    );
    const closed = assertRejects(() => log.close(), NoSpaceError);
    assertThrows(() => log.closeSync(), NoSpaceError);
    heal();
    await checkEnded(place, "failed", 0, 0);
    await closed;
  });
});
