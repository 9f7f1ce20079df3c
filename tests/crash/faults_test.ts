/**
 * Every operation of the disk fails in turn, once and from there on. Calls succeed or fail with a
 * documented error, nothing acknowledged is lost, nothing leaks, and nothing hangs.
 */
import { assert } from "@std/assert";
import { type Fault, SimulatedDisk } from "@basalt/io/testing";
import { Log } from "../../lib/log/mod.ts";
import { stride } from "../cases.ts";
import { FILES } from "../permissions.ts";
import { DIR } from "../log/recovery/_support.ts";
import { payload, testPool } from "../log/_support.ts";
import { FaultRun, type Mode, SETTINGS } from "./_fault_run.ts";
import type { Message } from "./_scenario.ts";

/** A disk on which a scenario begins, and what its log holds. */
interface Start {
  readonly disk: SimulatedDisk;
  readonly messages: readonly Message[];
  readonly acknowledged: number;
}

interface FaultScenario {
  readonly name: string;
  /** Whether it can run with async or sync calls. @default {both} */
  readonly modes?: readonly Mode[];
  start(): Start;
  run(run: FaultRun): Promise<void>;
}

function empty(): Start {
  const disk = new SimulatedDisk({ seed: 1, timeStepMicros: 0 });
  return { disk, messages: [], acknowledged: 0 };
}

/** Makes a log with these messages, each flushed. `crash` returns what is left of it. */
function written(
  lengths: readonly number[],
  crash: (disk: SimulatedDisk) => SimulatedDisk = (disk) => disk,
): SimulatedDisk {
  const { disk } = empty();
  using pool = testPool();
  const log = Log.openSync(DIR, { ...SETTINGS, storage: disk, pool });
  for (const [i, length] of lengths.entries()) {
    log.append(payload(i, length));
    log.flushSync({ durability: i === 0 ? "data" : "none" });
  }
  const left = crash(disk);
  log.closeSync();
  return left;
}

function held(lengths: readonly number[]): Message[] {
  return lengths.map((length) => ({ salt: 0, length, begins: true }));
}

/** Three segments, closed. */
const CLOSED = [5000, 5000, 5000, 5000, 300];
const closed = written(CLOSED).crashState("all");
/**
 * A first message that was acknowledged. Of the following ones, a part in the middle did not reach
 * the disk.
 */
const TORN = [100, 3000, 3000, 3000];
const torn = written(
  TORN,
  (disk) =>
    disk.crashState(({ kind, position }) =>
      kind !== "block" || position !== 4096
    ),
);

const SCENARIOS: readonly FaultScenario[] = [
  {
    name: "ingest",
    start: empty,
    async run(run) {
      await run.open();
      await run.append(100);
      await run.flush();
      await run.append(3000, 3000);
      await run.durable();
      await run.append(10);
      await run.flush("none");
      await run.append(20);
      await run.flush();
      await run.close();
    },
  },
  {
    name: "roll",
    start: empty,
    async run(run) {
      await run.open();
      for (let i = 0; i < 5; i++) {
        await run.append(5000);
        await run.flush(i % 2 ? "none" : "data");
      }
      await run.truncate();
      await run.append(7000, 7000, 7000);
      await run.durable();
      await run.close();
    },
  },
  {
    name: "close",
    start: empty,
    async run(run) {
      await run.open();
      await run.append(100, 5000);
      await run.close();
      await run.close();
    },
  },
  {
    name: "recover",
    start: () => ({
      disk: torn.crashState("all"),
      messages: held(TORN),
      acknowledged: 1,
    }),
    async run(run) {
      await run.open();
      await run.read("log");
      await run.append(3000);
      await run.flush();
      await run.close();
    },
  },
  {
    name: "read",
    start: () => ({
      disk: closed.crashState("all"),
      messages: held(CLOSED),
      acknowledged: CLOSED.length,
    }),
    async run(run) {
      await run.read("reader");
      await run.open();
      await run.read("log");
      await run.append(40);
      await run.flush();
      await run.close();
    },
  },
  {
    name: "read beside the writer",
    start: empty,
    async run(run) {
      await run.open();
      for (const length of [100, 6000, 6000]) {
        await run.append(length);
        await run.flush();
        if (run.log !== undefined) await run.read("reader");
      }
      await run.close();
    },
  },
  {
    name: "tail",
    // Calls that wait for others have no sync version.
    modes: ["async"],
    start: empty,
    async run(run) {
      await run.open();
      await run.append(100);
      await run.flush();
      for (const durable of [false, true]) {
        run.tail({ durable });
        run.tail({ durable, leave: true });
      }
      await run.append(3000, 3000);
      await run.flush("none");
      await run.append(5000, 5000);
      await run.durable();
      await run.append(10);
      await run.close();
    },
  },
];

const FAULTS: readonly [name: string, fault: Fault, sticky: boolean][] = [
  ["EIO", { error: "EIO" }, false],
  ["EIO from there on", { error: "EIO" }, true],
  ["ENOSPC", { error: "ENOSPC" }, false],
  ["ENOSPC from there on", { error: "ENOSPC" }, true],
  ["EINTR", { error: "EINTR" }, false],
  ["EAGAIN", { error: "EAGAIN" }, false],
  ["EAGAIN from there on", { error: "EAGAIN" }, true],
  ["a short transfer", { shortBytes: 512 }, false],
  ["short transfers from there on", { shortBytes: 1024 }, true],
  ["a transfer of 0 bytes", { shortBytes: 0 }, false],
  ["transfers of 0 bytes from there on", { shortBytes: 0 }, true],
  ["a flipped bit in a read", { flipBit: 8 * 70 + 3 }, false],
  ["a flipped bit in a header that is read", { flipBit: 8 * 24 }, false],
  ["an hour of latency", { latencyMs: 3_600_000 }, false],
  ["an hour of latency from there on", { latencyMs: 3_600_000 }, true],
];

const BOTH: readonly Mode[] = ["async", "sync"];

for (const { name, start, run, modes = BOTH } of SCENARIOS) {
  for (const mode of modes) {
    Deno.test({
      name:
        `Log with each operation of the disk failing in turn: ${name}, ${mode}`,
      ignore: !FILES,
      async fn() {
        let runs = 0;
        for (const [what, fault, sticky] of FAULTS) {
          const [first, step] = stride(2);
          for (let number = first;; number += step) {
            const failure = { name: what, fault, sticky, number };
            const { disk, messages, acknowledged } = start();
            const one = new FaultRun(disk, mode, failure, {
              messages,
              acknowledged,
            });
            try {
              await run(one);
              const { hit } = one;
              await one.finish();
              runs++;
              if (!hit) break;
            } catch (error) {
              const at = disk.trace[number - 1];
              throw new Error(
                `${what} at ${number} (${at?.kind} ${at?.path}): ${
                  (error as Error).message
                }`,
                { cause: error },
              );
            }
          }
        }
        console.log(`${runs} runs`);
        assert(runs > 50);
      },
    });
  }
}
