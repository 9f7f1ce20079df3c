/**
 * Loses each block of a log in turn: what the index and the owner file claim is never cut, and a
 * refused opening changes nothing.
 *
 * docs/format.md#open-torn-tail, docs/format.md#open-durable-offset, docs/format.md#index-evidence,
 * docs/format.md#open-corrupt.
 */
import { assert, assertEquals } from "@std/assert";
import { CorruptSegmentError } from "../../lib/segment/mod.ts";
import { SimulatedDisk } from "@basalt/io/testing";
import { FILES } from "../permissions.ts";
import { assertBytes, DIR } from "../log/recovery/_support.ts";
import { drainSync, payload, segment } from "../log/_support.ts";
import { openOn, small } from "./_scenario.ts";

const SETTING = { ...small(4096), segmentBytes: 1024 * 1024 };
const LENGTH = 30_000;
/** Number of batches at the last opening, which the owner file claims as durable. */
const PUBLISHED = 6;
/** The index claims the first and the fourth batch, and everything before them. */
const INDEXED = 4;
const TOTAL = 9;
const LOG = `${DIR}/${segment(0)}.log`;
const INDEX = `${DIR}/${segment(0)}.index`;
const OWNER = `${DIR}/writer`;

/** Appends durable batches up to this number, and kills the process. */
function killedAfter(disk: SimulatedDisk, count: number): SimulatedDisk {
  const log = openOn(disk, SETTING);
  for (let i = log.nextOffset; i < count; i++) {
    log.append(payload(i, LENGTH));
    log.flushSync();
  }
  return disk.kill();
}

function made(): SimulatedDisk {
  const disk = new SimulatedDisk({ seed: 1, timeStepMicros: 0 });
  return killedAfter(killedAfter(disk, PUBLISHED), TOTAL);
}

/** Copies a disk, with nothing but zeros in some files. */
function without(disk: SimulatedDisk, ...paths: string[]): SimulatedDisk {
  const copy = disk.crashState("all");
  for (const path of paths) {
    copy.poke(path, 0, new Uint8Array(copy.peek(path).length));
  }
  return copy;
}

/** The result for a log when each of its blocks was lost in turn. */
interface Outcome {
  refused: number;
  /** Openings that cut bytes which are known to be durable. */
  cut: number;
  whole: number;
}

function loseEachBlock(disk: SimulatedDisk, vouched: number): Outcome {
  const outcome: Outcome = { refused: 0, cut: 0, whole: 0 };
  const { length } = disk.peek(LOG);
  for (let at = 0; at < length; at += 4096) {
    const left = disk.crashState("all");
    left.poke(LOG, at, new Uint8Array(Math.min(4096, length - at)));
    const before = `${left.hash()} ${left.crashHash()}`;
    try {
      const log = openOn(left, SETTING);
      const read = drainSync(log);
      log.closeSync();
      for (const { offset, payload: found } of read) {
        assertBytes(found, payload(offset, LENGTH), `message ${offset}`);
      }
      if (read.length < vouched) outcome.cut++;
      else outcome.whole++;
    } catch (error) {
      if (!(error instanceof CorruptSegmentError)) throw error;
      assertEquals(`${left.hash()} ${left.crashHash()}`, before, "changed");
      outcome.refused++;
    }
  }
  return outcome;
}

Deno.test(
  "Log.open() refuses to cut below the published durable offset, and changes nothing then",
  {
    ignore: !FILES,
  },
  () => {
    const disk = made();
    const { refused, cut, whole } = loseEachBlock(disk, PUBLISHED);
    assertEquals(cut, 0);
    assert(refused > 40 && whole > 10, `${refused} refused, ${whole} whole`);
    // The same recovery without the owner's durable offset must fail the check.
    const mutant = loseEachBlock(without(disk, OWNER), PUBLISHED);
    assert(mutant.cut > 10, "mutant: below the published durable offset");
  },
);

Deno.test(
  "Log.open() refuses to cut below a plausible index entry, and changes nothing then",
  {
    ignore: !FILES,
  },
  () => {
    const disk = without(made(), OWNER);
    const { refused, cut, whole } = loseEachBlock(disk, INDEXED);
    assertEquals(cut, 0);
    assert(refused > 25 && whole > 10, `${refused} refused, ${whole} whole`);
    const mutant = loseEachBlock(without(disk, INDEX), INDEXED);
    assert(mutant.cut > 10, "mutant: below a plausible index entry");
  },
);
