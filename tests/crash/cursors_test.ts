/**
 * Every state that a power cut may leave while cursors are created, moved and deleted, and
 * retention removes what they do not need: docs/format.md#cursor-create,
 * docs/format.md#cursor-turns.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { SimulatedDisk } from "@basalt/io/testing";
import { type Cursor, Log, OffsetOutOfRangeError } from "../../lib/log/mod.ts";
import { ALL, FILES } from "../permissions.ts";
import { DIR } from "../log/recovery/_support.ts";
import { drainSync, payload, testPool } from "../log/_support.ts";

const STEPS = [
  "make",
  "commit",
  "lazy",
  "seek",
  "close",
  "delete",
  "append",
  "retain",
  "hard",
  "reopen",
] as const;

type Step = typeof STEPS[number];

/** Segment size in bytes at which three messages of 1000 bytes fill a segment. */
const SEGMENT_BYTES = 4096;
const LENGTH = 1000;
const MESSAGES = 7;

/** With up to this many unsynced units all subsets are checked. With more, as many are drawn. */
const EXHAUSTIVE_UNITS = 8;

/** What a power cut must leave. */
interface Expected {
  /** Messages below this offset are durable. */
  durable: number;
  /** Whether the cursor must, may or must not be there. */
  cursor: "there" | "maybe" | "gone";
  /** Its possible positions. */
  positions: Set<number>;
  /** The log begins at this offset or before. */
  firstAtMost: number;
  /** Whether a cursor may have been passed. */
  isHard: boolean;
}

function open(disk: SimulatedDisk, pool = testPool()): Log {
  return Log.openSync(DIR, {
    storage: disk,
    pool,
    segmentBytes: SEGMENT_BYTES,
    blockBytes: 4096,
    prepareBytes: 0,
    lockTimeoutMs: 0,
  });
}

/** A log and its cursor while they are used. */
class Life {
  disk: SimulatedDisk;
  readonly #pool = testPool();
  #log: Log;
  #cursor: Cursor | undefined;
  readonly expected: Expected = {
    durable: 0,
    cursor: "gone",
    positions: new Set(),
    firstAtMost: 0,
    isHard: false,
  };
  /** Called with each disk that is used. */
  onDisk: (disk: SimulatedDisk) => void = () => {};

  constructor(blockBytes: number) {
    this.disk = new SimulatedDisk({
      blockBytes,
      physicalBlock: blockBytes,
      timeStepMicros: 0,
    });
    this.#log = open(this.disk, this.#pool);
    for (let i = 0; i < MESSAGES; i++) this.#append();
  }

  end(): void {
    this.#cursor?.closeSync();
    this.#log.closeSync();
    this.#pool.close();
  }

  allows(step: Step): boolean {
    const isOpen = this.#cursor !== undefined;
    if (step === "make") return !isOpen;
    if (step === "delete") return this.expected.cursor !== "gone";
    if (["commit", "lazy"].includes(step)) {
      return isOpen && this.#log.firstOffset <= this.#cursor!.position &&
        this.#cursor!.position < this.#log.durableOffset;
    }
    return ["close", "seek"].includes(step) ? isOpen : true;
  }

  take(step: Step): void {
    const { expected } = this;
    const log = this.#log;
    const cursor = this.#cursor;
    switch (step) {
      case "make": {
        if (expected.cursor !== "there") {
          expected.cursor = "maybe";
          expected.positions.add(log.firstOffset);
        }
        this.#cursor = log.cursorSync("a");
        expected.cursor = "there";
        return this.#settle(this.#cursor.position);
      }
      case "commit": {
        const offset = cursor!.position + 1;
        expected.positions.add(offset);
        cursor!.commitSync(offset);
        return this.#settle(offset);
      }
      case "lazy": {
        const offset = cursor!.position + 1;
        cursor!.commit(offset, { durable: false });
        expected.positions.add(offset);
        return;
      }
      case "seek":
        expected.positions.add(log.firstOffset);
        cursor!.seekSync("first");
        return this.#settle(log.firstOffset);
      case "close":
        cursor!.closeSync();
        this.#cursor = undefined;
        return this.#settle(cursor!.position);
      case "delete":
        expected.cursor = "maybe";
        log.deleteCursorSync("a");
        expected.cursor = "gone";
        expected.positions.clear();
        // The cursor was deleted, and reports it if a commit was pending.
        try {
          cursor?.closeSync();
        } catch (error) {
          if (!(error instanceof Deno.errors.BadResource)) throw error;
        }
        this.#cursor = undefined;
        return;
      case "append":
        return this.#append();
      case "retain":
      case "hard":
        expected.firstAtMost = log.nextOffset;
        if (step === "hard") expected.isHard = true;
        log.retainSync(step === "hard" ? { hardBytes: 0 } : { bytes: 0 });
        expected.firstAtMost = log.firstOffset;
        return;
      case "reopen": {
        const next = this.disk.kill();
        this.#cursor?.close().catch(() => {});
        this.#cursor = undefined;
        this.disk = next;
        this.onDisk(next);
        this.#log = open(next, this.#pool);
        return;
      }
    }
  }

  #append(): void {
    const log = this.#log;
    log.append(payload(log.nextOffset, LENGTH));
    log.flushSync();
    this.expected.durable = log.durableOffset;
  }

  /** Notes that the cursor is durable at this position. */
  #settle(position: number): void {
    this.expected.positions = new Set([position]);
  }
}

/** Opens what a power cut left, and continues with it. */
function check(disk: SimulatedDisk, expected: Expected): void {
  const pool = testPool();
  const log = open(disk, pool);
  try {
    const { firstOffset, nextOffset } = log;
    assert(nextOffset >= expected.durable, `ends at ${nextOffset}`);
    assert(firstOffset <= expected.firstAtMost, `begins at ${firstOffset}`);
    const offsets = drainSync(log).map(({ offset }) => offset);
    assertEquals(offsets[0], firstOffset);
    assertEquals(offsets.length, nextOffset - firstOffset);
    const [found, ...others] = log.cursorsSync();
    assertEquals(others, []);
    if (expected.cursor === "there") {
      assert(found !== undefined, "the cursor is lost");
    }
    if (expected.cursor === "gone") {
      assertEquals(found, undefined, "the cursor is back");
    }
    using cursor = log.cursorSync("a");
    const { position } = cursor;
    if (found === undefined) assertEquals(position, firstOffset);
    else {
      assertEquals(position, found.position);
      assert(
        expected.positions.has(position),
        `at ${position}, not one of ${[...expected.positions]}`,
      );
    }
    if (position < firstOffset) {
      assert(expected.isHard, `passed: at ${position} of ${firstOffset}`);
      const read = () => [...log.readSync({ from: position })];
      assertThrows(read, OffsetOutOfRangeError);
    }
    // What was left does not hold up later removals.
    cursor.seekSync("next");
    cursor.closeSync();
    log.retainSync({ bytes: 0 });
    assertEquals(log.stats().segments, 1);
    assertEquals(log.cursorsSync()[0]!.position, nextOffset);
  } finally {
    log.closeSync();
    pool.close();
  }
  const names = disk.files().filter((path) => path.includes("/cursors/"));
  assert(names.includes(`${DIR}/cursors/a`));
}

interface Counts {
  scenarios: number;
  states: number;
  images: number;
}

/** Crashes at each operation of the last step. Returns whether the step could be taken. */
function crash(
  blockBytes: number,
  steps: readonly Step[],
  seen: Set<string>,
  counts: Counts,
): boolean {
  const life = new Life(blockBytes);
  let failure: unknown;
  try {
    for (const step of steps.slice(0, -1)) {
      if (!life.allows(step)) return false;
      life.take(step);
    }
    const last = steps.at(-1)!;
    if (!life.allows(last)) return false;
    counts.scenarios++;
    const look = (disk: SimulatedDisk) => {
      if (failure !== undefined) return;
      const { expected } = life;
      const key = JSON.stringify({
        ...expected,
        positions: [...expected.positions],
      });
      const all = `${disk.crashHash()} ${key}`;
      if (seen.has(all)) return;
      seen.add(all);
      const units = disk.unsyncedUnits().length;
      const subsets = 1n << BigInt(Math.min(units, EXHAUSTIVE_UNITS));
      for (let left = 0n; left < subsets; left++) {
        counts.states++;
        const after = units > EXHAUSTIVE_UNITS
          ? disk.crashState("random")
          : disk.crashState(left);
        const image = `${after.hash()} ${key}`;
        if (seen.has(image)) continue;
        seen.add(image);
        counts.images++;
        try {
          check(after, expected);
        } catch (error) {
          failure = new Error(
            `[${steps.join(", ")}] left ${
              left.toString(2)
            } of ${units} units: ${(error as Error).message}`,
            { cause: error },
          );
          return;
        }
      }
    };
    const watch = (disk: SimulatedDisk) => disk.onOperation(() => look(disk));
    let stop = watch(life.disk);
    life.onDisk = (disk) => stop = watch(disk);
    life.take(last);
    look(life.disk);
    stop();
    if (failure !== undefined) throw failure;
    return true;
  } finally {
    life.end();
  }
}

const isLong = ALL && Deno.env.get("BASALT_CRASH_STATES") !== undefined;

for (const [blockBytes, depth] of [[4096, isLong ? 4 : 3], [512, 3]] as const) {
  Deno.test({
    name:
      `Cursor and retention after every crash: blocks of ${blockBytes}, up to ${depth} steps`,
    ignore: !FILES,
    fn() {
      const counts: Counts = { scenarios: 0, states: 0, images: 0 };
      const seen = new Set<string>();
      let level: Step[][] = [[]];
      for (let length = 1; length <= depth; length++) {
        level = level.flatMap((steps) => STEPS.map((step) => [...steps, step]))
          .filter((steps) => crash(blockBytes, steps, seen, counts));
      }
      const { scenarios, states, images } = counts;
      console.log(
        `${images} disk images of ${states} states, ${scenarios} scenarios`,
      );
      assert(images > 500);
    },
  });
}
