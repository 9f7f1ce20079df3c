/**
 * After a failed write or sync nothing more is written, and every caller gets the same error:
 * docs/format.md#write-poison.
 */
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import type { OperationKind, SimulatedDisk } from "@basalt/io/testing";
import { type Log, PoisonedError } from "@basalt/io";
import {
  appendSome,
  at,
  drain,
  faultsOfClosed,
  isTidying,
  KIB,
  lines,
  openLog,
  openLogSync,
  payload,
  SimulatedPlace,
} from "../_support.ts";

const CHANGING: readonly OperationKind[] = [
  "open",
  "write",
  "sync",
  "truncate",
  "rename",
  "syncDirectory",
];

/** Returns the error of a promise, or `undefined` for success. */
async function told(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    return error;
  }
}

/**
 * Fails the changing operation with this number, counted from now, unless disarmed. The result says
 * whether it was reached.
 */
function failNext(
  disk: SimulatedDisk,
  number: number,
  error: string,
): { operation: string | undefined; at: number; disarm: () => void } {
  const fault = {
    operation: undefined as string | undefined,
    at: Infinity,
    disarm: () => {},
  };
  let count = 0;
  fault.disarm = disk.onOperation(({ kind, path, number: at }) => {
    if (!CHANGING.includes(kind) || ++count !== number) return;
    fault.operation = `${kind} ${path}`;
    fault.at = at;
    return { error };
  });
  return fault;
}

/** Calls everything on a poisoned log, and returns the results. */
async function answers(log: Log, offset: number): Promise<unknown[]> {
  const all: unknown[] = [];
  for (
    const call of [
      () => log.append("x"),
      () => log.appendBatch(["x", "y"]),
      () => log.flushSync(),
      () => log.flushSync({ durability: "none" }),
      () => log.truncateBeforeSync(0),
    ]
  ) {
    try {
      all.push(call());
    } catch (error) {
      all.push(error);
    }
  }
  for (
    const call of [
      () => log.appendDurable("x"),
      () => log.flush(),
      () => log.flush({ durability: "none" }),
      () => log.whenDurable(offset),
      () => log.ready(),
      () => log.truncateBefore(0),
    ]
  ) all.push(await told(call()));
  return all;
}

/** Checks that the log of a disk begins with at least, or exactly, this many messages of a test. */
async function checkKept(
  disk: SimulatedDisk,
  least: number,
  most: number,
  label: string,
): Promise<void> {
  await at(new SimulatedPlace(disk), async (place) => {
    const log = await openLog(place, { segmentBytes: 12 * KIB });
    const found = await drain(log);
    assert(
      found.length >= least && found.length <= most,
      `${label}: ${found.length}`,
    );
    found.forEach((each, i) =>
      assertEquals(each.payload, payload(i, 2500), label)
    );
    assertEquals(appendSome(log, 1, 2500), found.length, label);
    await log.close();
    assertEquals(faultsOfClosed(place), [], label);
  });
}

for (const mode of ["async", "sync"]) {
  for (const durability of ["data", "none"] as const) {
    Deno.test(`write-poison: a failure at any operation of a flush "${durability}" poisons the log with the exact durable offset, ${mode}`, async () => {
      const failed = new Set<string>();
      for (let number = 1;; number++) {
        const disk = await at(
          new SimulatedPlace({ seed: number }),
          async (place) => {
            const disk = place.storage;
            const log = mode === "sync"
              ? openLogSync(place, { segmentBytes: 12 * KIB })
              : await openLog(place, { segmentBytes: 12 * KIB });
            appendSome(log, 2, 2500);
            await log.flush();
            const fault = failNext(disk, number, "EIO");
            // Many blocks, and two rolls.
            appendSome(log, 8, 2500);
            const label = () => `failing ${fault.operation}`;
            let error: unknown;
            let waiting: Promise<unknown>[] = [];
            let behind: Promise<unknown> = Promise.resolve();
            if (mode === "sync") {
              error = (() => {
                try {
                  log.flushSync({ durability });
                } catch (error) {
                  return error;
                }
              })();
            } else {
              const flushed = told(log.flush({ durability }));
              if (durability === "data") {
                waiting = [2, 3, 4, 5, 6, 7, 8, 9].map((offset) =>
                  told(log.whenDurable(offset))
                );
              }
              const remove = disk.onOperation(() => {
                // Queued after the flush that is in flight.
                remove();
                behind = told(log.whenDurable(appendSome(log, 1, 2500)));
              });
              error = await flushed;
            }
            fault.disarm();
            if (fault.operation === undefined) {
              await behind;
              await log.close();
              return undefined;
            }
            failed.add(fault.operation.replace(/ .*\./, " "));
            if (!(error instanceof PoisonedError)) throw error;
            const { durableOffset, nextOffset } = log;
            assertEquals(error.durableOffset, durableOffset, label());
            assertEquals((error.cause as { code: string }).code, "EIO");
            for (const [i, promise] of waiting.entries()) {
              const answer = await promise;
              if (2 + i < durableOffset) assertEquals(answer, undefined);
              else assertStrictEquals(answer, error, label());
            }
            if (mode === "async") assertStrictEquals(await behind, error);
            for (const answer of await answers(log, durableOffset)) {
              assertStrictEquals(answer, error, label());
            }
            await log.whenDurable(durableOffset - 1);
            assertEquals(log.nextOffset, nextOffset);
            if (mode === "sync") {
              assertStrictEquals(assertThrows(() => log.closeSync()), error);
              log.closeSync();
            } else {
              assertStrictEquals(await told(log.close()), error, label());
              await log.close();
            }
            assertStrictEquals(assertThrows(() => log.append("x")), error);
            // After the failure there is no sync, and no other operation except those already in
            // flight.
            assertEquals(lines(disk, fault.at, ["sync", "truncate"]), []);
            const after = lines(disk, fault.at, ["rename", "remove"]);
            assertEquals(after.filter((line) => !isTidying(line)), []);
            const state = disk.crashState("none");
            await checkKept(state, durableOffset, durableOffset, label());
            for (const choice of ["all", "random", "random"] as const) {
              const state = disk.crashState(choice);
              await checkKept(state, durableOffset, nextOffset, label());
            }
            return disk;
          },
        );
        if (disk === undefined) break;
      }
      for (
        const place of ["write log", "write index", "sync log", "sync index"]
      ) assert(failed.has(place), `${place}: ${[...failed]}`);
      assert(failed.size >= 8, `${[...failed]}`);
    });
  }
}

for (const error of ["ENOSPC", "EDQUOT", "EIO"]) {
  Deno.test(`write-poison: ${error} from a sync of the log, the index or the directory poisons`, async () => {
    for (
      const [kind, ending] of [
        ["sync", ".log"],
        ["sync", ".index"],
        ["syncDirectory", ""],
      ]
    ) {
      for (const mode of ["async", "sync"]) {
        await at(new SimulatedPlace(), async (place) => {
          const disk = place.storage;
          const log = await openLog(place, { segmentBytes: 8 * KIB });
          let failed = 0;
          disk.onOperation((operation) => {
            if (operation.kind !== kind) return;
            if (!operation.path.endsWith(ending!)) return;
            failed++;
            return { error };
          });
          appendSome(log, 4, 2500);
          const outcome = mode === "sync"
            ? assertThrows(() => log.flushSync())
            : await told(log.flush());
          assertInstanceOf(outcome, PoisonedError, `${kind} ${ending}`);
          for (const answer of await answers(log, 3)) {
            assertStrictEquals(answer, outcome);
          }
          await log.close().catch(() => {});
          assertEquals(failed, 1, "it is not retried");
        });
      }
    }
  });
}

Deno.test("write-poison: a failure that no call waits for fails the next call", async () => {
  await at(new SimulatedPlace(), async (place) => {
    const disk = place.storage;
    const log = await openLog(place);
    await log.appendDurable("kept");
    disk.onOperation(({ kind }) => {
      if (kind === "write") return { error: "EIO" };
    });
    // A whole block, which is written without a flush.
    appendSome(log, 3, 5000);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const error = assertThrows(() => log.append("x"), PoisonedError);
    assertEquals([error.path, error.durableOffset], [place.dir, 1]);
    const { code, path } = error.cause as { code: string; path: string };
    assertEquals([code, path], ["EIO", `${place.dir}/${"0".repeat(20)}.log`]);
    assertStrictEquals(await told(log.flush()), error);
    assertStrictEquals(await told(log.close()), error);
    assertEquals(lines(disk, 0, ["remove"]), [], "the owner file stays");
  });
});

Deno.test("write-poison: what was written before a poisoned flush can still be read, and the next writer recovers", async () => {
  await at(new SimulatedPlace(), async (place) => {
    const disk = place.storage;
    const log = await openLog(place);
    appendSome(log, 5, 2500);
    await log.flush();
    const remove = disk.onOperation(({ kind }) => {
      if (kind === "sync" || kind === "write") return { error: "EIO" };
    });
    appendSome(log, 5, 2500);
    assertInstanceOf(await told(log.flush()), PoisonedError);
    remove();
    assertEquals((await drain(log)).length, 5);
    await log.close().catch(() => {});
    const again = await openLog(place);
    assertEquals(again.stats().opening.recovered.length, 1);
    assertEquals((await drain(again)).length, 5);
    await again.close();
    assertEquals(faultsOfClosed(place), []);
  });
});

for (const number of [1, 2]) {
  Deno.test(`write-poison: closing that fails at its end releases the lock, failure ${number}`, async () => {
    for (const mode of ["async", "sync"]) {
      await at(new SimulatedPlace(), async (place) => {
        const disk = place.storage;
        const log = await openLog(place);
        await log.appendDurable("x");
        let count = 0;
        const remove = disk.onOperation(({ kind }) => {
          if (kind !== "remove" && kind !== "syncDirectory") return;
          if (++count === number) return { error: "EIO" };
        });
        if (mode === "sync") assertThrows(() => log.closeSync(), Error, "EIO");
        else assertEquals((await told(log.close()) as Error).name, "Error");
        remove();
        const again = await openLog(place);
        assertEquals((await drain(again)).length, 1);
        await again.close();
        assertEquals(faultsOfClosed(place), []);
      });
    }
  });
}
