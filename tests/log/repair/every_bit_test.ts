/**
 * Every bit, every length and every message in a wrong place, on a small log: each change is
 * reported with file, position and offset, or is provably harmless.
 */
import { assert, assertEquals } from "@std/assert";
import { INDEX_ENTRY_BYTES } from "../../../lib/codec/mod.ts";
import { LogReader, verifyLogSync } from "../../../lib/log/mod.ts";
import type { MessageBatch } from "../../../lib/segment/mod.ts";
import { CorruptSegmentError } from "../../../lib/segment/mod.ts";
import { isDrawn } from "../../cases.ts";
import {
  openLogSync,
  payload,
  segment,
  type SimulatedPlace,
} from "../_support.ts";
import {
  assertBytes,
  DIR,
  diskWith,
  type Files,
  filesOf,
  flipped,
  joined,
  LEFT_OPEN,
  type Made,
  make,
  patched,
  placeOn,
} from "../recovery/_support.ts";

const LENGTHS = [[5, 0, 33, 5, 100], [7, 7, 7], [1, 5, 5]] as const;
const SEGMENTS: Made[] = [];
for (const lengths of LENGTHS) {
  const before = SEGMENTS.at(-1);
  const first = before ? before.firstOffset + before.starts.length - 1 : 0;
  SEGMENTS.push(make(first, lengths));
}
const SOUND = filesOf(...SEGMENTS);
const LAST = SEGMENTS.at(-1)!;
const MESSAGES = LENGTHS.flat();

/** Share of the cases that an ordinary run takes. */
const SHARE = 1 / 4;

/** Names of its segments' files. */
const NAMES = Object.keys(SOUND).filter((name) => name !== "meta");

/** A changed file, and where its first change is. */
interface Damage {
  name: string;
  bytes: Uint8Array;
  position: number;
}

/** Returns the message that has a byte, or that ends before it. */
function messageAt(made: Made, position: number): number {
  return made.starts.findLastIndex((start) => start <= position);
}

function madeOf(name: string): Made {
  return SEGMENTS.find(({ firstOffset }) =>
    name.startsWith(segment(firstOffset))
  )!;
}

/**
 * Returns the bits of a byte to flip: all of them, or one in the reserved part of a batch header.
 */
function bitsAt(name: string, position: number): number[] {
  const made = madeOf(name);
  const at = position - made.starts[messageAt(made, position)]!;
  const isReserved = name.endsWith(".log") && at >= 72 && at < 256;
  return isReserved ? [position % 8] : [0, 1, 2, 3, 4, 5, 6, 7];
}

/** Reads messages up to the end or to reported damage. Each must be the one that was written. */
function read(batches: Iterable<MessageBatch>): {
  count: number;
  error: CorruptSegmentError | undefined;
} {
  let count = 0;
  try {
    for (using batch of batches) {
      for (let i = 0; i < batch.count; i++, count++) {
        assertEquals(batch.offset(i), count);
        assertBytes(batch.payload(i), payload(count, MESSAGES[count]!));
      }
    }
  } catch (error) {
    if (!(error instanceof CorruptSegmentError)) throw error;
    return { count, error };
  }
  return { count, error: undefined };
}

/** Verifies, reads and opens a damaged log, without its owner file. Checks the result of each. */
function check({ name, bytes, position }: Damage, what: string): void {
  const files = { ...SOUND, [name]: bytes };
  const made = madeOf(name);
  const isLog = name.endsWith(".log");
  const place = placeOn(diskWith(files));
  const { storage, pool } = place;

  const faults = [...verifyLogSync(DIR, { storage, pool })];
  assert(faults.length > 0, `${what}: not found`);
  const fault = faults[0]!;
  assertEquals(fault.path, `${DIR}/${name}`, what);
  const number = isLog
    ? messageAt(made, position)
    : Math.floor(position / INDEX_ENTRY_BYTES);
  const begin = isLog ? made.starts[number]! : number * INDEX_ENTRY_BYTES;
  assertEquals(fault.position, begin, what);
  const offset = made.firstOffset + (isLog ? number : 0);
  assertEquals(fault.offset, offset, what);

  // A reader gives everything before the damage, and nothing but what was written.
  const first = made.firstOffset + number;
  const reader = new LogReader(DIR, { storage, pool });
  const seen = read(reader.readSync());
  if (isLog) {
    assertEquals(seen.count, first, what);
    const gone = seen.error === undefined;
    // A missing end goes unnoticed in the last segment only.
    assert(!gone || made === LAST && bytes.length < made.log.length, what);
    if (!gone) assertPlace(seen.error!, name, begin, first, what);
  } else assertEquals(seen, { count: MESSAGES.length, error: undefined }, what);

  checkOpening(place, files, name, what);
}

function assertPlace(
  error: CorruptSegmentError,
  name: string,
  position: number,
  offset: number,
  what: string,
): void {
  assertEquals(
    [error.path, error.position, error.offset],
    [`${DIR}/${name}`, position, offset],
    what,
  );
}

/**
 * Checks that opening changes no sealed log, and an index only to what it should be. Where it
 * refuses, it must change nothing.
 */
function checkOpening(
  place: SimulatedPlace,
  files: Files,
  damaged: string,
  what: string,
): void {
  let refused = false;
  try {
    const log = openLogSync(place);
    read(log.readSync());
    log.closeSync();
  } catch (error) {
    if (!(error instanceof CorruptSegmentError)) throw error;
    refused = true;
  }
  const sealed = !damaged.startsWith(segment(LAST.firstOffset));
  for (const [name, bytes] of Object.entries(files)) {
    const now = place.bytes(name);
    if (refused || sealed && name.endsWith(".log")) {
      assertBytes(now, bytes, `${what}: ${name} after opening`);
    } else if (name.endsWith(".index") && name !== damaged) {
      const log = place.bytes(name.replace(".index", ".log"));
      if (log.length === madeOf(name).log.length) {
        assertBytes(now, SOUND[name]!, `${what}: ${name} after opening`);
      }
    }
  }
}

Deno.test("verifyLog() finds every flipped bit of every log and index; reading is right up to there, and opening changes no sealed segment", () => {
  let cases = 0;
  for (const name of NAMES) {
    const sound = SOUND[name]!;
    for (let position = 0; position < sound.length; position++) {
      for (const bit of bitsAt(name, position)) {
        cases++;
        if (!isDrawn(SHARE)) continue;
        const bytes = flipped(sound, position, bit);
        const what = `${name}, byte ${position}, bit ${bit}`;
        check({ name, bytes, position }, what);
      }
    }
  }
  console.log(`${cases} flipped bits`);
  assert(cases > 10_000);
});

Deno.test("verifyLog() finds every truncation of a log or index, and opening changes no sealed segment", () => {
  let cases = 0;
  for (const name of NAMES) {
    const sound = SOUND[name]!;
    for (let length = 0; length < sound.length; length++) {
      cases++;
      if (!isDrawn(SHARE)) continue;
      const files = { ...SOUND, [name]: sound.subarray(0, length) };
      const what = `${name}, cut to ${length}`;
      const place = placeOn(diskWith(files));
      const { storage, pool } = place;
      const faults = [...verifyLogSync(DIR, { storage, pool })];
      const made = madeOf(name);
      // An empty index is valid. Missing whole batches at the end of the log go unnoticed if they
      // have no entry.
      const isHarmless = name.endsWith(".index")
        ? length === 0
        : made === LAST && made.starts.indexOf(length) > 0;
      assertEquals(faults.length > 0, !isHarmless, `${what}: found`);
      // Missing whole batches at the end of a sealed segment are a gap before the next segment.
      assert(
        isHarmless || faults[0]!.path.includes(name.slice(0, 20)) ||
          faults[0]!.kind === "gap",
        `${what}: ${faults[0]?.path}`,
      );
      const { count } = read(new LogReader(DIR, { storage, pool }).readSync());
      const whole = made.starts.filter((start) => start <= length).length - 1;
      assertEquals(
        count,
        name.endsWith(".log") ? made.firstOffset + whole : MESSAGES.length,
        what,
      );
      checkOpening(place, files, name, what);
    }
  }
  console.log(`${cases} lengths`);
});

/** Returns the bytes of a message. */
function messageOf(made: Made, i: number): Uint8Array {
  return made.log.subarray(made.starts[i], made.starts[i + 1]);
}

Deno.test("verifyLog() finds every swap of two messages, and every message that replaces one of its size", () => {
  let cases = 0;
  for (const made of SEGMENTS) {
    const name = `${segment(made.firstOffset)}.log`;
    const count = made.starts.length - 1;
    for (let a = 0; a < count; a++) {
      for (let b = a + 1; b < count; b++, cases++) {
        const parts = Array.from(
          { length: count },
          (_, i) => messageOf(made, i),
        );
        [parts[a], parts[b]] = [parts[b]!, parts[a]!];
        const bytes = joined(...parts);
        const position = made.starts[a]!;
        check({ name, bytes, position }, `${name}, ${a} and ${b} swapped`);
      }
      for (const other of SEGMENTS) {
        for (let i = 0; i < other.starts.length - 1; i++) {
          const foreign = messageOf(other, i);
          const position = made.starts[a]!;
          const same = other === made && i === a;
          if (same || foreign.length !== messageOf(made, a).length) continue;
          const bytes = patched(made.log, position, foreign);
          const what = `${name}, ${a} is ${i} of ${other.firstOffset}`;
          check({ name, bytes, position }, what);
          cases++;
        }
      }
    }
  }
  console.log(`${cases} messages in wrong places`);
  assert(cases > 30);
});

Deno.test("Log.open() of a log left open with any flipped bit keeps all before it, and salvages what it cuts", () => {
  const name = segment(LAST.firstOffset);
  let cases = 0;
  for (let position = 0; position < LAST.log.length; position++) {
    for (const bit of bitsAt(`${name}.log`, position)) {
      cases++;
      if (!isDrawn(SHARE)) continue;
      const what = `byte ${position}, bit ${bit}`;
      const damaged = flipped(LAST.log, position, bit);
      const place = placeOn(diskWith({
        ...SOUND,
        ...LEFT_OPEN,
        [`${name}.log`]: damaged,
        // It publishes nothing as durable.
        [`${name}.index`]: new Uint8Array(0),
      }));
      const log = openLogSync(place);
      const number = messageAt(LAST, position);
      assertEquals(log.nextOffset, LAST.firstOffset + number, what);
      assertEquals(read(log.readSync()).count, log.nextOffset, what);
      const { kept } = log.stats().opening;
      const from = LAST.starts[number]!;
      assertEquals(kept, [`${DIR}/${name}.${from}.0.cut`], what);
      const cut = kept[0]!.slice(DIR.length + 1);
      assertBytes(place.bytes(cut), damaged.subarray(from), what);
      log.closeSync();
      const { storage, pool } = place;
      assertEquals([...verifyLogSync(DIR, { storage, pool })], [], what);
    }
  }
  console.log(`${cases} flipped bits`);
});
