/** Cuts the power at every step of recovery: docs/format.md#open-crash-again. */
import { assert } from "@std/assert";
import { SeededRandom, type SimulatedDisk } from "@basalt/io/testing";
import { FILES } from "../permissions.ts";
import { eachCrash } from "../log/recovery/_support.ts";
import { checkFiles, checkLog } from "./_check.ts";
import {
  type Expected,
  openOn,
  Scenario,
  small,
  type Step,
} from "./_scenario.ts";

const SETTING = small(512);

/** Steps of a log. The power is cut at random in the last one. */
const LIVES: readonly (readonly Step[])[] = [
  ["append batch", "append singles", "flush"],
  ["append durable", "append across", "append batch", "flush"],
  ["append batch", "flush", "append across", "flush durable"],
  ["append singles", "roll", "append batch", "roll"],
  ["roll", "roll", "append singles", "truncate"],
  ["append batch", "flush", "reopen"],
  ["append batch", "append across", "close"],
];

/** How many of the disks that a power cut may leave at one moment are drawn. */
const DRAWN = 10;

/** Returns disks that a power cut may leave at each operation of the last step. */
async function images(
  steps: readonly Step[],
): Promise<[SimulatedDisk, Expected][]> {
  const scenario = new Scenario(SETTING, (disk) => disk, 1);
  const random = new SeededRandom(1);
  const found = new Map<string, [SimulatedDisk, Expected]>();
  await scenario.open();
  for (const [i, step] of steps.entries()) {
    const watch = (disk: SimulatedDisk) =>
      disk.onOperation(() => {
        for (let i = 0; i < DRAWN; i++) {
          const left = disk.crashState(
            i === 0 ? "none" : i === 1 ? "all" : BigInt(random.next()),
          );
          const expected = structuredClone(scenario.expected);
          found.set(left.hash(), [left, expected]);
        }
      });
    let stop = () => {};
    if (i === steps.length - 1) {
      stop = watch(scenario.disk);
      scenario.onDisk = (disk) => stop = watch(disk);
    }
    await scenario.take(step);
    stop();
  }
  await scenario.end();
  return [...found.values()];
}

function check(left: SimulatedDisk, expected: Expected, what: string): void {
  try {
    const log = openOn(left, SETTING);
    try {
      checkLog(log, expected);
    } finally {
      log.closeSync();
    }
    checkFiles(left);
  } catch (error) {
    throw new Error(`${what}: ${(error as Error).message}`, { cause: error });
  }
}

for (const steps of LIVES) {
  Deno.test(
    `Log.open() after a crash at each step of recovery, after ${
      steps.join(", ")
    }`,
    {
      ignore: !FILES,
    },
    async () => {
      let crashes = 0;
      const all = await images(steps);
      for (const [left, expected] of all) {
        crashes += await eachCrash(
          left,
          (place) => openOn(place.storage, SETTING).closeSync(),
          ["none", "all", "random"],
          (again, what) => check(again, expected, what),
        );
      }
      console.log(`${crashes} crashes while ${all.length} disks are recovered`);
      assert(crashes > 100);
    },
  );
}
