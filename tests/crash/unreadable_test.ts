/**
 * Devices that lose a block while it is rewritten, against docs/format.md#assume-blocks: opening or
 * reading reports the loss.
 */
import { assert } from "@std/assert";
import type { SimulatedDisk } from "@basalt/io/testing";
import { CorruptSegmentError } from "../../lib/segment/mod.ts";
import { FILES } from "../permissions.ts";
import { checkLog } from "./_check.ts";
import {
  type Expected,
  openOn,
  Scenario,
  small,
  type Step,
  STEPS,
} from "./_scenario.ts";

const SETTING = small(512);

interface Tally {
  states: number;
  /** States in which everything acknowledged is there. */
  whole: number;
  /** States in which opening or reading reports the loss. */
  told: number;
  /**
   * Failed checks. They are kept here, because an error of the hook would count as one of the disk.
   */
  broken: unknown[];
}

/**
 * Opens a disk with an unreadable block. Everything acknowledged must be there, or an error must
 * report the loss.
 */
function check(left: SimulatedDisk, expected: Expected, tally: Tally): void {
  tally.states++;
  try {
    const log = openOn(left, SETTING);
    try {
      checkLog(log, expected);
    } finally {
      log.closeSync();
    }
    tally.whole++;
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === "EIO" || error instanceof CorruptSegmentError) tally.told++;
    else tally.broken.push(error);
  }
}

/** Checks every block that could be lost now, with all or none of the other unsynced units. */
function crash(disk: SimulatedDisk, expected: Expected, tally: Tally): void {
  for (const [number, { kind }] of disk.unsyncedUnits().entries()) {
    if (kind !== "block") continue;
    for (const choice of ["all", "none"] as const) {
      check(disk.crashState(choice, new Set([number])), expected, tally);
    }
  }
}

async function run(steps: readonly Step[], tally: Tally): Promise<void> {
  const scenario = new Scenario(SETTING, (disk) => disk, 1);
  await scenario.open();
  for (const [i, step] of steps.entries()) {
    if (!scenario.allows(step)) break;
    let stop = () => {};
    if (i === steps.length - 1) {
      const watch = (disk: SimulatedDisk) =>
        disk.onOperation(() => crash(disk, scenario.expected, tally));
      stop = watch(scenario.disk);
      scenario.onDisk = (disk) => stop = watch(disk);
    }
    await scenario.take(step);
    stop();
  }
  await scenario.end();
}

Deno.test({
  name:
    "Log.open() or reading reports a block lost in a rewrite, or nothing acknowledged was in it",
  ignore: !FILES,
  async fn() {
    const tally: Tally = { states: 0, whole: 0, told: 0, broken: [] };
    for (const a of STEPS) {
      for (const b of STEPS) {
        for (const c of STEPS) await run([a, b, c], tally);
      }
    }
    const { states, whole, told, broken } = tally;
    if (broken.length > 0) throw broken[0];
    console.log(
      `${states} states with a lost block: ${whole} whole, ${told} reported`,
    );
    assert(whole > 100 && told > 100);
  },
});
