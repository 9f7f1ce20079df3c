/**
 * Loses each block of a log in turn: what the index and the owner file vouch for is never cut.
 *
 * An opening that is refused changes nothing. The rules:
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
/** Batches when the log was opened for the last time: the owner file vouches for them. */
const PUBLISHED = 6;
/** The index vouches for the first batch and the fourth one, and for what lies before them. */
const INDEXED = 4;
const TOTAL = 9;
const LOG = `${DIR}/${segment(0)}.log`;
const INDEX = `${DIR}/${segment(0)}.index`;
const OWNER = `${DIR}/writer`;

/** Appends batches up to a number of them, each durable, and kills the process. */
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

/** A copy of a disk on which some files have zeros only. */
function without(disk: SimulatedDisk, ...paths: string[]): SimulatedDisk {
  const copy = disk.crashState("all");
  for (const path of paths) {
    copy.poke(path, 0, new Uint8Array(copy.peek(path).length));
  }
  return copy;
}

/** What became of a log, block by block, when that block was lost. */
interface Outcome {
  refused: number;
  /** Openings that cut what is vouched for. */
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
    // The same recovery without the owner's durable offset: the test notices.
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
