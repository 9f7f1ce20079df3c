/**
 * Any index beside a sound log. The index is a cache: a wrong one costs time or is reported as
 * corrupt, and never changes what is read.
 */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { INDEX_ENTRY_BYTES } from "../../../lib/codec/mod.ts";
import { Log, LogReader, verifyLogSync } from "../../../lib/log/mod.ts";
import { CorruptSegmentError } from "../../../lib/segment/mod.ts";
import type { SimulatedDisk } from "@basalt/io/testing";
import { FILES } from "../../permissions.ts";
import {
  assertMade,
  DIR,
  diskWith,
  filesOf,
  indexOf,
  LEFT_OPEN,
  make,
  placeOn,
  TIME,
} from "../recovery/_support.ts";
import { drainSync, segment } from "../_support.ts";

const LENGTHS = Array.from({ length: 40 }, (_, i) => (i * 37) % 300);
/** Two messages an append. */
const made = make(0, LENGTHS, (offset) => TIME + (offset >> 1));
const NAME = `${segment(0)}.index`;
/** An entry for every batch, since any density is valid. */
const INDEX = indexOf(
  LENGTHS.map((_, i) => [i, TIME + (i >> 1), made.starts[i]!]),
);

/** A change of an index. */
type Change =
  | { kind: "field"; entry: number; at: 0 | 8 | 12 | 16; value: number }
  | { kind: "copy"; from: number; to: number }
  | { kind: "zeros"; entry: number; count: number }
  | { kind: "cut"; length: number }
  | { kind: "append"; bytes: Uint8Array };

const entry = fc.nat({ max: LENGTHS.length - 1 });
const value = fc.oneof(
  // Positions of messages and of the bytes next to them, which look right.
  fc.tuple(entry, fc.integer({ min: -1, max: 1 }))
    .map(([i, by]) => Math.max(0, made.starts[i]! + by)),
  fc.nat({ max: 50 }),
  fc.constantFrom(0xffff_ffff, 0x8000_0000, TIME % 2 ** 32),
  fc.nat({ max: 0xffff_ffff }),
);
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({
    kind: fc.constant("field" as const),
    entry: fc.oneof(entry, fc.constant(LENGTHS.length - 1)),
    at: fc.constantFrom(0 as const, 8 as const, 12 as const, 16 as const),
    value,
  }),
  fc.record({ kind: fc.constant("copy" as const), from: entry, to: entry }),
  fc.record({
    kind: fc.constant("zeros" as const),
    entry,
    count: fc.integer({ min: 1, max: 8 }),
  }),
  fc.record({
    kind: fc.constant("cut" as const),
    length: fc.nat({ max: INDEX.length }),
  }),
  fc.record({
    kind: fc.constant("append" as const),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 40 }),
  }),
);

/** Applies the changes to the index one after the other, as far as they lie in it. */
function changed(changes: readonly Change[]): Uint8Array {
  let bytes = INDEX.slice();
  const at = (i: number) => i * INDEX_ENTRY_BYTES;
  for (const each of changes) {
    if (each.kind === "cut") bytes = bytes.slice(0, each.length);
    else if (each.kind === "append") {
      bytes = Uint8Array.from([...bytes, ...each.bytes]);
    } else if (each.kind === "zeros") {
      bytes.fill(0, at(each.entry), at(each.entry + each.count));
    } else if (each.kind === "copy") {
      const from = bytes.slice(at(each.from), at(each.from + 1));
      if (at(each.to) + from.length <= bytes.length) {
        bytes.set(from, at(each.to));
      }
    } else if (at(each.entry + 1) <= bytes.length) {
      const view = new DataView(bytes.buffer);
      view.setUint32(at(each.entry) + each.at, each.value, true);
    }
  }
  return bytes;
}

/** Whether it ended without an error. The only error allowed is that a segment is corrupt. */
function sound(run: () => void): boolean {
  try {
    run();
    return true;
  } catch (error) {
    if (error instanceof CorruptSegmentError) return false;
    throw error;
  }
}

/** Checks that reading from an offset gives what was appended, up to the end. */
function checkFrom(source: Log | LogReader, from: number): void {
  assertMade(drainSync(source, { from }), from, LENGTHS.slice(from));
}

function open(disk: SimulatedDisk): Log {
  const { pool } = placeOn(disk);
  return Log.openSync(DIR, {
    storage: disk,
    pool,
    blockBytes: 4096,
    prepareBytes: 0,
    lockTimeoutMs: 0,
  });
}

Deno.test({
  name:
    "Log.open() of a sound log with any index repairs the index, or reports it if the log was closed; reading gives all messages",
  ignore: !FILES,
  fn() {
    /**
     * Counts: indexes repaired after a crash, and closed logs that were read or reported as
     * corrupt.
     */
    const tally = { mended: 0, read: 0, named: 0 };
    fc.assert(
      fc.property(
        fc.array(change, { minLength: 1, maxLength: 4 }),
        entry,
        fc.boolean(),
        (changes, from, crashed) => {
          const index = changed(changes);
          const disk = diskWith({
            ...filesOf(made),
            [NAME]: index,
            ...crashed ? LEFT_OPEN : {},
          });
          const place = placeOn(disk);
          const { storage, pool } = place;
          const before = disk.hash();
          sound(() => checkFrom(new LogReader(DIR, { storage, pool }), from));
          assertEquals(disk.hash(), before, "reading changes nothing");
          let log: Log | undefined;
          const opened = sound(() => log = open(disk));
          if (!opened) {
            assertEquals(disk.hash(), before, "opening changed something");
            tally.named++;
            return;
          }
          try {
            assertEquals(log!.nextOffset, LENGTHS.length);
            const read = sound(() => checkFrom(log!, from));
            if (crashed) assert(read, "recovery left a wrong index");
            else if (read) tally.read++;
            else tally.named++;
          } finally {
            log!.closeSync();
          }
          const options = { storage, pool };
          if (crashed) {
            assertEquals([...verifyLogSync(DIR, options)], []);
            tally.mended++;
          }
        },
      ),
      { numRuns: 400 },
    );
    console.log(tally);
    assert(tally.mended > 50 && tally.read > 50);
  },
});
