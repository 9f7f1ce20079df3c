/**
 * Every operation of the disk fails in turn while a cursor is used and retention runs. Nothing
 * acknowledged is lost, nothing leaks, and nothing hangs.
 */
import { assert, assertEquals } from "@std/assert";
import { type Fault, SimulatedDisk } from "@basalt/io/testing";
import { type Cursor, Log } from "../../lib/log/mod.ts";
import { FILES } from "../permissions.ts";
import { DIR } from "../log/recovery/_support.ts";
import { drainSync, payload, quiet, testPool } from "../log/_support.ts";

const FAULTS: readonly [name: string, fault: Fault, sticky: boolean][] = [
  ["EIO", { error: "EIO" }, false],
  ["EIO from there on", { error: "EIO" }, true],
  ["ENOSPC", { error: "ENOSPC" }, false],
  ["EACCES from there on", { error: "EACCES" }, true],
];

const MESSAGES = 7;

function open(disk: SimulatedDisk, pool = testPool()): Log {
  return Log.openSync(DIR, {
    storage: disk,
    pool,
    segmentBytes: 4096,
    blockBytes: 4096,
    prepareBytes: 0,
    lockTimeoutMs: 0,
  });
}

/** What is known of a cursor: its possible positions, and whether it may be gone. */
class Known {
  positions = new Set([0]);
  mayBeGone = true;
  mustBeGone = true;

  /** Runs a call that may move the cursor. After a success it is at the new position. */
  async move(to: number, run: () => Promise<unknown>): Promise<void> {
    this.positions.add(to);
    this.mustBeGone = false;
    if (!await succeeds(run)) return;
    this.positions = new Set([to]);
    this.mayBeGone = false;
  }
}

async function succeeds(run: () => Promise<unknown>): Promise<boolean> {
  try {
    await run();
    return true;
  } catch (error) {
    assert(error instanceof Error && !(error instanceof TypeError), `${error}`);
    return false;
  }
}

/** Runs the scenario. Returns whether the fault was reached. */
async function run(
  isSync: boolean,
  fault: Fault,
  sticky: boolean,
  number: number,
): Promise<boolean> {
  const disk = new SimulatedDisk({ seed: number, timeStepMicros: 0 });
  const pool = testPool();
  const log = open(disk, pool);
  for (let i = 0; i < MESSAGES; i++) {
    log.append(payload(i, 1000));
    log.flushSync();
  }
  await quiet(disk);
  let count = 0;
  const disarm = disk.onOperation(() => {
    count++;
    return count === number || sticky && count > number ? fault : undefined;
  });
  const known = new Known();
  let cursor: Cursor | undefined;
  await known.move(0, async () => {
    const options = { lockTimeoutMs: 0 };
    cursor = isSync ? log.cursorSync("a") : await log.cursor("a", options);
  });
  for (const to of [2, 5]) {
    if (cursor === undefined) break;
    const { position } = cursor;
    await known.move(to, async () => {
      if (isSync) cursor!.commitSync(to);
      else await cursor!.commit(to);
    });
    assert(cursor.position >= position);
  }
  const retain = async () =>
    isSync ? log.retainSync({ bytes: 0 }) : await log.retain({ bytes: 0 });
  await succeeds(retain);
  if (cursor !== undefined) {
    const { firstOffset } = log;
    await known.move(firstOffset, async () => {
      if (isSync) cursor!.seekSync("first");
      else await cursor!.seek("first");
    });
    await known.move(6, async () => {
      await cursor!.commit(6, { durable: false });
      if (isSync) cursor!.closeSync();
      else await cursor!.close();
    });
  }
  await succeeds(retain);
  disarm();
  await quiet(disk);
  const { firstOffset } = log;
  await log.close().catch(() => {});
  assertEquals(pool.stats().inUseBytes, 0, "memory is still leased");
  assertEquals(disk.openFiles, 0, "files are still open");
  pool.close();
  for (const choice of ["none", "all", "random"] as const) {
    const left = disk.crashState(choice);
    const next = testPool();
    using log = open(left, next);
    const [found] = log.cursorsSync();
    if (known.mustBeGone) assertEquals(found, undefined);
    if (!known.mayBeGone) assert(found !== undefined, "the cursor is lost");
    if (found !== undefined) {
      const { position } = found;
      assert(
        known.positions.has(position),
        `${choice}: at ${position}, not one of ${[...known.positions]}`,
      );
      assert(position >= log.firstOffset, "the cursor was passed");
    }
    assert(log.firstOffset >= firstOffset);
    assertEquals(drainSync(log).at(-1)!.offset, MESSAGES - 1);
    log.closeSync();
    next.close();
  }
  return count >= number;
}

for (const isSync of [true, false]) {
  Deno.test({
    name:
      `Cursor and retention with each operation of the disk failing in turn, ${
        isSync ? "sync" : "async"
      }`,
    ignore: !FILES,
    async fn() {
      let runs = 0;
      for (const [name, fault, sticky] of FAULTS) {
        for (let number = 1;; number++) {
          try {
            if (!await run(isSync, fault, sticky, number)) break;
          } catch (error) {
            throw new Error(
              `${name} at ${number}: ${(error as Error).message}`,
              {
                cause: error,
              },
            );
          }
          runs++;
        }
      }
      assert(runs > 100, `${runs} runs`);
    },
  });
}
