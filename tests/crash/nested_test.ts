/**
 * Tears a payload that consists of encoded batches at every block: none of them ever joins the log.
 *
 * docs/format.md#read-whole-batches, docs/format.md#open-cut-before-append
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { findBatch } from "../../lib/codec/mod.ts";
import { SimulatedDisk } from "@basalt/io/testing";
import { FILES } from "../permissions.ts";
import { assertBytes, DIR } from "../log/recovery/_support.ts";
import {
  BATCH,
  drainSync,
  FRAME,
  HEADER,
  payload,
  segment,
} from "../log/_support.ts";
import { concat, makeBatch, TIME } from "../segment/_made_segment.ts";
import { MUTANTS } from "./_mutants.ts";
import { openOn, small, tell, type Wrap } from "./_scenario.ts";

const BLOCK = 512;
/** Length of the payload with which a batch of one message fills a block. */
const FILLING = BLOCK - HEADER;
const SETTING = { ...small(BLOCK), segmentBytes: 64 * 1024 };
const LOG = `${DIR}/${segment(0)}.log`;
const NESTED = 6;

/**
 * Makes a payload of batches that fill a block each, and are aligned to blocks if the outer batch
 * is.
 *
 * The first one claims an offset, and the others follow it.
 */
function nested(firstOffset: number): Uint8Array<ArrayBuffer> {
  const batches = Array.from(
    { length: NESTED },
    (_, i) => makeBatch(firstOffset + i, TIME, [payload(900 + i, FILLING)]),
  );
  return concat([new Uint8Array(BLOCK - BATCH - FRAME).fill(1), ...batches]);
}

/** Writes the payload as the second batch, and checks every disk that a power cut may leave. */
function eachTorn(
  outer: Uint8Array,
  check: (left: SimulatedDisk, mask: bigint) => void,
): number {
  const disk = new SimulatedDisk({
    seed: 1,
    blockBytes: BLOCK,
    physicalBlock: BLOCK,
    timeStepMicros: 0,
  });
  const log = openOn(disk, SETTING);
  log.append(payload(0, FILLING));
  log.flushSync();
  log.appendBatch([outer]);
  log.flushSync({ durability: "none" });
  const count = disk.unsyncedUnits().length;
  for (let mask = 0n; mask < 1n << BigInt(count); mask++) {
    check(disk.crashState(mask), mask);
  }
  log.closeSync();
  return 2 ** count;
}

/** Recovers a torn disk, appends so that the payload's batches would follow, and crashes again. */
function recover(
  left: SimulatedDisk,
  outer: Uint8Array,
  wrap: Wrap = (disk) => disk,
): number {
  const storage = wrap(left);
  tell(storage, "open");
  const log = openOn(left, SETTING, storage);
  const { nextOffset } = log;
  const texts = [payload(0, FILLING), outer];
  assert(nextOffset === 1 || nextOffset === 2, `ends at ${nextOffset}`);
  assertRead(log, texts.slice(0, nextOffset));
  tell(storage, "flush");
  const added = payload(5, FILLING);
  log.append(added);
  log.flushSync();
  for (const choice of ["none", "all"] as const) {
    const again = wrap(left.crashState(choice));
    tell(again, "open");
    const reopened = openOn(left, SETTING, again);
    try {
      assertRead(reopened, [...texts.slice(0, nextOffset), added]);
    } finally {
      reopened.closeSync();
    }
  }
  log.closeSync();
  return nextOffset;
}

function assertRead(
  log: ReturnType<typeof openOn>,
  expected: Uint8Array[],
): void {
  const read = drainSync(log);
  assertEquals(read.length, expected.length, "messages");
  for (const [i, { payload: found }] of read.entries()) {
    assertBytes(found, expected[i]!, `message ${i}`);
  }
}

for (const claimed of [1, 2]) {
  const outer = nested(claimed);
  Deno.test(
    `Log.open() takes no batch out of a torn payload of batches from offset ${claimed}`,
    {
      ignore: !FILES,
    },
    () => {
      const ends = [0, 0, 0];
      /** States in which a search for the next valid batch finds one in the payload. */
      let found = 0;
      const states = eachTorn(outer, (left) => {
        const bytes = left.peek(LOG);
        const end = recover(left, outer);
        ends[end]!++;
        if (end === 2) return;
        const { position } = findBatch(bytes, BLOCK, claimed, claimed + NESTED);
        if (position !== undefined) found++;
      });
      assertEquals(ends[2], 1, "the whole batch is there");
      assertEquals(ends[1], states - 1);
      // A recovery that continued at the next valid batch would take them.
      assert(found > 10, "mutant: recovery continues after the stop");
    },
  );
}

Deno.test(
  "mutant: recovery does not cut, and batches of a payload follow the log",
  {
    ignore: !FILES,
  },
  () => {
    const { wrap } = MUTANTS.find(({ name }) =>
      name === "recovery does not cut"
    )!;
    const outer = nested(2);
    assertThrows(() => {
      eachTorn(outer, (left) => void recover(left, outer, wrap));
    });
  },
);
